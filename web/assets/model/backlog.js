// @ts-check
// It imports nothing: what it shared with the page would be a script of its own at a first visit.

/** @typedef {import("./roomlog.js").RoomLog} RoomLog */

/**
 * @typedef {object} Does
 * @property {import("../net/client.js").Client["history"]} history
 * @property {() => boolean} online
 * @property {(log: RoomLog) => boolean} follows whether the room is followed still
 * @property {() => RoomLog} current the room that is looked at, which comes first
 * @property {(log: RoomLog) => void} got a page came; counts what is unread
 */

/** So many pages of history are got for one room, and so many messages in each (HISTORY_MAX). */
const PAGES_MOST = 5;
const PAGE = 200;

/** After so many failures one after the other nothing more is asked for until a room is joined again. */
const FAILURES_MOST = 5;

/** The pause after a failure, in milliseconds, where the node does not say. */
const AGAIN_MS = 1000;

/**
 * Gets the unread messages that a join did not bring, so that they count, and the mentions among
 * them: page by page, one room after the other, back to the read position or PAGES_MOST pages.
 */
export class Backlog {
	/** @type {Set<RoomLog>} */
	#queue = new Set();
	/** Pages that were got. @type {WeakMap<RoomLog, number>} */
	#pages = new WeakMap();
	#running = false;
	#does;

	/** @param {Does} does */
	constructor(does) {
		this.#does = does;
	}

	/**
	 * A room was joined.
	 * @param {RoomLog} log counted
	 */
	look(log) {
		if (log.unreadMore) this.#queue.add(log);
		if (!this.#running) this.#run();
	}

	async #run() {
		const { online, follows, current } = this.#does;
		this.#running = true;
		let failures = 0;
		while (this.#queue.size > 0 && failures < FAILURES_MOST && online()) {
			const log = this.#queue.has(current()) ? current() : [...this.#queue][0];
			const wanted = log.unreadMore && follows(log) && (this.#pages.get(log) ?? 0) < PAGES_MOST;
			if (!wanted) this.#queue.delete(log);
			else failures = (await this.#page(log)) ? 0 : failures + 1;
		}
		this.#queue.clear();
		this.#running = false;
	}

	/**
	 * @param {RoomLog} log
	 * @returns {Promise<boolean>} whether it came; false after a pause
	 */
	async #page(log) {
		const { history, got } = this.#does;
		const { name, oldest } = log;
		try {
			const { messages, more, head = "" } = await history(name, oldest, PAGE);
			this.#pages.set(log, (this.#pages.get(log) ?? 0) + 1);
			if (log.oldest === oldest) log.addOlder(messages, more, Number(head.split("-")[1] ?? 0)); // else they came meanwhile
			got(log);
			return true;
		} catch (refused) {
			const wait = /** @type {{retryAfter?: number}} */ (refused).retryAfter ?? 0;
			await new Promise((resolve) => setTimeout(resolve, Math.max(wait, AGAIN_MS)));
			return false;
		}
	}
}
