// @ts-check
import { Chunk } from "../net/chunk.js";
import { HISTORY_MAX, Refused, seqOf } from "../net/wire.js";

/** @typedef {import("./roomlog.js").RoomLog} RoomLog */
/** @typedef {import("../net/wire.js").Entry} Entry */

/** So many messages are kept of the room that is looked at. */
export const KEPT_AT_MOST = 12_000;

/** How many older messages are asked for at once. */
const PAGE = 100;

/** So many pages at most are got one after the other for a search. */
const PAGES_MOST = 50;

/** For how long it is said that a message can't be found, in milliseconds. */
const NOT_FOUND_MS = 8000;

/** What was refused is not asked for again sooner, in milliseconds. */
const AGAIN_MS = 1000;

/** What few need: rooms with more unread messages than a join brings. @type {Chunk<typeof import("./backlog.js")>} */
const script = new Chunk((url) => (url ? import(url) : import("./backlog.js")), () => new Promise((resolve) => setTimeout(resolve, AGAIN_MS)));

/**
 * @param {import("./backlog.js").Does} does
 * @returns {(log: RoomLog) => Promise<void>} is called when a room was joined and counted
 */
export function backlogOf(does) {
	/** @type {import("./backlog.js").Backlog | undefined} */
	let backlog;
	return async (log) => {
		if (!log.unreadMore) return;
		const all = await script.get().catch(() => null); // the next join tries again
		if (all) (backlog ??= new all.Backlog(does)).look(log);
	};
}

/**
 * What is before the messages that are known of the room that is looked at. It is got
 * page by page, one at a time, and no further back than what can be kept.
 */
export class Past {
	/** The id of a message that was looked for and is there, until it is shown; "" */
	found = "";
	/** How looking for one stands: "far" is further back than what can be kept. @type {"" | "looking" | "gone" | "far"} */
	seeking = "";

	#room;
	#online;
	#history;
	#changed;
	/** @type {Promise<void> | null} */
	#fetching = null;
	/** What is looked for. @type {{room: string, id: string} | null} */
	#sought = null;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#seekTimer;

	/**
	 * @param {object} hooks
	 * @param {() => RoomLog} hooks.room the one that is looked at
	 * @param {() => boolean} hooks.online
	 * @param {import("../net/client.js").Client["history"]} hooks.history
	 * @param {() => void} hooks.changed
	 */
	constructor({ room, online, history, changed }) {
		this.#room = room;
		this.#online = online;
		this.#history = history;
		this.#changed = changed;
	}

	get fetching() {
		return this.#fetching !== null;
	}

	/** Gets the messages before those that are kept. */
	async older() {
		if (!this.#fetching && this.#canFetch) await this.#fetchOlder(PAGE);
	}

	/** Whether there is more that can be got, if the connection is there. */
	get more() {
		const { more, oldest, entries } = this.#room();
		return more && oldest !== "" && entries.length < KEPT_AT_MOST;
	}

	/**
	 * Gets page after page, for as long as that is wanted.
	 * @param {() => boolean} wanted
	 */
	async back(wanted) {
		const log = this.#room();
		for (let page = 0; page < PAGES_MOST && log === this.#room() && this.#canFetch && wanted(); page++)
			await (this.#fetching ?? this.#fetchOlder(HISTORY_MAX));
	}

	/**
	 * Looks for a message of the room that is looked at, back to where it can be.
	 * @param {string} id
	 */
	async find(id) {
		const sought = { room: this.#room().name, id };
		this.#seek(sought);
		for (;;) {
			const log = this.#room();
			if (this.#sought !== sought || !log.loaded) return; // looked for again when the room is joined
			if (log.get(id)) {
				this.found = id;
				return this.#seek(null);
			}
			if (!this.#online()) return;
			if (log.hole) await this.mend();
			else if (!log.more || seqOf(log.oldest) <= seqOf(id)) return this.#seek(null, "gone");
			else if (log.entries.length >= KEPT_AT_MOST) return this.#seek(null, "far");
			else await (this.#fetching ?? this.#fetchOlder(HISTORY_MAX));
		}
	}

	/** Looks no more: another room is looked at. */
	leave() {
		this.#seek(null);
	}

	/**
	 * A room was joined; what is looked for there can be got now.
	 * @param {string} room
	 */
	joined(room) {
		if (this.#sought?.room === room) this.find(this.#sought.id);
	}

	/**
	 * The node knows a room by another name.
	 * @param {string} asked
	 * @param {string} room
	 */
	folded(asked, room) {
		if (this.#sought?.room === asked) this.#sought.room = room;
	}

	/** Gets what was missed while the page was away, if it still can be had. */
	async mend() {
		const log = this.#room();
		while (log === this.#room() && log.hole && this.#online()) {
			const { before } = log.hole;
			if (log.entries.length >= KEPT_AT_MOST) log.cut();
			else if (this.#fetching) await this.#fetching;
			else await this.#fetch(HISTORY_MAX, before, (messages, more, at) => log.hole?.before === before && log.fill(messages, more, at));
		}
		this.#changed();
	}

	/**
	 * @param {{room: string, id: string} | null} sought
	 * @param {Past["seeking"]} [end]
	 */
	#seek(sought, end = "") {
		clearTimeout(this.#seekTimer);
		this.#sought = sought;
		this.seeking = sought ? "looking" : end;
		if (end) this.#seekTimer = setTimeout(() => this.#seek(null), NOT_FOUND_MS);
		this.#changed();
	}

	get #canFetch() {
		return this.#online() && this.more;
	}

	/** @param {number} most so many messages */
	#fetchOlder(most) {
		const log = this.#room();
		const { oldest } = log;
		return this.#fetch(most, oldest, (messages, more, at) => log.oldest === oldest && log.addOlder(messages, more, at));
	}

	/**
	 * @param {number} most so many messages
	 * @param {string} before an id
	 * @param {(messages: Entry[], more: boolean, at: number) => void} take
	 */
	async #fetch(most, before, take) {
		const { name } = this.#room();
		const get = async () => {
			try {
				const { messages, more, head = "" } = await this.#history(name, before, most);
				take(messages, more, seqOf(head));
			} catch (refused) {
				// Whoever asked asks again, but not at once.
				const wait = refused instanceof Refused ? refused.retryAfter : 0;
				await new Promise((resolve) => setTimeout(resolve, Math.max(wait, AGAIN_MS)));
			}
		};
		this.#fetching = get();
		this.#changed();
		await this.#fetching;
		this.#fetching = null;
		this.#changed();
	}
}
