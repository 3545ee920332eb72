// @ts-check
// Scripts that a first visit does without. It knows no page.

/** A node that answers at all sends a script within so long, in milliseconds. */
const WITHIN_MS = 8000;

/**
 * A script that is loaded when it is first wanted. The node it comes from may be away
 * just then, so a load that fails is tried once more when there is a connection again.
 * @template T
 */
export class Chunk {
	/** The script's exports; undefined until it is loaded. @type {T | undefined} */
	now;
	#load;
	#reconnected;
	#within;
	/** The script's address, as of its first failure, and how often it failed. */
	#url = "";
	#failures = 0;
	/** The load that is under way, which all wait for. @type {Promise<T> | undefined} */
	#loading;

	/**
	 * @param {(url: string) => Promise<T>} load imports the script; from this address, unless that is ""
	 * @param {() => Promise<unknown>} reconnected resolves when another try is worthwhile, soon in any case
	 * @param {number} [within] bounds each try, in milliseconds
	 */
	constructor(load, reconnected, within = WITHIN_MS) {
		this.#load = load;
		this.#reconnected = reconnected;
		this.#within = within;
	}

	/**
	 * Returns the script's exports, which it loads first where they are not there.
	 * Rejects where two tries failed; the next call tries again.
	 * @returns {Promise<T>}
	 */
	get() {
		if (this.now) return Promise.resolve(this.now);
		this.#loading ??= this.#try().finally(() => (this.#loading = undefined));
		return this.#loading;
	}

	async #try() {
		try {
			this.now = await this.#once();
		} catch {
			await this.#reconnected();
			this.now = await this.#once();
		}
		return this.now;
	}

	/** @returns {Promise<T>} */
	async #once() {
		/** @type {ReturnType<typeof setTimeout> | undefined} */
		let timer;
		const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("the script did not come in time")), this.#within)));
		try {
			return await Promise.race([this.#load(this.#url && `${this.#url}?${this.#failures}`), /** @type {Promise<never>} */ (late)]);
		} catch (error) {
			// Firefox remembers a module as one that can't be loaded; by another address it is another one.
			this.#failures++;
			this.#url ||= /https?:[^\s?]+\.js/.exec(String(error))?.[0] ?? "";
			throw error;
		} finally {
			clearTimeout(timer);
		}
	}
}
