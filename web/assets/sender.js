// @ts-check
import { KEY_KEPT_MS } from "./wire.js";

/** @typedef {import("./outbox.js").Pending} Pending */
/** @typedef {import("./outbox.js").Outbox} Outbox */
/** @typedef {import("./wire.js").Refusal} Refusal */

/** In milliseconds. */
const SENDING = Object.freeze({
	answerWithin: 10_000,
	retryAfter: 1000, // most, where the node does not say; half of it least
	longestRetry: 5000,
	// Under KEY_KEPT_MS by more than a clock's error and a send's way.
	certainFor: KEY_KEPT_MS - 60_000,
});

/** Refusals that pass by themselves: the same send is right a little later. */
const PASSING = new Set(["unavailable", "rate_limited", "slow_mode", "not_joined"]);

const UNCERTAIN =
	"It was on its way for ten minutes without an answer. Look above whether it is there before you try again.";

/**
 * @typedef {object} Lane One room's sends: one is under way at a time, so that
 *   what is refused and retried can't be overtaken.
 * @property {boolean} ready the room is joined
 * @property {string} key of the one that is under way; ""
 * @property {number} tries of the present one
 * @property {ReturnType<typeof setTimeout>} [timer]
 */

/**
 * Gets what an outbox holds into the rooms' logs, each once, in order.
 * Event `change` (detail: {room}): an entry of that room came, went or failed.
 */
export class Sender extends EventTarget {
	/** @type {Map<string, Lane>} */
	#lanes = new Map();
	#outbox;
	#transmit;
	#times;
	#random;

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
	 * @param {import("./outbox.js").What} [what]
	 */
	write(room, text, what) {
		const last = what?.kind === "react" && this.#reaction(room, what);
		if (last && last.on === what.on) return last;
		if (last && !last.tried && this.#lane(room).key !== last.key) {
			this.#finish(last); // it has not gone out, so one takes back the other
			return last;
		}
		const entry = this.#outbox.write(room, text, what);
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
		entry.failed = "";
		entry.tried = 0; // its author looked
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
	 * The room is joined, and what it already holds was told to `seen`.
	 * @param {string} room
	 * @param {boolean} whole nothing was missed: what was not seen was not taken
	 */
	joined(room, whole) {
		const lane = this.#lane(room);
		this.#rest(lane);
		lane.ready = true;
		if (whole) for (const entry of this.#outbox.of(room)) entry.tried = 0;
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
	 * @param {string} reason
	 */
	barred(room, reason) {
		this.parted(room);
		for (const entry of this.#outbox.of(room)) if (!entry.failed) this.#fail(entry, reason);
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

	/** @param {Refusal} refusal of a send */
	refused(refusal) {
		const entry = this.#outbox.get(refusal.key ?? "");
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
		this.#fail(entry, refusal.message);
		this.#pump(entry.room);
	}

	/**
	 * @param {string} room
	 * @param {import("./outbox.js").What} what
	 * @returns {Pending | undefined} the last one that goes out on the same emoji of the same message
	 */
	#reaction(room, { target, emoji }) {
		const same = (/** @type {Pending} */ e) => e.kind === "react" && e.target === target && e.emoji === emoji && !e.failed;
		return this.#outbox.of(room).filter(same).pop();
	}

	/** @param {string} room */
	#pump(room) {
		const lane = this.#lane(room);
		if (!lane.ready || lane.key || lane.timer) return;
		const entry = this.#outbox.of(room).find((e) => !e.failed);
		if (!entry) return;
		if (entry.tried && Date.now() - entry.tried > this.#times.certainFor) {
			this.#fail(entry, UNCERTAIN);
			this.#pump(room);
			return;
		}
		if (!this.#transmit(commandOf(entry))) return;
		entry.tried ||= Date.now();
		this.#outbox.save();
		lane.key = entry.key;
		lane.timer = setTimeout(() => {
			this.#rest(lane, true);
			this.#pump(room);
		}, this.#times.answerWithin);
	}

	/**
	 * @param {Pending} entry
	 * @param {string} reason
	 */
	#fail(entry, reason) {
		entry.failed = reason;
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
		lane.timer = undefined;
		lane.key = "";
		if (!again) lane.tries = 0;
	}

	/** @param {string} room */
	#lane(room) {
		let lane = this.#lanes.get(room);
		if (!lane) this.#lanes.set(room, (lane = { ready: false, key: "", tries: 0 }));
		return lane;
	}

	/** @param {string} room */
	#changed(room) {
		this.dispatchEvent(new CustomEvent("change", { detail: { room } }));
	}
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
