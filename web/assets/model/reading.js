// @ts-check

/** @typedef {import("./attention.js").Attention} Attention */
/** @typedef {import("./roomlog.js").RoomLog} RoomLog */
/** @typedef {import("../net/wire.js").User} User */

/**
 * @typedef {object} Hooks
 * @property {() => RoomLog} log of the room that is looked at
 * @property {() => User | null} me
 * @property {(...parts: ("log" | "rooms")[]) => void} changed these parts are to be drawn again
 */

/** Moves the read position with what the user sees of the room that is looked at. */
export class Reading {
	/** Whether the newest message is in view. */
	looking = () => true;
	/** Whether the page has the user's attention: it is visible, and its window is focused. */
	attended = () => true;

	#attention;
	#hooks;

	/**
	 * @param {Attention} attention
	 * @param {Hooks} hooks
	 */
	constructor(attention, hooks) {
		this.#attention = attention;
		this.#hooks = hooks;
	}

	/**
	 * A room is opened: the reader is led to the first unread message.
	 * @param {RoomLog} log
	 */
	opened(log) {
		this.#attention.opened(log, this.#hooks.me());
		log.landing = log.newFrom ? "opened" : "";
	}

	/**
	 * Older messages came: unread ones may be among them.
	 * @param {RoomLog} log
	 */
	older(log) {
		if (log.loaded) this.#attention.count(log, this.#hooks.me());
		if (log === this.#hooks.log() && this.#attention.place(log, this.#hooks.me())) log.landing = "older";
	}

	/** The newest message is in view: everything is read that came. */
	read() {
		if (!this.attended()) return;
		const log = this.#hooks.log();
		const { unread } = log;
		this.#attention.read(log);
		if (unread) this.#hooks.changed("log", "rooms");
	}

	/**
	 * A message is in view, and newer ones are not. Nothing is read while older unread ones are
	 * not known, or are not shown yet, as they were not seen.
	 * @param {string} id
	 */
	seen(id) {
		const log = this.#hooks.log();
		const { unread, unreadMore } = log;
		if (!this.attended() || unreadMore || log.landing) return;
		this.#attention.seen(log, this.#hooks.me(), id);
		if (log.unread !== unread) this.#hooks.changed("log", "rooms");
	}

	/** Somebody looks at the page again. */
	returned() {
		if (!this.attended()) return;
		const log = this.#hooks.log();
		const follows = this.looking();
		if (log.unread) {
			this.opened(log);
			if (!follows) log.landing = ""; // the reader has a place of their own
		}
		if (this.looking()) this.read();
		this.#hooks.changed("log");
	}

	/** Oneself wrote to the room that is looked at. */
	answered() {
		this.#hooks.log().answered();
		this.#hooks.changed("log");
	}

	/**
	 * Counts what came while nobody looked.
	 * @param {RoomLog} log
	 */
	count(log) {
		const seen = log === this.#hooks.log() && this.looking() && this.attended();
		if (seen) this.#attention.read(log);
		else this.#attention.count(log, this.#hooks.me());
	}
}
