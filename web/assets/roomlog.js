// @ts-check
import { seqOf } from "./wire.js";

/** @typedef {import("./wire.js").Entry} Entry */
/** @typedef {import("./wire.js").User} User */

/**
 * @typedef {object} Gap Entries that could not be recovered.
 * @property {number} from the time of the last entry before it
 * @property {number} to the time of the first one after it
 */

/** For how long a `typing` counts, in milliseconds. */
const TYPING_MS = 5000;

/** So many members are listed, as the nodes do it. */
const LISTED = 500;

/** What this page knows of one room. It knows neither page nor socket. */
export class RoomLog {
	/** @type {Entry[]} by seq */
	entries = [];
	/** Older entries exist, as far as is known. */
	more = false;
	/** It was joined at least once. */
	loaded = false;
	/** Entries that came while nobody looked. */
	unread = 0;
	/** The room began anew while this page showed it. */
	restarted = false;
	/** Why it can't be joined; "" */
	problem = "";
	/** @type {Map<number, Gap>} by the seq of the entry after the gap */
	gaps = new Map();
	/** @type {Map<string, User>} by id; LISTED at most */
	members = new Map();
	/** How many are here, listed or not. */
	count = 0;

	/** @type {Map<number, Entry>} */
	#bySeq = new Map();
	/** @type {Map<number, Entry>} edits and deletions, by the seq they are about */
	#changes = new Map();
	/** @type {Map<string, {name: string, until: number}>} */
	#typing = new Map();

	/** @param {string} name */
	constructor(name) {
		this.name = name;
	}

	/** @param {import("./client.js").Arrival} arrival */
	arrive({ messages, members, count, again, gap, restarted }) {
		if (restarted) this.restart();
		const last = this.entries.at(-1);
		const first = messages[0];
		if (gap && last && first) this.gaps.set(seqOf(first.id), { from: last.time, to: first.time });
		if (!again || restarted) this.more = messages.length > 0 && seqOf(messages[0].id) > 1;
		this.add(messages);
		this.loaded = true;
		this.problem = "";
		this.members = new Map(members.map((user) => [user.id, user]));
		this.count = count;
	}

	/**
	 * Puts entries where they belong; those that are known already are replaced.
	 * @param {Entry[]} entries
	 */
	add(entries) {
		for (const entry of entries) {
			if (entry.kind) this.#change(entry);
			else this.#put(entry);
		}
	}

	/**
	 * @param {Entry[]} entries
	 * @param {boolean} more
	 */
	addOlder(entries, more) {
		this.add(entries);
		this.more = more;
	}

	/**
	 * Forgets the oldest entries: what is kept is bounded. It does so in larger
	 * pieces, so that not every new entry moves all others on the page.
	 * @param {number} most
	 */
	trim(most) {
		if (this.entries.length < most * 1.1) return;
		const extra = this.entries.splice(0, Math.max(0, this.entries.length - most));
		for (const entry of extra) {
			this.#bySeq.delete(seqOf(entry.id));
			this.gaps.delete(seqOf(entry.id));
		}
		if (extra.length > 0) this.more = true;
	}

	restart() {
		this.restarted = this.loaded;
		this.entries = [];
		this.more = false;
		this.gaps.clear();
		this.#bySeq.clear();
		this.#changes.clear();
	}

	/** @param {{joined: User[], left: User[], count: number}} presence */
	presence({ joined, left, count }) {
		for (const user of left) this.members.delete(user.id);
		for (const user of joined) if (this.members.size < LISTED) this.members.set(user.id, user);
		this.count = count;
	}

	/** @param {User} user */
	renamed(user) {
		if (this.members.has(user.id)) this.members.set(user.id, user);
	}

	/** @param {User} user */
	typed(user) {
		this.#typing.set(user.id, { name: user.name, until: Date.now() + TYPING_MS });
	}

	/** @param {string} id of the user who said it by now */
	typedNoMore(id) {
		this.#typing.delete(id);
	}

	/** @returns {string[]} the names of those who type */
	get typing() {
		const now = Date.now();
		for (const [id, { until }] of this.#typing) if (until <= now) this.#typing.delete(id);
		return [...this.#typing.values()].map(({ name }) => name);
	}

	/** @param {Entry} entry */
	#put(entry) {
		const seq = seqOf(entry.id);
		const change = this.#changes.get(seq);
		if (change?.kind === "delete") return;
		if (change) entry = { ...entry, text: change.text };
		const known = this.#bySeq.has(seq);
		this.#bySeq.set(seq, entry);
		this.entries.splice(this.#place(seq), known ? 1 : 0, entry);
	}

	/** @param {Entry} entry an edit, a deletion, or what this page does not know */
	#change(entry) {
		if (entry.kind !== "edit" && entry.kind !== "delete") return;
		const seq = seqOf(entry.target ?? "");
		this.#changes.set(seq, entry);
		const target = this.#bySeq.get(seq);
		if (!target) return;
		if (entry.kind === "edit") {
			this.#put(target);
		} else {
			this.#bySeq.delete(seq);
			this.entries.splice(this.#place(seq), 1);
		}
	}

	/** @param {number} seq */
	#place(seq) {
		let low = 0;
		let high = this.entries.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (seqOf(this.entries[middle].id) < seq) low = middle + 1;
			else high = middle;
		}
		return low;
	}
}
