// @ts-check

/**
 * The browser's storage, and the page's memory where that keeps nothing. What this page read or wrote
 * stays readable as long as the page lives, whether storage is forbidden, full, or cleared meanwhile.
 * Nothing else uses localStorage or sessionStorage.
 */
export class Store {
	#storage;
	/** What this page knows; `kept` where storage holds it too. @type {Map<string, {text: string | null, kept: boolean}>} */
	#memory = new Map();

	/** @param {() => Storage} storage may throw: access alone may be forbidden */
	constructor(storage) {
		this.#storage = storage;
		globalThis.addEventListener?.("storage", (e) => this.#changed(/** @type {StorageEvent} */ (e)));
	}

	/**
	 * @param {string} key
	 * @returns {any} null for what is not there
	 */
	read(key) {
		const own = this.#memory.get(key);
		let text = own?.text ?? null;
		try {
			if (own?.kept !== false) text = this.#storage().getItem(key) ?? text;
		} catch {
			// The page's memory has to do.
		}
		if (text !== null) this.#memory.set(key, { text, kept: own?.kept ?? true });
		return parsed(text);
	}

	/**
	 * @param {string} key
	 * @param {unknown} value null to forget it
	 * @returns {boolean} whether it outlives the page
	 */
	write(key, value) {
		const text = value === null ? null : JSON.stringify(value);
		const kept = this.#put(key, text);
		if (text === null && kept) this.#memory.delete(key);
		else this.#memory.set(key, { text, kept });
		return kept;
	}

	/**
	 * @param {string} prefix
	 * @returns {string[]}
	 */
	keys(prefix) {
		const known = [...this.#memory].filter(([, { text }]) => text !== null).map(([key]) => key);
		try {
			known.push(...Object.keys(this.#storage()));
		} catch {
			// Only this page's.
		}
		return [...new Set(known)].filter((key) => key.startsWith(prefix));
	}

	/** Whether anything that is written outlives the page. */
	get keeps() {
		return this.#put("chat.probe", "1") && this.#put("chat.probe", null);
	}

	/**
	 * @param {string} key
	 * @param {string | null} text
	 * @returns {boolean} whether storage took it
	 */
	#put(key, text) {
		try {
			if (text === null) this.#storage().removeItem(key);
			else this.#storage().setItem(key, text);
			return true;
		} catch {
			return false;
		}
	}

	/**
	 * Another tab changed one key. That it cleared all (a null key) changes nothing here.
	 * @param {StorageEvent} event
	 */
	#changed({ key, newValue, storageArea }) {
		if (!key || !this.#memory.has(key)) return;
		try {
			if (storageArea !== this.#storage()) return;
		} catch {
			return;
		}
		if (newValue === null) this.#memory.delete(key);
		else this.#memory.set(key, { text: newValue, kept: true });
	}
}

/**
 * @param {string | null} text
 * @returns {any}
 */
function parsed(text) {
	try {
		return JSON.parse(text ?? "null");
	} catch {
		return null;
	}
}

/** The same in all tabs. */
export const local = new Store(() => localStorage);

/** This tab's. */
export const session = new Store(() => sessionStorage);
