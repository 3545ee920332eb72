// @ts-check
import { seqOf } from "./wire.js";

/** @typedef {import("./wire.js").Entry} Entry */
/** @typedef {import("./wire.js").User} User */

/**
 * @typedef {object} Reaction
 * @property {string} emoji
 * @property {User[]} users in the order in which they reacted
 *
 * @typedef {Entry & {edited?: number, reactions?: Reaction[]}} Message As it
 *   stands now: `edited` is when (milliseconds; absent if never), `reactions` are
 *   in the order of their first use, none empty.
 *
 * @typedef {object} Mark One user's newest word on one emoji.
 * @property {number} seq
 * @property {boolean} on
 * @property {User} user
 *
 * @typedef {object} Change What became of one message.
 * @property {number} newest seq of the newest entry about it
 * @property {boolean} deleted
 * @property {Entry | null} edit the newest
 * @property {Map<string, Map<string, Mark>>} marks by emoji, then by user id
 */

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
	 * @param {Message} message
	 * @returns {Message} as it stands now
	 */
	fold(message) {
		const change = this.#byTarget.get(seqOf(message.id));
		if (!change) return message;
		/** @type {Message} */
		const folded = { ...message };
		delete folded.reactions;
		if (change.edit) {
			folded.text = change.edit.text;
			folded.edited = change.edit.time;
		}
		const reactions = reactionsOf(change);
		if (reactions.length > 0) folded.reactions = reactions;
		return folded;
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
	#mark(change, { emoji = "", on = false, user }, seq) {
		let users = change.marks.get(emoji);
		if (!users) change.marks.set(emoji, (users = new Map()));
		const known = users.get(user.id);
		if (known && known.seq >= seq) return false;
		if (!known) this.#size++;
		// A second `on` changes nothing, but an older `off` that comes late must not win.
		users.set(user.id, { seq, on, user });
		this.#bound();
		return (known?.on ?? false) !== on;
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

/** @param {Change} change */
function marksOf(change) {
	return [...change.marks.values()].reduce((sum, users) => sum + users.size, 0);
}

/**
 * @param {Change} change
 * @returns {Reaction[]}
 */
function reactionsOf({ marks }) {
	const used = [];
	for (const [emoji, users] of marks) {
		const on = [...users.values()].filter((mark) => mark.on).sort((a, b) => a.seq - b.seq);
		if (on.length > 0) used.push({ first: on[0].seq, reaction: { emoji, users: on.map(({ user }) => user) } });
	}
	return used.sort((a, b) => a.first - b.first).map(({ reaction }) => reaction);
}
