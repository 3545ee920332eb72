// @ts-check

/** More than this can't wait to be sent: what is kept is bounded. */
const OUTBOX_MAX = 200;

const FULL = "Too much waits to be sent already. Try again when some of it is gone.";

/**
 * @typedef {object} What An edit, a deletion or a reaction; a message is none of them.
 * @property {"" | "edit" | "delete" | "react"} kind
 * @property {string} [target]
 * @property {string} [key] where it has one already
 * @property {string} [emoji]
 * @property {boolean} [on]
 */

/**
 * @typedef {object} Pending Something said that has no place in the log yet.
 * @property {string} key its own for ever, however often it is sent
 * @property {string} room
 * @property {string} text
 * @property {"" | "edit" | "delete" | "react"} [kind]
 * @property {string} [target] the id that an edit, deletion or reaction is about
 * @property {string} [emoji] of a reaction
 * @property {boolean} [on] whether the reaction is set or taken back
 * @property {number} written when, in milliseconds
 * @property {number} tried when it was given to a node first without an
 *   answer since; 0 when it is certain that no node took it
 * @property {string} failed why it waits for its author; "" while it goes out by itself
 * @property {string} [code] the same as one of the protocol's codes
 * @property {number} [waited] for how long it was under way without an answer, in milliseconds
 * @property {string} [by] the id of the user as whom it was given to a node
 * @property {boolean} [left] its author left the room meanwhile: it still goes out, but is dropped where it is refused
 *
 * @typedef {object} Shelf Where an outbox outlives its page.
 * @property {() => Pending[]} load
 * @property {(list: Pending[]) => boolean} save whether it is kept now
 * @property {() => void} [end] leaves what is on it to who comes next
 */

/** Returns sixteen random bytes in hex: a message's key. Unlike randomUUID, it also works without TLS. */
export function newKey() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** What waits to be sent, in the order in which it was written. */
export class Outbox {
	/** Whether what waits would outlive the page: storage may be full or forbidden. */
	kept = false;

	/** @type {Map<string, Pending>} */
	#entries = new Map();
	/** @type {Shelf | null} */
	#shelf;

	/** @param {Shelf | null} [shelf] */
	constructor(shelf = null) {
		this.#shelf = shelf;
		for (const entry of shelf?.load() ?? []) this.#entries.set(entry.key, entry);
		this.save();
	}

	get full() {
		return this.#entries.size >= OUTBOX_MAX;
	}

	get size() {
		return this.#entries.size;
	}

	/**
	 * Where too much waits already, it comes back failed and is not kept.
	 * @param {string} room
	 * @param {string} text
	 * @param {What} [what]
	 */
	write(room, text, what) {
		/** @type {Pending} */
		const entry = { key: newKey(), room, text, ...what, written: Date.now(), tried: 0, failed: this.full ? FULL : "" };
		if (entry.failed) return entry;
		this.#entries.set(entry.key, entry);
		this.save();
		return entry;
	}

	/** @param {string} key */
	get(key) {
		return this.#entries.get(key);
	}

	/** @param {string} key */
	delete(key) {
		if (this.#entries.delete(key)) this.save();
	}

	/**
	 * @param {string} room
	 * @returns {Pending[]}
	 */
	of(room) {
		return [...this.#entries.values()].filter((entry) => entry.room === room);
	}

	/**
	 * Whether nothing is for this room but what its author left behind there.
	 * @param {string} room
	 */
	isLeft(room) {
		return this.of(room).every(({ left }) => left);
	}

	rooms() {
		return [...new Set([...this.#entries.values()].map((entry) => entry.room))];
	}

	/** To be called after an entry was changed. */
	save() {
		this.kept = this.#shelf?.save([...this.#entries.values()]) ?? false;
	}
}
