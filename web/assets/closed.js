// @ts-check

/** @typedef {import("./wire.js").Moderated} Moderated */
/** @typedef {import("./wire.js").Refusal} Refusal */

/**
 * @typedef {object} Closed Why a message would be refused now.
 * @property {"muted" | "locked" | "slow_mode"} code
 * @property {number} until in milliseconds since the epoch; Infinity where it has no end
 * @property {string} by the moderator's name, where that is known; ""
 * @property {string} reason as far as it is known; ""
 */

/** Where what a moderator decided for all rooms stands. */
const ALL = "";

/**
 * Why one can't write in a room, as far as the node said: in a refusal, or as it was decided. A new
 * connection knows nothing of it, and the next refusal says so again.
 */
export class Closings {
	/** By room and code. @type {Map<string, Map<string, Closed>>} */
	#rooms = new Map();

	/**
	 * @param {Moderated} moderated
	 * @param {string} me one's own id
	 */
	decided({ action, room = ALL, user, until = Infinity, by, reason = "" }, me) {
		const mine = user?.id === me;
		if (action === "lock") this.#set(room, { code: "locked", until, by: by.name, reason });
		else if (action === "unlock") this.#open(room, "locked");
		else if (action === "slow") this.#open(room, "slow_mode"); // how long the pause is now, the next refusal tells
		else if (action === "mute" && mine) this.#set(room, { code: "muted", until, by: by.name, reason });
		else if (action === "unmute" && mine) this.#open(room, "muted");
	}

	/** @param {Refusal} refusal */
	refused({ code, room = ALL, retry_after: after }) {
		if (code !== "muted" && code !== "locked" && code !== "slow_mode") return;
		const known = this.#rooms.get(room)?.get(code) ?? this.#rooms.get(ALL)?.get(code);
		this.#set(room, { by: "", reason: "", ...known, code, until: after ? Date.now() + after : Infinity });
	}

	/** The node knows, and tells when it refuses. */
	clear() {
		this.#rooms.clear();
	}

	/**
	 * @param {string} room
	 * @returns {Closed | null} what lasts longest
	 */
	of(room) {
		const now = Date.now();
		const all = [room, ALL].flatMap((one) => [...(this.#rooms.get(one)?.values() ?? [])]).filter(({ until }) => until > now);
		return all.sort((a, b) => b.until - a.until)[0] ?? null;
	}

	/**
	 * @param {string} room
	 * @param {() => void} ended called when what closes it now has ended
	 */
	onEnd(room, ended) {
		const left = (this.of(room)?.until ?? 0) - Date.now();
		if (left > 0) setTimeout(ended, Math.min(left + 100, 2 ** 31 - 1));
	}

	/**
	 * @param {string} room
	 * @param {Closed} closed
	 */
	#set(room, closed) {
		const of = this.#rooms.get(room) ?? new Map();
		this.#rooms.set(room, of.set(closed.code, closed));
	}

	/**
	 * @param {string} room
	 * @param {string} code
	 */
	#open(room, code) {
		this.#rooms.get(room)?.delete(code);
	}
}
