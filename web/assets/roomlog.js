// @ts-check
import { Changes } from "./changes.js";
import { seqOf } from "./wire.js";

/** @typedef {import("./wire.js").Entry} Entry */
/** @typedef {import("./changes.js").Message} Message */
/** @typedef {import("./wire.js").User} User */

/**
 * @typedef {object} Gap Entries that could not be recovered.
 * @property {number} from the time of the last entry before it
 * @property {number} to the time of the first one after it
 * @property {boolean} open it may be filled yet
 *
 * @typedef {object} Hole What was missed and is asked for.
 * @property {string} before the id of the oldest entry after it
 * @property {number} known the seq of the newest message before it
 * @property {number} from that message's time
 */

/** For how long a `typing` counts, in milliseconds. */
const TYPING_MS = 5000;

/** So many members are listed, as the nodes do it. */
const LISTED = 500;

/** What this page knows of one room. It knows neither page nor socket. */
export class RoomLog {
	/** @type {Message[]} by seq, as they stand now */
	entries = [];
	/** How often one came or went elsewhere than at the end. */
	moves = 0;
	/** Older entries exist, as far as is known. */
	more = false;
	/** The id of the oldest entry of any kind that came: what is older is asked for before it. "" */
	oldest = "";
	/** The seq of the first message that was unread when the room was opened; 0 for none. */
	newFrom = 0;
	/** It was joined at least once. */
	loaded = false;
	/** Entries that came while nobody looked. */
	unread = 0;
	/** How many of them mention oneself. */
	mentions = 0;
	/** All that is known here is unread, and more is before it. */
	unreadMore = false;
	/** The room began anew while this page showed it. */
	restarted = false;
	/** Why it can't be joined; "" */
	problem = "";
	/** @type {Map<number, Gap>} by the seq of the entry after the gap */
	gaps = new Map();
	/** @type {Map<string, User>} by id; LISTED at most */
	members = new Map();
	/** @type {Hole | null} */
	hole = null;
	/** How many are here, listed or not. */
	count = 0;

	/** @type {Map<number, Message>} */
	#bySeq = new Map();
	#changes = new Changes();
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
		if (!again || restarted || !this.oldest) {
			this.more = messages.length > 0 && seqOf(messages[0].id) > 1;
			this.oldest = first?.id ?? "";
		}
		this.add(messages);
		if (gap && last && first) {
			this.hole = { known: seqOf(last.id), from: last.time, ...this.hole, before: first.id };
			this.#mark(true);
		}
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
	 * @param {string} id
	 * @returns {Message | undefined}
	 */
	get(id) {
		const message = this.#bySeq.get(seqOf(id));
		return message?.id === id ? message : undefined;
	}

	/**
	 * @param {Entry[]} entries
	 * @param {boolean} more
	 */
	addOlder(entries, more) {
		this.add(entries);
		this.more = more && entries.length > 0;
		this.oldest = entries[0]?.id ?? this.oldest;
	}

	/**
	 * Fills the hole from its end.
	 * @param {Entry[]} entries before it
	 * @param {boolean} more
	 */
	fill(entries, more) {
		if (!this.hole) return;
		const { known, before } = this.hole;
		this.add(entries);
		this.hole.before = entries[0]?.id ?? before;
		const whole = seqOf(this.hole.before) <= known + 1;
		for (const seq of this.gaps.keys()) if (seq > known) this.gaps.delete(seq);
		const open = more && entries.length > 0;
		if (!whole) this.#mark(open);
		if (whole || !open) this.hole = null;
	}

	/** Gives up what is before the hole: it is as if it had not been loaded yet. */
	cut() {
		if (this.hole) this.#forget(this.indexOf(seqOf(this.hole.before)), this.hole.before);
	}

	/**
	 * The line where the hole is, above the first message after it.
	 * @param {boolean} open
	 */
	#mark(open) {
		if (!this.hole) return;
		const next = this.entries[this.indexOf(seqOf(this.hole.before))];
		if (next) this.gaps.set(seqOf(next.id), { from: this.hole.from, to: next.time, open });
	}

	/**
	 * Forgets the oldest entries: what is kept is bounded. It does so in larger
	 * pieces, so that not every new entry moves all others on the page.
	 * @param {number} most
	 */
	trim(most) {
		if (this.entries.length < most * 1.1) return;
		const count = this.entries.length - most;
		this.#forget(count, this.entries[count].id);
	}

	/**
	 * @param {number} count so many of the oldest messages
	 * @param {string} oldest the id of the oldest entry that is left
	 */
	#forget(count, oldest) {
		for (const { id } of this.entries.splice(0, count)) this.#bySeq.delete(seqOf(id));
		const first = seqOf(this.entries[0]?.id ?? oldest);
		for (const seq of this.gaps.keys()) if (seq <= first) this.gaps.delete(seq);
		if (this.hole && this.hole.known < first) this.hole = null;
		this.#changes.forget(first);
		this.moves++;
		this.more = true;
		this.oldest = oldest;
	}

	restart() {
		this.restarted = this.loaded;
		this.entries = [];
		this.moves++;
		this.more = false;
		this.oldest = "";
		this.newFrom = 0;
		this.hole = null;
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
		if (this.#changes.isDeleted(seq)) return;
		const at = this.indexOf(seq);
		const known = this.#bySeq.has(seq);
		if (!known && at < this.entries.length) this.moves++;
		const message = this.#changes.fold(entry);
		this.#bySeq.set(seq, message);
		this.entries.splice(at, known ? 1 : 0, message);
	}

	/** @param {Entry} entry an edit, a deletion, a reaction, or what this page does not know */
	#change(entry) {
		if (!this.#changes.take(entry)) return;
		const seq = seqOf(entry.target ?? "");
		const target = this.#bySeq.get(seq);
		if (!target) return;
		if (entry.kind !== "delete") return this.#put(target);
		this.#bySeq.delete(seq);
		this.entries.splice(this.indexOf(seq), 1);
		this.moves++;
		const gap = this.gaps.get(seq);
		const next = this.entries[this.indexOf(seq)];
		this.gaps.delete(seq);
		if (gap && next && !this.gaps.has(seqOf(next.id))) this.gaps.set(seqOf(next.id), gap);
		if (this.newFrom === seq) this.newFrom = next ? seqOf(next.id) : 0;
	}

	/**
	 * @param {number} seq
	 * @returns {number} where it is, or would be
	 */
	indexOf(seq) {
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
