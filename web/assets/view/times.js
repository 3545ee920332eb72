// @ts-check
// Times as they are said, in the zone that the device is in now.

/** How often it is looked whether another day or another zone began, in milliseconds: no event tells. */
const LOOK_MS = 10_000;

const FORMATS = Object.freeze({
	clock: { hour: "numeric", minute: "2-digit" },
	whole: { dateStyle: "full", timeStyle: "medium" },
	weekday: { weekday: "long", day: "numeric", month: "long" },
	dated: { dateStyle: "long" },
});

/** @type {Map<keyof typeof FORMATS, Intl.DateTimeFormat>} made for `zone` */
const made = new Map();
let zone = zoneOf();

/**
 * A format keeps the zone that it was made in, and is not cheap to make.
 * @param {keyof typeof FORMATS} name
 */
function format(name) {
	let one = made.get(name);
	if (!one) made.set(name, (one = new Intl.DateTimeFormat(undefined, /** @type {Intl.DateTimeFormatOptions} */ (FORMATS[name]))));
	return one;
}

function zoneOf() {
	return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/**
 * Takes note of the zone. All times that are drawn from then on are of it.
 * @returns {string} the same for as long as times read the same: the zone and the day
 */
export function look() {
	const now = zoneOf();
	if (now !== zone) made.clear();
	zone = now;
	return `${zone} ${dayOf(Date.now())}`;
}

/**
 * Calls back when another day or another zone began, while the page is seen.
 * @param {() => void} changed
 */
export function watchTimes(changed) {
	let last = look();
	const check = () => {
		const before = last;
		last = look();
		if (last !== before) changed();
	};
	setInterval(check, LOOK_MS);
	for (const event of ["visibilitychange", "focus", "pageshow"]) addEventListener(event, check);
}

/** @param {number} ms */
export const clockTime = (ms) => format("clock").format(ms);

/** @param {number} ms */
export const wholeTime = (ms) => format("whole").format(ms);

/**
 * A time as it is said today: with its day, if that is another one.
 * @param {number} ms
 * @param {number} [now]
 */
export function saidTime(ms, now = Date.now()) {
	return dayOf(ms) === dayOf(now) ? clockTime(ms) : `${clockTime(ms)} on ${format("dated").format(ms)}`;
}

/**
 * @param {number} ms
 * @returns {string} the same for times of one day
 */
export function dayOf(ms) {
	const date = new Date(ms);
	return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/**
 * @param {number} ms
 * @param {number} [now]
 */
export function dayName(ms, now = Date.now()) {
	if (dayOf(ms) === dayOf(now)) return "Today";
	const yesterday = new Date(now);
	yesterday.setDate(yesterday.getDate() - 1);
	if (dayOf(ms) === dayOf(yesterday.getTime())) return "Yesterday";
	return Math.abs(now - ms) < 180 * 24 * 3600e3 ? format("weekday").format(ms) : format("dated").format(ms);
}
