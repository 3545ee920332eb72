// @ts-check
import { Changes } from "./changes.js";
import { Names } from "../text/names.js";
import { seqOf } from "../net/wire.js";

/** @typedef {import("../net/wire.js").Entry} Entry */
/** @typedef {import("./changes.js").Message} Message */
/** @typedef {import("../net/wire.js").User} User */

/**
 * @typedef {object} Gap Entries that could not be recovered.
 * @property {number} from the time of the last entry before it
 * @property {number} to the time of the first one after it
 * @property {boolean} open it may be filled yet
 *
 * @typedef {object} Hole What was missed and is asked for, and after it what is known, as it may be
 *   changed or gone by now.
 * @property {string} before the id of the oldest message that is known as it stands
 * @property {number} known the seq of the newest message before what was missed
 * @property {number} from that message's time
 */

/** For how long a `typing` counts, in milliseconds. */
const TYPING_MS = 5000;

/** So many members are listed, as the nodes do it. */
const LISTED = 500;

/** The names of so many who reacted are known. */
const NAMES_MOST = 2000;

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
	/** The seq of the last message that was read then; -1 where nothing was unread. */
	newAfter = -1;
	/** The reader is to be led to the first unread message: it was opened, or older unread ones came. @type {"" | "opened" | "older"} */
	landing = "";
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
	/** Names of those who are or were here, to find them in texts. */
	known = new Names();
	/** @type {Hole | null} */
	hole = null;
	/** How many are here, listed or not. */
	count = 0;

	/** @type {Map<number, Message>} */
	#bySeq = new Map();
	#changes = new Changes();
	/** Messages as they came, and at which entry they stood so. @type {Map<number, {entry: Entry, at: number}>} by seq */
	#came = new Map();
	/** Up to this entry messages come as they stand at it. */
	#standing = 0;
	/** @type {Map<string, string>} by the user's id */
	#names = new Map();
	/** @type {Map<string, {name: string, until: number}>} */
	#typing = new Map();

	/** @param {string} name */
	constructor(name) {
		this.name = name;
	}

	/** @param {import("../net/client.js").Arrival} arrival */
	arrive({ messages, all = messages, head = all.at(-1)?.id ?? "", members, count, again, gap, restarted, more = false }) {
		if (restarted) this.restart();
		const last = this.entries.at(-1);
		const first = all[0];
		const fresh = !again || gap || restarted;
		if (!again || restarted || !this.oldest) {
			this.more = all.length > 0 && seqOf(first.id) > 1;
			this.oldest = first?.id ?? "";
		}
		this.#standing = fresh ? seqOf(head) : 0;
		if (fresh && first) this.#stand(all, more ? seqOf(all[all.length - 1].id) : Infinity);
		else this.add(all);
		if (gap && last && first) {
			const hole = { known: seqOf(last.id), from: last.time, ...this.hole, before: first.id };
			if (seqOf(this.oldest) < seqOf(first.id)) this.hole = hole;
			if (hole.known < seqOf(first.id)) this.#mark(true);
		}
		this.loaded = true;
		this.problem = "";
		this.members = new Map(members.map((user) => [user.id, user]));
		for (const user of members) this.#named(user);
		this.count = count;
	}

	/**
	 * Puts entries where they belong.
	 * @param {Entry[]} entries
	 */
	add(entries) {
		for (const entry of entries) {
			this.#named(entry.user);
			if (entry.kind) this.#change(entry);
			else this.#put(entry, seqOf(entry.id) <= this.#standing ? this.#standing : seqOf(entry.id));
		}
	}

	/**
	 * @param {string} id of a user
	 * @returns {string} "" where it is not known
	 */
	nameOf(id) {
		return this.#names.get(id) ?? "";
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
	 * @param {number} at the seq of an entry where they stood so, or of an older one
	 */
	addOlder(entries, more, at) {
		this.#stand(entries, seqOf(this.oldest), at);
		this.more = more && entries.length > 0;
		this.oldest = entries[0]?.id ?? this.oldest;
	}

	/**
	 * Fills the hole from its end.
	 * @param {Entry[]} entries before it
	 * @param {boolean} more
	 * @param {number} at as for addOlder
	 */
	fill(entries, more, at) {
		if (!this.hole) return;
		const { known, before } = this.hole;
		this.#stand(entries, seqOf(before), at);
		this.hole.before = entries[0]?.id ?? before;
		const from = seqOf(this.hole.before);
		for (const seq of this.gaps.keys()) if (seq > known) this.gaps.delete(seq);
		const open = more && entries.length > 0;
		if (from > known + 1) this.#mark(open);
		if (!open || from <= seqOf(this.oldest)) this.hole = null;
	}

	/**
	 * Puts messages as they stand; those that are known between them and not among
	 * them were deleted.
	 * @param {Entry[]} entries
	 * @param {number} end the seq before which they are all
	 * @param {number} at
	 */
	#stand(entries, end, at = this.#standing) {
		const seqs = new Set(entries.map(({ id }) => seqOf(id)));
		const from = seqOf(entries[0]?.id ?? "");
		const kinds = entries.some(({ kind }) => kind); // of an older node, which leaves none out
		if (from && !kinds)
			for (let i = this.indexOf(from); i < this.entries.length && seqOf(this.entries[i].id) < Math.min(end, at + 1); i++)
				if (!seqs.has(seqOf(this.entries[i].id))) this.#remove(i--);
		for (const entry of entries) {
			this.#named(entry.user);
			if (entry.kind) this.#change(entry);
			else this.#put(entry, Math.max(at, seqOf(entry.id)));
		}
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
		for (const { id } of this.entries.splice(0, count)) {
			this.#bySeq.delete(seqOf(id));
			this.#came.delete(seqOf(id));
		}
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
		this.answered();
		this.hole = null;
		this.gaps.clear();
		this.#bySeq.clear();
		this.#came.clear();
		this.#changes.clear();
	}

	/** Oneself wrote: what is above is not new any more. */
	answered() {
		this.newFrom = 0;
		this.newAfter = -1;
		this.landing = "";
	}

	/** @param {{joined: User[], left: User[], count: number}} presence */
	presence({ joined, left, count }) {
		for (const user of left) this.members.delete(user.id);
		for (const user of joined) {
			this.#named(user);
			if (this.members.size < LISTED) this.members.set(user.id, user);
		}
		this.count = count;
	}

	/** @param {User} user */
	renamed(user) {
		this.#named(user);
		if (this.members.has(user.id)) this.members.set(user.id, user);
	}

	/** @param {User} user */
	typed(user) {
		this.#typing.set(user.id, { name: user.name, until: performance.now() + TYPING_MS });
	}

	/** @param {string} id of the user who said it by now */
	typedNoMore(id) {
		this.#typing.delete(id);
	}

	/** @returns {string[]} the names of those who type */
	get typing() {
		const now = performance.now();
		for (const [id, { until }] of this.#typing) if (until <= now) this.#typing.delete(id);
		return [...this.#typing.values()].map(({ name }) => name);
	}

	/** @param {User} user */
	#named({ id, name }) {
		this.#names.delete(id);
		this.#names.set(id, name);
		this.known.add(name);
		if (this.#names.size > NAMES_MOST) this.#names.delete(this.#names.keys().next().value ?? "");
	}

	/**
	 * @param {Entry} entry a message
	 * @param {number} at the seq of the entry where it stands so
	 */
	#put(entry, at) {
		const seq = seqOf(entry.id);
		const came = this.#came.get(seq);
		if (this.#changes.isDeleted(seq) || came && came.at > at) return;
		this.#came.set(seq, { entry, at });
		this.#show(seq);
	}

	/** @param {number} seq of a message that came */
	#show(seq) {
		const { entry, at } = this.#came.get(seq) ?? {};
		if (!entry || at === undefined) return;
		const index = this.indexOf(seq);
		const known = this.#bySeq.has(seq);
		if (!known && index < this.entries.length) this.moves++;
		const message = this.#changes.fold(entry, at);
		this.#bySeq.set(seq, message);
		this.entries.splice(index, known ? 1 : 0, message);
	}

	/** @param {Entry} entry an edit, a deletion, a reaction, or what this page does not know */
	#change(entry) {
		if (!this.#changes.take(entry)) return;
		const seq = seqOf(entry.target ?? "");
		if (!this.#bySeq.has(seq)) return;
		if (entry.kind === "delete") this.#remove(this.indexOf(seq));
		else this.#show(seq);
	}

	/** @param {number} index of a message that was deleted */
	#remove(index) {
		const seq = seqOf(this.entries[index].id);
		this.#bySeq.delete(seq);
		this.#came.delete(seq);
		this.entries.splice(index, 1);
		this.moves++;
		const gap = this.gaps.get(seq);
		const next = this.entries[index];
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
