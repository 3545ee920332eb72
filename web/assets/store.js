// @ts-check

/** The browser's storage. Where it keeps nothing (private mode, full) it says so. */
export class Store {
	#storage;

	/** @param {() => Storage} storage may throw: merely to name it may be forbidden */
	constructor(storage) {
		this.#storage = storage;
	}

	/**
	 * @param {string} key
	 * @returns {any} null for what is not there
	 */
	read(key) {
		try {
			return JSON.parse(this.#storage().getItem(key) ?? "null");
		} catch {
			return null;
		}
	}

	/**
	 * @param {string} key
	 * @param {unknown} value null to forget it
	 * @returns {boolean} whether it is kept
	 */
	write(key, value) {
		try {
			if (value === null) this.#storage().removeItem(key);
			else this.#storage().setItem(key, JSON.stringify(value));
			return true;
		} catch {
			return false;
		}
	}

	/**
	 * @param {string} prefix
	 * @returns {string[]}
	 */
	keys(prefix) {
		try {
			return Object.keys(this.#storage()).filter((key) => key.startsWith(prefix));
		} catch {
			return [];
		}
	}
}

/** The same in all tabs. */
export const local = new Store(() => localStorage);

/** This tab's. */
export const session = new Store(() => sessionStorage);
