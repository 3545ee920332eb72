// @ts-check
import { foldName, Names } from "../text/names.js";

/** @typedef {import("../net/wire.js").User} User */
/** @typedef {{action: string, user?: string, seconds?: number, reason?: string}} Order What a node is asked to do. */

/** Seconds of each unit of a time, by the ways to write it. @type {[number, RegExp][]} */
const UNITS = [
	[1, /^(s|secs?|seconds?)$/], [60, /^(m|mins?|minutes?)$/], [3600, /^(h|hrs?|hours?)$/],
	[86_400, /^(d|days?)$/], [604_800, /^(w|wks?|weeks?)$/], [31_536_000, /^(y|yrs?|years?)$/],
];

/** The longest time that a node takes: ten years, in seconds. */
const SECONDS_MOST = 10 * 366 * 86_400;

/** What a time's number begins with, and all of it with its unit. */
const NUMERIC = /^[-+\u2212\u2013.,]?\p{N}/u;
const TIME = /^(\d+(?:[.,]\d+)?)\s*(\p{L}+)(?=[\d\s.,:;]|$)/u;

/**
 * Reads a moderator's command.
 * @param {string} action
 * @param {string} about what followed it: "@Ann Lee 10m be kind"
 * @param {User[]} users whom it may name; the longest name that fits is meant
 * @param {string} [me] the moderator's own id
 * @returns {Order}
 */
export function moderationOf(action, about, users, me) {
	if (action === "unlock") return { action };
	if (action === "slow") return { action, seconds: pauseOf(about) };
	let rest = about;
	/** @type {string | undefined} */
	let user;
	if (action !== "lock") {
		const said = about.replace(/^[@\uff20]/, "");
		const { name, end } = new Names(users.map((one) => one.name)).match(said, 0) ?? { name: "", end: -1 };
		const meant = users.filter((one) => end > 0 && foldName(one.name) === foldName(name));
		if (new Set(meant.map(({ id }) => id)).size > 1) throw new Error(`several people are ${name}: choose one in the list of people`);
		const [id] = said.split(/\s/);
		if (!meant[0] && action !== "unban") throw new Error("nobody here has that name");
		user = meant[0]?.id ?? id;
		if (user === me && !action.startsWith("un")) throw new Error(`you can't ${action} yourself`);
		rest = said.slice(meant[0] ? end : id.length).trim();
	}
	const timed = action === "mute" || action === "ban" || action === "lock";
	const { seconds, reason } = timed && NUMERIC.test(rest) ? timeOf(rest) : { seconds: 0, reason: rest };
	return { action, ...(user && { user }), ...(seconds && { seconds }), ...(reason && { reason }) };
}

/**
 * @param {string} words "30", "30s", "5m", "off"
 * @returns {number} in seconds; 0 for off
 */
function pauseOf(words) {
	const folded = narrow(words).toLowerCase();
	if (folded === "off" || folded === "0") return 0;
	const { seconds, reason } = NUMERIC.test(words) ? timeOf(/^\d+$/.test(folded) ? `${folded}s` : words) : { seconds: 0, reason: words };
	if (reason) throw new Error("write a time after /slow, as 30s or 5m, or off");
	return seconds;
}

/**
 * Reads the time that a text begins with: "10m", "1.5 hours", "1h30m". What is not certain is refused,
 * as without a time a decision would have no end.
 * @param {string} text begins with a number
 * @returns {{seconds: number, reason: string}} and what follows it
 */
function timeOf(text) {
	let [rest, sum, least] = [text, 0, Infinity];
	for (;;) {
		const [all, number, unit] = TIME.exec(narrow(rest)) ?? ["", "", ""];
		const [of = 0] = UNITS.find(([, name]) => name.test(unit.toLowerCase())) ?? [];
		if (of === 0 || of >= least) break; // a smaller unit may follow, as in 1h 30m
		[sum, least, rest] = [sum + Number(number.replace(",", ".")) * of, of, rest.slice(all.length).trimStart()];
	}
	const [word] = /^\S+(\s+\p{L}\S*)?/u.exec(text) ?? [""];
	if (least === Infinity) throw new Error(`"${word}" is no time: write it as 30s, 10m, 2h, 3d or 1w, or begin the reason with another word`);
	const seconds = Math.round(sum);
	if (seconds < 1) throw new Error("a time has to be one second or longer");
	if (seconds > SECONDS_MOST) throw new Error("a time can be ten years at most");
	return { seconds, reason: rest.replace(/^[\s.,:;]+/, "") };
}

/**
 * Takes their width away from ASCII characters of full width; the length stays.
 * @param {string} text
 */
const narrow = (text) => text.replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0));

/** How long a mute or a ban may be chosen to hold, in seconds. @type {[number, string][]} */
export const TIMES = [[600, "10 minutes"], [3600, "1 hour"], [86_400, "1 day"], [604_800, "1 week"], [0, "Until it is lifted"]];

/** @type {Record<string, string>} */
const DONE = { kick: "Kicked", ban: "Banned", unban: "No longer banned:", mute: "Muted", unmute: "No longer muted:" };

/**
 * What a moderator's command came to.
 * @param {import("../net/wire.js").Moderated} moderated
 * @param {(ms: number) => string} saidTime
 */
export function doneWords({ action, user, until, seconds }, saidTime) {
	const lasts = action === "mute" || action === "ban";
	const end = until ? ` until ${saidTime(until)}` : lasts ? " until it is lifted" : "";
	if (action === "slow") return seconds ? `Slow mode: one message in ${seconds} s for each.` : "Slow mode is off.";
	if (action === "lock") return `Locked${end}. Only moderators can write here.`;
	if (action === "unlock") return "Unlocked. Everyone can write here.";
	return `${DONE[action]} ${user?.name || user?.id}${end}.`;
}
