// @ts-check
import { Claims } from "./claims.js";
import { local, session } from "./store.js";

/** @typedef {import("./outbox.js").Pending} Pending */
/** @typedef {import("./outbox.js").Shelf} Shelf */

/**
 * The shelf of this tab's outbox, holding also what closed tabs left. Each tab
 * has its own for as long as the page lives, so that no two send the same thing.
 * Where tabs can't see each other two may send it, which the key makes harmless.
 * @param {string} prefix of all names in storage
 * @param {{stores?: {local: import("./store.js").Store, session: import("./store.js").Store}, claims?: Claims}} [where]
 * @returns {Promise<Shelf>}
 */
export async function claimShelf(prefix, { stores = { local, session }, claims = new Claims(prefix + "tabs") } = {}) {
	const shelves = prefix + "outbox.";
	const before = String(stores.session.read(prefix + "tab") ?? "");
	const last = before && shelves + before;
	const found = stores.local.keys(shelves);
	const free = await claims.take(before ? [...new Set([last, ...found])] : found, last);
	const again = before && free.includes(last); // else the tab was duplicated
	const id = again ? before : Math.random().toString(36).slice(2);
	const own = shelves + id;
	if (!again) claims.hold(own);
	stores.session.write(prefix + "tab", id);

	/** @type {Map<string, Pending>} */
	const left = new Map();
	for (const key of free) {
		const list = stores.local.read(key);
		for (const entry of Array.isArray(list) ? list.filter(isPending) : []) left.set(entry.key, entry);
	}
	const list = [...left.values()].sort((a, b) => a.written - b.written);
	let ended = false;
	const save = (/** @type {Pending[]} */ all) => !ended && stores.local.write(own, all.length ? all : null);
	// First here, then gone there: what ends between the two loses nothing.
	const kept = save(list);
	for (const key of free) if (key !== own) stores.local.write(key, null);
	if (!kept) save(list); // there may be space now
	const end = () => {
		ended = true; // what is on it is another's now
		claims.end();
	};
	return { load: () => list, save, end };
}

/**
 * @param {any} entry
 * @returns {entry is Pending}
 */
function isPending(entry) {
	return (
		typeof entry?.key === "string" && typeof entry.room === "string" && typeof entry.text === "string" &&
		typeof entry.written === "number" && typeof entry.tried === "number" && typeof entry.failed === "string" &&
		(!entry.kind || typeof entry.target === "string")
	);
}
