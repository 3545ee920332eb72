// @ts-check

/** @typedef {import("../net/wire.js").RoomCount} RoomCount */

/** The list of rooms is not asked for more often, in milliseconds. */
const REFRESH_MS = 5000;

/** The rooms that a node listed last. */
export class Listing {
	/** @type {RoomCount[]} */
	rooms = [];

	#ask;
	#changed;
	#refreshedAt = -Infinity;

	/**
	 * @param {(pages?: number) => Promise<RoomCount[]>} ask
	 * @param {() => void} changed
	 */
	constructor(ask, changed) {
		this.#ask = ask;
		this.#changed = changed;
	}

	/** Gets the busiest. The others stay as they were. */
	async refresh() {
		if (performance.now() - this.#refreshedAt < REFRESH_MS) return;
		this.#refreshedAt = performance.now();
		await this.#list(1);
	}

	/** Gets them all. */
	all() {
		return this.#list();
	}

	/** @param {number} [pages] */
	async #list(pages) {
		try {
			const listed = await this.#ask(pages);
			const known = new Set(listed.map(({ room }) => room));
			this.rooms = pages ? [...listed, ...this.rooms.slice(listed.length).filter(({ room }) => !known.has(room))] : listed;
			this.#changed();
		} catch {
			// The list stays as it was until the next time.
		}
	}
}
