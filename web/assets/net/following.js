// @ts-check
import { GONE, LATE } from "./calls.js";
import { seqOf } from "./wire.js";

/** @import {Entry, User, Joined, Refusal} from "./wire.js" */

/**
 * @typedef {object} Arrival A room was joined, for the first time or again.
 * @property {string} asked the name that join was called with
 * @property {string} room the name that the node knows it by
 * @property {Entry[]} messages those not passed on before
 * @property {Entry[]} all those not passed on before, and others as they stand now
 * @property {string} head the id of the room's newest entry
 * @property {User[]} members
 * @property {number} count
 * @property {boolean} again it was joined before, and this is the recovery
 * @property {boolean} gap some entries could not be recovered
 * @property {boolean} restarted the room's log began anew
 * @property {boolean} more the rest up to head follows
 * @property {import("./wire.js").Rule[]} [rules] what keeps one from writing
 *
 * @typedef {object} Followed
 * @property {string} cursor the newest id that was passed on; "0-0" where the room had none, "" before it was joined
 * @property {number} until the seq that its entries under way lead to; 0 when none are
 * @property {boolean} recovered whether these are the entries after the cursor; else messages as they stand
 * @property {ReturnType<typeof setTimeout>} [timer] of the next try to join, or of the end of what comes
 * @property {boolean} [barred] the user may not join it now; it is tried again
 */

/** Refusals of join and hello that pass by themselves. */
export const PASSING = new Set(["unavailable", "rate_limited", "internal", LATE]);

/** Messages as they stand may end before the room's head, so they have ended when none came for so long, in milliseconds. */
const QUIET_MS = 4000;

/** A room that one may not join, as after a ban, is tried again after so long at most, in milliseconds. */
const BARRED_MS = 10_000;

/**
 * @typedef {object} FollowingEvents
 * @property {Arrival} joined
 * @property {Entry} message
 * @property {Entry} standing a message that was passed on before, as it stands now
 * @property {{room: string}} loaded the rest of a join arrived
 * @property {{room: string, refusal: Refusal}} refused a join that can't succeed
 * @property {{room: string}} reset
 *
 * @typedef {<Name extends keyof FollowingEvents>(name: Name, detail: FollowingEvents[Name]) => void} Emit
 */

/**
 * The rooms that are followed, without gap or repeat. Its events are the client's.
 */
export class Following {
	/** @type {Map<string, Followed>} */
	#rooms = new Map();
	/** Rooms that their user left, followed until what waits for them has gone out. @type {Set<string>} */
	#parting = new Set();
	#does;

	/**
	 * @param {object} does
	 * @param {(command: object, done: (reply: any) => void, refused: (refusal: Refusal) => void) => void} does.ask
	 * @param {Emit} does.emit
	 * @param {(entry: Entry) => void} does.settle
	 * @param {(refusal: Refusal) => number} does.soon when to try again, in milliseconds
	 * @param {import("./sender.js").Sender} does.sender
	 */
	constructor(does) {
		// Of a room that was left nothing is reported.
		/** @type {Emit} */
		const emit = (name, detail) => void (this.#parting.has(detail.room) || does.emit(name, detail));
		this.#does = { ...does, emit };
	}

	/** @returns {string[]} in the order in which they are joined again */
	get names() {
		return [...this.#rooms.keys()];
	}

	/** Those that their user did not leave. */
	get rooms() {
		return this.names.filter((room) => !this.#parting.has(room));
	}

	/** Whether entries of some room are on their way. */
	get loading() {
		return [...this.#rooms.values()].some(({ until }) => until > 0);
	}

	/** @param {string} room */
	isLoading(room) {
		return (this.#rooms.get(room)?.until ?? 0) > 0;
	}

	/** @param {string} room */
	cursor(room) {
		return this.#rooms.get(room)?.cursor ?? "";
	}

	/**
	 * @param {string} room
	 * @param {boolean} [parting] only until what waits for it has gone out
	 * @returns {boolean} whether it was not followed yet, or may not be joined; else it is the first one to be joined again
	 */
	add(room, parting = false) {
		if (parting) this.#parting.add(room);
		else if (this.#parting.delete(room)) this.#forget(room); // it arrives as a whole again
		const known = this.#rooms.get(room);
		if (known) this.#rooms = new Map([[room, known], ...this.#rooms]);
		else this.#rooms.set(room, { cursor: "", until: 0, recovered: false });
		return !known || !!known.barred;
	}

	/**
	 * The user leaves a room.
	 * @param {string} room
	 * @param {boolean} waits something goes out there still: it is followed until then
	 * @returns {boolean} whether it was followed and is no more
	 */
	part(room, waits) {
		if (waits) {
			if (this.#rooms.has(room)) this.#parting.add(room);
			return false;
		}
		this.#parting.delete(room);
		return this.#forget(room);
	}

	/** @param {string} room */
	isParting(room) {
		return this.#parting.has(room);
	}

	/** @param {string} room */
	#forget(room) {
		clearTimeout(this.#rooms.get(room)?.timer);
		return this.#rooms.delete(room);
	}

	/** The connection is gone, and with it what was on its way. */
	end() {
		for (const followed of this.#rooms.values()) {
			clearTimeout(followed.timer);
			followed.until = 0;
		}
	}

	/** @param {string} room */
	enter(room) {
		const followed = this.#rooms.get(room);
		if (!followed) return;
		clearTimeout(followed.timer);
		followed.barred = false;
		const after = followed.cursor;
		this.#does.ask(
			{ type: "join", room, ...(after && { after }) },
			(joined) => this.#joined(room, after, joined),
			(refusal) => this.#refused(room, refusal),
		);
	}

	/** @param {Entry} entry */
	message(entry) {
		const { emit, settle } = this.#does;
		const followed = this.#rooms.get(entry.room);
		if (!followed) return;
		const seq = seqOf(entry.id);
		const fresh = seq > seqOf(followed.cursor);
		if (fresh) followed.cursor = entry.id;
		if (followed.until && !fresh && !followed.recovered) emit("standing", entry);
		if (fresh) {
			settle(entry);
			emit("message", entry);
		}
		if (followed.until) this.#await(entry.room, followed, seq);
	}

	/** @param {string} room */
	reset(room) {
		const followed = this.#rooms.get(room);
		if (!followed) return;
		followed.cursor = "";
		followed.until = 0;
		this.#does.sender.parted(room);
		this.#does.emit("reset", { room });
		this.enter(room);
	}

	/**
	 * @param {string} asked
	 * @param {string} after
	 * @param {Joined} joined
	 */
	#joined(asked, after, joined) {
		const { room, head, recovered, members, count, messages: all, more = false, rules } = joined;
		const followed = this.#rooms.get(asked);
		if (!followed) return; // left meanwhile
		this.#rooms = new Map([...this.#rooms].map(([name, one]) => [name === asked ? room : name, one]));
		const { emit, settle, sender } = this.#does;
		const restarted = !recovered && seqOf(head) < seqOf(after);
		if (restarted) followed.cursor = "";
		const messages = all.filter((entry) => seqOf(entry.id) > seqOf(followed.cursor));
		const gap = after !== "" && !recovered && !restarted;
		const last = more ? all.at(-1)?.id ?? "" : head;
		if (!followed.cursor || seqOf(last) > seqOf(followed.cursor)) followed.cursor = last;
		followed.recovered = recovered;
		followed.until = more ? seqOf(head) : 0;
		for (const entry of all) settle(entry);
		emit("joined", { asked, room, messages, all, head, members, count, again: after !== "", gap, restarted, more, rules });
		sender.joined(room, recovered && !more, more);
		if (more) this.#await(room, followed, seqOf(last));
	}

	/**
	 * Waits for the rest of a join.
	 * @param {string} room
	 * @param {Followed} followed
	 * @param {number} seq of the entry that came last
	 */
	#await(room, followed, seq) {
		clearTimeout(followed.timer);
		const all = () => {
			followed.until = 0;
			this.#does.emit("loaded", { room });
			this.#does.sender.joined(room, followed.recovered, false);
		};
		if (seq >= followed.until) all();
		else if (!followed.recovered) followed.timer = setTimeout(all, QUIET_MS);
	}

	/**
	 * @param {string} room
	 * @param {Refusal} refusal
	 */
	#refused(room, refusal) {
		const { emit, sender, soon } = this.#does;
		const followed = this.#rooms.get(room);
		if (!followed || refusal.code === GONE) return;
		if (PASSING.has(refusal.code)) {
			followed.timer = setTimeout(() => this.enter(room), soon(refusal));
			return;
		}
		followed.barred = refusal.code === "forbidden"; // a ban ends, or is lifted
		if (followed.barred) followed.timer = setTimeout(() => this.enter(room), soon({ ...refusal, retry_after: pauseOf(refusal) }));
		else this.#rooms.delete(room);
		sender.barred(room, refusal);
		emit("refused", { room, refusal });
	}
}

/**
 * @param {Refusal} refusal for as long as a moderator decided, or without end
 * @returns {number} how long to wait before the next try, in milliseconds
 */
export function pauseOf({ retry_after: left }) {
	return Math.min(left || BARRED_MS, BARRED_MS);
}
