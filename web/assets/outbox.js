// @ts-check
import { newKey } from "./wire.js";

/** More than this can't wait to be sent: what is kept is bounded. */
const OUTBOX_MAX = 200;

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
 *
 * @typedef {object} Shelf Where an outbox outlives its page.
 * @property {() => Pending[]} load
 * @property {(list: Pending[]) => void} save
 */

/** What waits to be sent, in the order in which it was written. */
export class Outbox {
	/** @type {Map<string, Pending>} */
	#entries = new Map();
	/** @type {Shelf | null} */
	#shelf;

	/** @param {Shelf | null} [shelf] */
	constructor(shelf = null) {
		this.#shelf = shelf;
		for (const entry of shelf?.load() ?? []) this.#entries.set(entry.key, entry);
	}

	get full() {
		return this.#entries.size >= OUTBOX_MAX;
	}

	get size() {
		return this.#entries.size;
	}

	/**
	 * @param {string} room
	 * @param {string} text
	 */
	write(room, text) {
		/** @type {Pending} */
		const entry = { key: newKey(), room, text, written: Date.now(), tried: 0, failed: "" };
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

	rooms() {
		return [...new Set([...this.#entries.values()].map((entry) => entry.room))];
	}

	/** To be called after an entry was changed. */
	save() {
		this.#shelf?.save([...this.#entries.values()]);
	}
}
