// @ts-check
// What outlives the page, in the browser's storage. A browser that keeps
// nothing (private mode, storage full) changes nothing but that.

/** @typedef {import("./outbox.js").Pending} Pending */
/** @typedef {import("./outbox.js").Shelf} Shelf */

const OUTBOX = "chat.outbox.";
const RECENT_MOST = 12;

/** How long a page waits for its predecessor to let go of the tab's outbox. */
const CLAIM_MS = 300;

/** @typedef {"localStorage" | "sessionStorage"} Store All tabs' and this tab's. */

/**
 * @param {Store} store
 * @param {string} key
 * @returns {any}
 */
function read(store, key) {
	try {
		return JSON.parse(window[store].getItem(key) ?? "null");
	} catch {
		return null;
	}
}

/**
 * @param {Store} store
 * @param {string} key
 * @param {unknown} value null to forget it
 */
function write(store, key, value) {
	try {
		if (value === null) window[store].removeItem(key);
		else window[store].setItem(key, JSON.stringify(value));
		return true;
	} catch {
		return false; // full or forbidden: the page goes on with what it has in memory
	}
}

/** Who one is, the same in all tabs. @type {import("./identity.js").IdentityStore} */
export const identity = {
	load() {
		const known = read("localStorage", "chat.identity");
		return { token: String(known?.token ?? ""), name: String(known?.name ?? "") };
	},
	save(change) {
		write("localStorage", "chat.identity", { ...identity.load(), ...change });
	},
};

/** @returns {string[]} rooms visited, the last one first */
export function recentRooms() {
	const rooms = read("localStorage", "chat.recent");
	return Array.isArray(rooms) ? rooms.filter((room) => typeof room === "string") : [];
}

/** @param {string} room */
export function visited(room) {
	const rooms = [room, ...recentRooms().filter((other) => other !== room)];
	write("localStorage", "chat.recent", rooms.slice(0, RECENT_MOST));
}

/** @returns {string[]} */
export function seenNodes() {
	const ids = read("sessionStorage", "chat.nodes");
	return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
}

/** @param {string[]} ids */
export function saveNodes(ids) {
	write("sessionStorage", "chat.nodes", ids);
}

/**
 * Whether a side is folded away.
 * @param {string} side
 */
export function folded(side) {
	return read("localStorage", `chat.folded.${side}`) === true;
}

/**
 * @param {string} side
 * @param {boolean} away
 */
export function fold(side, away) {
	write("localStorage", `chat.folded.${side}`, away || null);
}

/** @param {string} room */
export function draft(room) {
	return String(read("sessionStorage", `chat.draft.${room}`) ?? "");
}

/**
 * @param {string} room
 * @param {string} text
 */
export function saveDraft(room, text) {
	write("sessionStorage", `chat.draft.${room}`, text || null);
}

/**
 * The shelf of this tab's outbox, holding also what closed tabs left. Each tab
 * has its own, guarded by a lock for as long as the page lives, so that no two
 * send the same thing; where there are no locks (no TLS), tabs that were
 * duplicated may both send it, which the key makes harmless.
 * @returns {Promise<Shelf>}
 */
export async function claimShelf() {
	const mine = String(read("sessionStorage", "chat.tab") ?? "");
	const id = mine && (await lock(OUTBOX + mine, CLAIM_MS)) ? mine : freshId();
	if (id !== mine) await lock(OUTBOX + id, CLAIM_MS);
	write("sessionStorage", "chat.tab", id);
	/** @type {Pending[]} */
	const list = [];
	for (const key of shelves()) {
		if (key !== OUTBOX + id && !(navigator.locks && (await lock(key, 0)))) continue;
		const left = read("localStorage", key);
		if (Array.isArray(left)) list.push(...left.filter(isPending));
		write("localStorage", key, null);
	}
	list.sort((a, b) => a.written - b.written);
	const save = (/** @type {Pending[]} */ all) => write("localStorage", OUTBOX + id, all.length ? all : null);
	save(list);
	return { load: () => list, save };
}

/** @returns {string[]} */
function shelves() {
	try {
		return Object.keys(localStorage).filter((key) => key.startsWith(OUTBOX));
	} catch {
		return [];
	}
}

function freshId() {
	return Math.random().toString(36).slice(2);
}

/**
 * Holds a lock until the page ends.
 * @param {string} name
 * @param {number} wait in milliseconds; 0 not to wait
 * @returns {Promise<boolean>} whether it is held; true where there are no locks
 */
function lock(name, wait) {
	if (!navigator.locks) return Promise.resolve(true);
	return new Promise((resolve) => {
		const options = wait ? { signal: AbortSignal.timeout(wait) } : { ifAvailable: true };
		navigator.locks
			.request(name, options, (held) => {
				resolve(held !== null);
				return held ? new Promise(() => {}) : undefined;
			})
			.catch(() => resolve(false));
	});
}

/**
 * @param {any} entry
 * @returns {entry is Pending}
 */
function isPending(entry) {
	return (
		typeof entry?.key === "string" && typeof entry.room === "string" && typeof entry.text === "string" &&
		typeof entry.written === "number" && typeof entry.tried === "number" && typeof entry.failed === "string"
	);
}
