// @ts-check
// What was begun in each room and not sent. Each tab has its own, which nothing in
// another tab changes; what closed and crashed tabs left moves to the next one that opens.

import { Claims } from "./claims.js";
import { local, session } from "./store.js";

/**
 * @typedef {object} Edit A message that is being edited.
 * @property {string} id
 * @property {string} was its text
 * @property {string} text its new text
 *
 * @typedef {object} Draft What was begun in a room.
 * @property {string} text
 * @property {Edit} [edit] it is in the field in place of the text
 */

/** In so many rooms something can be begun; what was begun first is forgotten. */
const ROOMS_MOST = 50;

/** One tab's drafts, by room. */
export class Drafts {
	/** @type {Map<string, Draft>} the one changed last at the end */
	#drafts = new Map();
	#own;
	#store;

	/**
	 * @param {string} own what the names of all of them begin with in storage
	 * @param {import("./store.js").Store} store
	 */
	constructor(own, store) {
		this.#own = own;
		this.#store = store;
	}

	/**
	 * @param {string} room in whatever case it was asked for
	 * @returns {Draft}
	 */
	get(room) {
		return this.#drafts.get(room.toLowerCase()) ?? { text: "" };
	}

	/**
	 * @param {string} room
	 * @param {Draft} draft
	 */
	set(room, draft) {
		const name = room.toLowerCase();
		this.#drafts.delete(name);
		const begun = Boolean(draft.text || draft.edit);
		if (begun) this.#drafts.set(name, draft);
		this.#store.write(this.#own + name, begun ? { ...draft, at: Date.now() } : null);
		if (this.#drafts.size <= ROOMS_MOST) return;
		const [oldest] = this.#drafts.keys();
		this.#drafts.delete(oldest);
		this.#store.write(this.#own + oldest, null);
	}
}

/**
 * Returns this tab's drafts, with those that closed tabs left.
 * @param {string} prefix of all names in storage
 * @param {{stores?: {local: import("./store.js").Store, session: import("./store.js").Store}, claims?: Claims}} [where]
 * @returns {Promise<Drafts>}
 */
export async function claimDrafts(prefix, { stores = { local, session }, claims = new Claims(prefix + "drafts") } = {}) {
	const all = prefix + "draft.";
	const keys = stores.local.keys(all);
	const tabOf = (/** @type {string} */ key) => key.slice(all.length).split(".", 1)[0];
	const before = String(stores.session.read(prefix + "drafts") ?? "");
	const tabs = [...new Set([...(before ? [before] : []), ...keys.map(tabOf)])];
	const free = (await claims.take(tabs.map((tab) => all + tab), all + before)).map(tabOf);
	const again = before !== "" && free.includes(before); // else the tab was duplicated
	const id = again ? before : Math.random().toString(36).slice(2);
	if (!again) claims.hold(all + id);
	stores.session.write(prefix + "drafts", id);

	const drafts = new Drafts(`${all}${id}.`, stores.local);
	const left = keys.filter((key) => free.includes(tabOf(key))).map((key) => ({ key, kept: stores.local.read(key) }));
	for (const { key, kept } of left.sort((a, b) => (a.kept?.at ?? 0) - (b.kept?.at ?? 0))) {
		const tab = tabOf(key);
		const room = key.slice(all.length + tab.length + 1);
		const draft = draftIn(kept);
		const known = drafts.get(room);
		const text = [known.text, draft.text].filter(Boolean).join("\n");
		drafts.set(room, { text, ...((draft.edit ?? known.edit) && { edit: draft.edit ?? known.edit }) });
		if (tab !== id) stores.local.write(key, null);
	}
	return drafts;
}

/**
 * @param {any} kept
 * @returns {Draft}
 */
function draftIn(kept) {
	const { text, edit } = kept ?? {};
	const known = edit && typeof edit.id === "string" && typeof edit.was === "string" && typeof edit.text === "string";
	return { text: typeof text === "string" ? text : "", ...(known && { edit }) };
}
