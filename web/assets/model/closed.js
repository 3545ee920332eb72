// @ts-check

/** @typedef {import("../net/wire.js").Moderated} Moderated */
/** @typedef {import("../net/wire.js").Refusal} Refusal */
/** @typedef {import("../net/wire.js").Rule} Rule */

/**
 * @typedef {object} Closed Why a message would be refused now.
 * @property {"muted" | "locked" | "slow_mode" | "barred"} code "barred": one may not be in the room at all
 * @property {number} until in milliseconds since the epoch; Infinity where it has no end
 * @property {string} by the moderator's name, where that is known; ""
 * @property {string} reason as far as it is known; ""
 * @property {string} [refusal] the node's words, where it let one not in
 *
 * @typedef {Closed & {ends: number, seconds: number}} Held A decision: when it ends, on the
 *   monotonic clock (-Infinity before the first message in slow mode), and slow mode's pause.
 */

/** Where what a moderator decided for all rooms stands. */
const ALL = "";

/** @type {Record<string, Closed["code"]>} */
const CODES = { mute: "muted", unmute: "muted", lock: "locked", unlock: "locked", slow: "slow_mode", ban: "barred", unban: "barred" };

/** The longest time that a timer takes, in milliseconds. */
const TIMER_MOST = 2 ** 31 - 1;

/** Why one can't write in a room: as it was when the room was joined, was decided since, or a refusal says. */
export class Closings {
	/** By room and code. @type {Map<string, Map<string, Held>>} */
	#rooms = new Map();
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;

	/**
	 * @param {string} room
	 * @param {Rule[]} [rules] all that hold there
	 */
	joined(room, rules = []) {
		for (const one of [room, ALL]) this.#rooms.delete(one);
		for (const rule of rules) this.#hold(rule, rule.retry_after ?? (rule.action === "slow" ? -Infinity : Infinity));
	}

	/**
	 * @param {Moderated} moderated
	 * @param {string} me one's own id
	 */
	decided(moderated, me) {
		const { action, room = ALL, user, until, seconds } = moderated;
		if (user && user.id !== me) return;
		const code = CODES[action];
		const before = this.of(room, code);
		this.#rooms.get(room)?.delete(code);
		if (action === "slow" && !seconds || action.startsWith("un") || !code) return;
		if (action !== "slow") return this.#hold(moderated, seconds ? seconds * 1000 : until ? until - Date.now() : Infinity);
		// A pause that is under way becomes longer or shorter.
		const since = before ? before.ends - before.seconds * 1000 : -Infinity;
		this.#hold(moderated, since + Number(seconds) * 1000 - performance.now());
	}

	/**
	 * A message of one's own was taken.
	 * @param {string} room
	 */
	said(room) {
		for (const one of [room, ALL]) {
			const slow = this.of(one, "slow_mode");
			if (slow) this.#set(one, slow, slow.seconds * 1000);
		}
	}

	/** @param {Refusal} refusal */
	refused({ code, room = ALL, retry_after: after }) {
		if (code !== "muted" && code !== "locked" && code !== "slow_mode") return;
		const known = this.of(room, code) ?? this.of(ALL, code);
		this.#set(room, { by: "", reason: "", seconds: 0, ...known, code }, after ?? Infinity);
	}

	/**
	 * A node refused to let the user join a room. That holds until it is joined.
	 * @param {string} room
	 * @param {Refusal} refusal
	 */
	barred(room, { message, retry_after: left }) {
		const known = this.of(room, "barred");
		this.#set(room, { by: "", reason: "", seconds: 0, ...known, code: "barred", refusal: message }, left || Infinity);
	}

	/**
	 * @param {string} room "" for all rooms
	 * @param {string} code
	 * @returns {Held | undefined} what was decided, also where it does not keep one from writing now
	 */
	of(room, code) {
		return this.#rooms.get(room)?.get(code);
	}

	/**
	 * How moderators closed a room.
	 * @param {string} room
	 * @returns {{locked: boolean, slow: number}} slow mode's pause in seconds, 0 where it is off
	 */
	stands(room) {
		const { ends = 0 } = this.of(room, "locked") ?? {};
		return { locked: ends > performance.now(), slow: this.of(room, "slow_mode")?.seconds ?? 0 };
	}

	/**
	 * @param {string} room
	 * @param {boolean} [moderator] whom only a ban keeps from writing
	 * @returns {Held | null} what lasts longest
	 */
	now(room, moderator = false) {
		const now = performance.now();
		const holds = (/** @type {Held} */ { ends, code }) => ends > now && (!moderator || code === "barred");
		const all = [room, ALL].flatMap((one) => [...(this.#rooms.get(one)?.values() ?? [])]).filter(holds);
		return all.sort((a, b) => Number(b.ends > a.ends) - Number(a.ends > b.ends))[0] ?? null;
	}

	/**
	 * Calls ended, in place of what was given before, when what closes the room now has ended.
	 * @param {string} room
	 * @param {() => void} ended
	 */
	onEnd(room, ended) {
		clearTimeout(this.#timer);
		const { ends = Infinity } = this.now(room) ?? {};
		if (ends < Infinity) this.#timer = setTimeout(ended, Math.min(ends - performance.now() + 1, TIMER_MOST));
	}

	/**
	 * @param {Moderated | Rule} decision
	 * @param {number} left in milliseconds
	 */
	#hold({ action, room = ALL, by, reason = "", seconds = 0 }, left) {
		this.#set(room, { code: CODES[action], by: by?.name ?? "", reason, seconds }, left);
	}

	/**
	 * @param {string} room
	 * @param {Omit<Held, "until" | "ends">} held
	 * @param {number} left in milliseconds
	 */
	#set(room, held, left) {
		const of = this.#rooms.get(room) ?? new Map();
		this.#rooms.set(room, of.set(held.code, { ...held, until: Date.now() + left, ends: held.code === "barred" ? Infinity : performance.now() + left }));
	}
}
