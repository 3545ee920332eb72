// @ts-check
import { Emitter } from "./events.js";
import { bytesOf, frameOf, KEY_KEPT_MS, TOO_LARGE, wellFormed } from "./wire.js";

/** @typedef {import("../store/outbox.js").Pending} Pending */
/** @typedef {import("../store/outbox.js").Outbox} Outbox */
/** @typedef {import("./wire.js").Refusal} Refusal */

/** In milliseconds. */
const SENDING = Object.freeze({
	answerWithin: 10_000,
	stalledAfter: 5000, // less, or there is no looking for another connection
	retryAfter: 1000, // most, where the node does not say; half of it least
	longestRetry: 5000,
	// Under KEY_KEPT_MS by more than a clock's error and a send's way.
	certainFor: KEY_KEPT_MS - 60_000,
});

/** Refusals that pass by themselves: the same send is right a little later. */
const PASSING = new Set(["unavailable", "rate_limited", "slow_mode", "not_joined"]);

const LOOK = "Look above whether it is there before you try again.";
const UNCERTAIN = `It was on its way for ten minutes without an answer. ${LOOK}`;
const RENEWED = `It was on its way when the server made you a new guest. ${LOOK}`;

/**
 * @typedef {object} Lane One room's sends: one is under way at a time, so that
 *   what is refused and retried can't be overtaken.
 * @property {boolean} ready the room is joined
 * @property {boolean} more the room's entries are still coming in
 * @property {string} key of the one that is under way; ""
 * @property {number} since when it is, in milliseconds
 * @property {number} order its place among all that were sent
 * @property {number} tries of the present one
 * @property {number} doubts errors that named nothing while it was under way
 * @property {ReturnType<typeof setTimeout>} [timer]
 */

/**
 * @typedef {object} SenderEvents
 * @property {{room: string}} change an entry of that room was added, was removed or failed
 * @property {void} stalled an entry has waited long for its answer
 */

/**
 * Gets what an outbox holds into the rooms' logs, each once, in order.
 * @extends {Emitter<SenderEvents>}
 */
export class Sender extends Emitter {
	/** @type {Map<string, Lane>} */
	#lanes = new Map();
	#outbox;
	#transmit;
	#times;
	#random;
	#order = 0;
	/** The longest text that nodes take, in bytes. */
	limit = Infinity;
	/** The id of the user who sends. */
	me = "";

	/**
	 * @param {Outbox} outbox
	 * @param {(command: object) => boolean} transmit
	 * @param {Partial<typeof SENDING>} [times]
	 * @param {() => number} [random]
	 */
	constructor(outbox, transmit, times = {}, random = Math.random) {
		super();
		this.#outbox = outbox;
		this.#transmit = transmit;
		this.#times = { ...SENDING, ...times };
		this.#random = random;
	}

	/**
	 * @param {string} room
	 * @param {string} text
	 * @param {import("../store/outbox.js").What} [what]
	 */
	write(room, text, what) {
		const last = what?.kind === "react" && this.#reaction(room, what);
		if (last && last.on === what.on) return last;
		if (last && !last.tried && this.#lane(room).key !== last.key) {
			this.#finish(last); // it has not gone out, so one takes back the other
			return last;
		}
		const entry = this.#outbox.write(room, wellFormed(text), what);
		this.#judge(entry);
		this.#changed(room);
		this.#pump(room);
		return entry;
	}

	/**
	 * Sends a failed entry again, under its old key.
	 * @param {string} key
	 */
	retry(key) {
		const entry = this.#outbox.get(key);
		if (!entry?.failed) return;
		entry.failed = entry.code = "";
		entry.tried = entry.waited = 0; // its author looked
		this.#outbox.save();
		this.#changed(entry.room);
		this.#pump(entry.room);
	}

	/** @param {string} key */
	cancel(key) {
		const entry = this.#outbox.get(key);
		if (entry) this.#finish(entry);
	}

	/**
	 * The author leaves the room, or returns. What was refused there is dropped then, as nobody sees it any more.
	 * @param {string} room
	 * @param {boolean} left
	 * @returns {boolean} whether something goes out there still
	 */
	part(room, left) {
		for (const entry of this.#outbox.of(room)) {
			if (left && entry.failed) this.#finish(entry);
			else entry.left = left || undefined;
		}
		this.#outbox.save();
		return this.#outbox.of(room).length > 0;
	}

	/**
	 * A message is gone: reactions to it and deletions of it have no purpose any more.
	 * @param {string} room
	 * @param {string} [target] its id
	 */
	gone(room, target) {
		for (const entry of this.#outbox.of(room)) if (entry.target === target && isMoot(entry) && this.#lane(room).key !== entry.key) this.#finish(entry);
	}

	/**
	 * The room is joined, or all of it has come: what it already holds was told to `seen`.
	 * @param {string} room
	 * @param {boolean} whole nothing was missed: what was not seen was not taken
	 * @param {boolean} more the rest is still coming in
	 */
	joined(room, whole, more) {
		const lane = this.#lane(room);
		if (!lane.key) this.#rest(lane);
		lane.ready = true;
		lane.more = more;
		for (const entry of this.#outbox.of(room)) {
			if (entry.code === "not_found" && isMoot(entry)) this.#finish(entry); // kept by an earlier version
			else if (whole && entry.key !== lane.key) entry.tried = 0;
		}
		this.#pump(room);
	}

	/**
	 * The room is not joined any more; every room, without a name.
	 * @param {string} [room]
	 */
	parted(room) {
		for (const [name, lane] of this.#lanes) {
			if (room !== undefined && name !== room) continue;
			this.#rest(lane);
			lane.ready = false;
		}
	}

	/**
	 * The room can't be joined, so nothing gets there.
	 * @param {string} room
	 * @param {Refusal} refusal
	 */
	barred(room, { message, code }) {
		this.parted(room);
		for (const entry of this.#outbox.of(room)) if (!entry.failed) this.#fail(entry, message, code);
	}

	/** The servers reach each other again: no use in waiting longer. */
	hurry() {
		for (const [name, lane] of this.#lanes) {
			if (lane.key) continue;
			this.#rest(lane);
			this.#pump(name);
		}
	}

	/**
	 * The log holds what was sent under this key.
	 * @param {string} key
	 * @returns {Pending | undefined} what it was
	 */
	seen(key) {
		const entry = this.#outbox.get(key);
		if (entry) this.#finish(entry);
		return entry;
	}

	/**
	 * @param {Refusal} refusal of a send, as far as can be known
	 * @param {boolean} alone no other commands wait for their answers
	 */
	refused(refusal, alone) {
		const key = refusal.key ?? refusal.ref;
		const entry = this.#outbox.get(key === undefined ? this.#meant(refusal.room, alone) : String(key));
		if (!entry) return;
		const lane = this.#lane(entry.room);
		if (lane.key !== entry.key) return;
		this.#rest(lane, true);
		if (PASSING.has(refusal.code)) {
			const most = Math.min(this.#times.retryAfter * 2 ** Math.min(lane.tries, 8), this.#times.longestRetry);
			lane.tries++;
			lane.timer = setTimeout(() => {
				this.#rest(lane, true);
				this.#pump(entry.room);
			}, refusal.retry_after ?? (most * (1 + this.#random())) / 2);
			return;
		}
		if (refusal.code === "not_found" && isMoot(entry)) return this.#finish(entry);
		this.#fail(entry, refusal.message, refusal.code);
		this.#pump(entry.room);
	}

	/**
	 * The connection was closed for what was sent: the one that did it is not sent again.
	 * @param {number} code of the close frame
	 */
	blame(code) {
		const large = code === TOO_LARGE;
		const size = (/** @type {Lane} */ { key }) => large ? frameOf(this.#outbox.get(key) ?? {}).length : 0;
		const [lane] = this.#underWay().sort((a, b) => size(b) - size(a) || b.order - a.order);
		const entry = lane && this.#outbox.get(lane.key);
		if (entry) this.#fail(entry, large ? "It is too large for the server." : "The server can't read it.", large ? "too_long" : "bad_json");
	}

	/** @returns {Lane[]} those with a send under way */
	#underWay() {
		return [...this.#lanes.values()].filter(({ key }) => key);
	}

	/**
	 * What an error is about that names no command: the only one that is under way, or
	 * the one that was each time that such an error came.
	 * @param {string | undefined} room
	 * @param {boolean} alone
	 */
	#meant(room, alone) {
		const lanes = this.#underWay().filter(({ key }) => room === undefined || this.#outbox.get(key)?.room === room);
		for (const lane of lanes) lane.doubts++;
		return lanes.find(({ doubts }) => doubts > 1 || (alone || room !== undefined) && lanes.length === 1)?.key ?? "";
	}

	/**
	 * @param {string} room
	 * @param {import("../store/outbox.js").What} what
	 * @returns {Pending | undefined} the last one that goes out on the same emoji of the same message
	 */
	#reaction(room, { target, emoji }) {
		const same = (/** @type {Pending} */ e) => e.kind === "react" && e.target === target && e.emoji === emoji && !e.failed;
		return this.#outbox.of(room).filter(same).pop();
	}

	/**
	 * @param {string} room
	 * @returns {void}
	 */
	#pump(room) {
		const lane = this.#lane(room);
		if (!lane.ready || lane.key || lane.timer) return;
		const entry = this.#outbox.of(room).find((e) => !e.failed);
		if (!entry) return;
		const foreign = entry.tried && entry.by && entry.by !== this.me;
		if (foreign && lane.more) return; // it may be among what comes
		const uncertain = foreign ? RENEWED : this.#isLong(entry) ? UNCERTAIN : "";
		if (uncertain) this.#fail(entry, uncertain, "unavailable");
		if (uncertain || this.#judge(entry)) return this.#pump(room);
		if (!this.#transmit(commandOf(entry))) return;
		entry.tried ||= Date.now();
		entry.by = this.me;
		this.#outbox.save();
		lane.key = entry.key;
		lane.since = performance.now();
		lane.order = ++this.#order;
		const { answerWithin, stalledAfter } = this.#times;
		const again = () => {
			this.#rest(lane, true);
			this.#pump(room);
		};
		const stalled = () => {
			lane.timer = setTimeout(again, answerWithin - stalledAfter);
			this.emit("stalled");
		};
		lane.timer = stalledAfter < answerWithin ? setTimeout(stalled, stalledAfter) : setTimeout(again, answerWithin);
	}

	/**
	 * Whether so much time went by, since it was sent first or while it was under way,
	 * that its key may be forgotten, or no answer will ever come. Where the clock was set
	 * back since, nobody knows.
	 * @param {Pending} entry
	 */
	#isLong({ tried, waited = 0 }) {
		return Math.max(tried && Math.abs(Date.now() - tried), waited) > this.#times.certainFor;
	}

	/**
	 * Fails what no node takes.
	 * @param {Pending} entry
	 * @returns {boolean} whether it did
	 */
	#judge(entry) {
		const bytes = bytesOf(entry.text);
		if (entry.failed || bytes <= this.limit) return false;
		this.#fail(entry, `the text has ${bytes} bytes: ${this.limit} at most`, "too_long");
		return true;
	}

	/**
	 * @param {Pending} entry
	 * @param {string} reason
	 * @param {string} code the protocol's
	 */
	#fail(entry, reason, code) {
		if (entry.left) return this.#finish(entry);
		entry.failed = reason;
		entry.code = code;
		this.#outbox.save();
		this.#changed(entry.room);
	}

	/** @param {Pending} entry */
	#finish(entry) {
		this.#outbox.delete(entry.key);
		const lane = this.#lane(entry.room);
		if (lane.key === entry.key) this.#rest(lane);
		this.#changed(entry.room);
		this.#pump(entry.room);
	}

	/**
	 * @param {Lane} lane
	 * @param {boolean} [again] the same entry comes next
	 */
	#rest(lane, again = false) {
		clearTimeout(lane.timer);
		const entry = this.#outbox.get(lane.key);
		// A machine that slept in between did not wait.
		if (entry) entry.waited = (entry.waited ?? 0) + Math.min(performance.now() - lane.since, this.#times.answerWithin);
		lane.timer = undefined;
		lane.key = "";
		if (!again) lane.tries = lane.doubts = 0;
	}

	/** @param {string} room */
	#lane(room) {
		let lane = this.#lanes.get(room);
		if (!lane) this.#lanes.set(room, (lane = { ready: false, more: false, key: "", since: 0, order: 0, tries: 0, doubts: 0 }));
		return lane;
	}

	/** @param {string} room */
	#changed(room) {
		this.emit("change", { room });
	}
}

/**
 * Whether it has no purpose once its message is gone. The text of an edit is its author's still.
 * @param {Pending} entry
 */
function isMoot({ kind }) {
	return kind === "react" || kind === "delete";
}

/**
 * The key is the command's ref too, so that no refusal goes without a name.
 * @param {Pending} entry
 * @returns {object}
 */
function commandOf({ kind, room, text, key, target, emoji, on }) {
	const named = { room, key, ref: key };
	if (kind === "edit") return { type: "edit", target, text, ...named };
	if (kind === "delete") return { type: "delete", target, ...named };
	if (kind === "react") return { type: "react", target, emoji, on, ...named };
	return { type: "send", text, ...named };
}

/**
 * What was sent, as the log has it.
 * @param {Pending} pending
 * @param {string} id
 * @param {number} time
 * @param {import("./wire.js").User} user
 * @param {string} node
 * @returns {import("./wire.js").Entry}
 */
export function entryOf({ kind, room, key, text, target, emoji, on }, id, time, user, node) {
	const entry = { id, room, key, user, text, time, node };
	if (!kind) return entry;
	return { ...entry, kind, target, ...(kind === "react" && { emoji, on }) };
}
