// @ts-check

/**
 * @typedef {object} Ground What tabs can see of each other through.
 * @property {LockManager} [locks]
 * @property {(name: string) => BroadcastChannel | undefined} [channel]
 */

/** In milliseconds. */
const WAIT = Object.freeze({
	predecessor: 5000, // for the locks of the page that was in this tab
	answer: 150, // for the answer of a tab that holds a name
});

/**
 * Names that each belong to one living tab. A tab holds a lock for each of its names.
 * After a reload the old page may keep its locks for a while, so the new one waits for
 * them, unless another tab answers that it holds the name: then the tab was duplicated.
 * Without locks (no TLS) the answers alone decide. Pages in the background answer too, because
 * browsers delay their timers and not their messages.
 */
export class Claims {
	#locks;
	/** @type {BroadcastChannel | undefined} */
	#channel;
	/** Its own, to tell who of two that ask at once gives way. */
	#me = Math.random();
	/** @type {Set<string>} */
	#held = new Set();
	#let = () => {};
	/** Waits for `end`. @type {Promise<void>} */
	#over = new Promise((resolve) => (this.#let = resolve));
	/** Names that are asked for now, and whether another has them. @type {Map<string, boolean>} */
	#asked = new Map();
	/** Names of this tab's page before, and what ends the wait for their locks. @type {Map<string, AbortController>} */
	#waits = new Map();

	/**
	 * @param {string} scope
	 * @param {Ground} [ground]
	 */
	constructor(scope, ground = browser()) {
		this.#locks = ground.locks;
		this.#channel = ground.channel?.(scope);
		if (this.#channel) this.#channel.onmessage = (e) => this.#heard(e.data);
	}

	/**
	 * Claims names until `end`, or until the page ends.
	 * @param {string[]} names
	 * @param {string} [own] the one that this tab's page before this one may hold still
	 * @returns {Promise<string[]>} those that no other tab holds
	 */
	async take(names, own = "") {
		if (this.#locks) {
			const taken = await Promise.all(names.map((name) => this.#lock(name, name === own)));
			return names.filter((_, i) => taken[i]);
		}
		for (const name of names) this.#asked.set(name, false);
		this.#channel?.postMessage({ ask: names, from: this.#me });
		if (this.#channel && names.length > 0) await new Promise((resolve) => setTimeout(resolve, WAIT.answer));
		const free = names.filter((name) => !this.#asked.get(name));
		for (const name of free) this.#held.add(name);
		for (const name of names) this.#asked.delete(name);
		return free;
	}

	/**
	 * Holds a name that no other can know of yet.
	 * @param {string} name
	 */
	hold(name) {
		this.#held.add(name);
		if (this.#locks) this.#lock(name, false);
	}

	/** Lets go of all names, and of what keeps a program alive. */
	end() {
		this.#held.clear();
		if (this.#channel) this.#channel.onmessage = null;
		this.#channel?.close();
		this.#channel = undefined;
		this.#let();
	}

	/** @param {{ask?: string[], from?: number, held?: string[]}} message */
	#heard({ ask = [], from = 0, held = [] }) {
		for (const name of held) {
			if (this.#asked.has(name)) this.#asked.set(name, true);
			this.#waits.get(name)?.abort();
		}
		const mine = ask.filter((name) => this.#held.has(name) || (this.#asked.get(name) === false && this.#me < from));
		for (const name of ask) if (this.#asked.has(name) && !mine.includes(name)) this.#asked.set(name, true);
		if (mine.length > 0) this.#channel?.postMessage({ held: mine });
	}

	/**
	 * @param {string} name
	 * @param {boolean} wait
	 * @returns {Promise<boolean>}
	 */
	#lock(name, wait) {
		return new Promise((resolve) => {
			const over = new AbortController();
			const timer = wait ? setTimeout(() => over.abort(), WAIT.predecessor) : undefined;
			if (wait) {
				this.#waits.set(name, over); // no effect once the lock is there
				this.#channel?.postMessage({ ask: [name] });
			}
			this.#locks
				?.request(name, wait ? { signal: over.signal } : { ifAvailable: true }, (lock) => {
					clearTimeout(timer);
					if (lock) {
						this.#held.add(name);
						if (wait) this.#channel?.postMessage({ held: [name] }); // another may wait too
					}
					resolve(lock !== null);
					return lock && this.#over; // it is held as long as that waits
				})
				.catch(() => resolve(false));
		});
	}
}

/** @returns {Ground} */
function browser() {
	const channel = (/** @type {string} */ name) => {
		try {
			return new BroadcastChannel(name);
		} catch {
			return undefined; // in Firefox storage is forbidden
		}
	};
	return { locks: globalThis.navigator?.locks, channel };
}
