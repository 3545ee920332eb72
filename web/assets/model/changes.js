// @ts-check
import { foldEmoji, seqOf } from "../net/wire.js";

/** @typedef {import("../net/wire.js").Entry} Entry */
/** @typedef {import("../net/wire.js").User} User */

/**
 * @typedef {object} Reaction
 * @property {string} emoji
 * @property {number} count of all who use it
 * @property {User[]} users those that are known, in the order in which they reacted; a name may be ""
 *
 * @typedef {Omit<Entry, "reactions"> & {reactions?: Reaction[]}} Message As it stands now: `edited`
 *   is when (milliseconds; absent if never), `reactions` are in the order of their first
 *   use, none empty.
 *
 * @typedef {object} Mark One user's newest word on one emoji.
 * @property {number} seq
 * @property {boolean} on
 * @property {User} user
 *
 * @typedef {object} Marks What was said about one emoji.
 * @property {number} seq of the newest entry that says how many use it
 * @property {number} count of them then
 * @property {Map<string, Mark>} users by their ids
 *
 * @typedef {object} Change What became of one message.
 * @property {number} newest seq of the newest entry about it
 * @property {boolean} deleted
 * @property {Entry | null} edit the newest
 * @property {Map<string, Marks>} marks by emoji
 */

/** @type {Change} */
const NONE = { newest: 0, deleted: false, edit: null, marks: new Map() };

/** So many are kept of one room; then what is about the message named longest ago goes. */
const MOST = 50_000;

/**
 * What edits, deletions and reactions make of the messages that they are about.
 * They may come in any order, twice, and before what they are about.
 */
export class Changes {
	/** @type {Map<number, Change>} by the seq of the message */
	#byTarget = new Map();
	/** Messages and marks together. */
	#size = 0;
	#most;

	constructor(most = MOST) {
		this.#most = most;
	}

	get size() {
		return this.#size;
	}

	/**
	 * @param {Entry} entry of any kind
	 * @returns {boolean} whether anything is different now
	 */
	take(entry) {
		const target = seqOf(entry.target ?? "");
		const seq = seqOf(entry.id);
		if (!target || !["edit", "delete", "react"].includes(entry.kind ?? "")) return false;
		const change = this.#change(target);
		if (change.deleted) return false;
		change.newest = Math.max(change.newest, seq);
		if (entry.kind === "react") return this.#mark(change, entry, seq);
		if (entry.kind === "edit") {
			if (change.edit && seqOf(change.edit.id) >= seq) return false;
			change.edit = entry;
			return true;
		}
		// What was erased is not kept here either.
		this.#size -= marksOf(change);
		change.deleted = true;
		change.edit = null;
		change.marks.clear();
		return true;
	}

	/** @param {number} target seq of a message */
	isDeleted(target) {
		return this.#byTarget.get(target)?.deleted ?? false;
	}

	/**
	 * @param {Entry} entry a message as it stands at some entry of the log
	 * @param {number} at the seq of that one, or less; the message's own, where it is as it was said
	 * @returns {Message} as it stands now
	 */
	fold(entry, at) {
		const change = this.#byTarget.get(seqOf(entry.id));
		const { reactions = [], ...message } = entry;
		const had = folded(reactions);
		const { edit, marks } = change ?? NONE;
		const edited = edit && edit.time >= (message.edited ?? 0) ? { text: edit.text, edited: edit.time } : {};
		const later = [...marks].filter(([emoji]) => !had.some((one) => one.emoji === emoji)).sort(([, a], [, b]) => firstOf(a) - firstOf(b));
		const all = [...had, ...later.map(([emoji]) => ({ emoji, count: 0, users: [] }))]
			.map((one) => reactionOf(one, at, marks.get(one.emoji)))
			.filter(({ count }) => count > 0);
		return { ...message, ...edited, ...(all.length > 0 && { reactions: all }) };
	}

	/**
	 * Forgets what comes again with the messages before this one, when they do.
	 * @param {number} first seq of the first message that is kept
	 */
	forget(first) {
		for (const [target, { newest }] of this.#byTarget) if (target < first && newest < first) this.#drop(target);
	}

	clear() {
		this.#byTarget.clear();
		this.#size = 0;
	}

	/**
	 * @param {Change} change
	 * @param {Entry} entry
	 * @param {number} seq
	 */
	#mark({ marks }, { emoji: written = "", on = false, user, count }, seq) {
		const emoji = foldEmoji(written);
		let of = marks.get(emoji);
		if (!of) marks.set(emoji, (of = { seq: 0, count: 0, users: new Map() }));
		const counted = count !== undefined && seq > of.seq;
		if (counted) Object.assign(of, { seq, count });
		const known = of.users.get(user.id);
		if (known && known.seq >= seq) return counted;
		if (!known) this.#size++;
		// A second `on` changes nothing, but an older `off` that comes late must not win.
		of.users.set(user.id, { seq, on, user });
		this.#bound();
		return counted || (known?.on ?? false) !== on;
	}

	/** @param {number} target */
	#change(target) {
		let change = this.#byTarget.get(target);
		if (!change) {
			this.#byTarget.set(target, (change = { newest: 0, deleted: false, edit: null, marks: new Map() }));
			this.#size++;
			this.#bound();
		}
		return change;
	}

	#bound() {
		for (const target of this.#byTarget.keys()) {
			if (this.#size <= this.#most) return;
			this.#drop(target);
		}
	}

	/** @param {number} target */
	#drop(target) {
		const change = this.#byTarget.get(target);
		if (change && this.#byTarget.delete(target)) this.#size -= 1 + marksOf(change);
	}
}

/**
 * Reactions of older nodes may differ in variation selectors alone; each user counts once.
 * @param {NonNullable<Entry["reactions"]>} reactions
 */
function folded(reactions) {
	/** @type {typeof reactions} */
	const all = [];
	for (const one of reactions) {
		const emoji = foldEmoji(one.emoji);
		const same = all.find((other) => other.emoji === emoji);
		if (!same) {
			all.push({ ...one, emoji });
			continue;
		}
		const users = new Set([...same.users, ...one.users]);
		same.count += one.count - (same.users.length + one.users.length - users.size);
		same.users = [...users];
	}
	return all;
}

/** @param {Change} change */
function marksOf(change) {
	return [...change.marks.values()].reduce((sum, { users }) => sum + users.size, 0);
}

/** @param {Marks} marks */
function firstOf({ users }) {
	return [...users.values()].reduce((first, { on, seq }) => (on ? Math.min(first, seq) : first), Number.MAX_SAFE_INTEGER);
}

/**
 * @param {{emoji: string, count: number, users: string[]}} had as it stood
 * @param {number} at the seq of the entry where it did
 * @param {Marks} [marks]
 * @returns {Reaction}
 */
function reactionOf({ emoji, count, users }, at, marks) {
	/** @type {Map<string, User>} */
	const known = new Map(users.map((id) => [id, { id, name: "" }]));
	const cut = count > users.length; // more use it than are listed
	const raw = !cut && !marks?.seq; // an older node counts nothing, and tells messages as they were said
	if (marks && marks.seq > at) count = marks.count;
	const since = Math.max(at, marks?.seq ?? 0);
	for (const { seq, on, user } of [...(marks?.users.values() ?? [])].sort((a, b) => a.seq - b.seq)) {
		const was = known.has(user.id);
		if (seq <= at && !(on && (was || cut || raw))) continue;
		if (seq > since || raw) count += on ? Number(!was) : -Number(was || cut);
		if (on) known.set(user.id, user);
		else known.delete(user.id);
	}
	return { emoji, count, users: [...known.values()] };
}
