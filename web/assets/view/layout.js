// @ts-check
import { actionOf } from "../text/markup.js";
import { seqOf } from "../net/wire.js";
import { dayOf } from "./times.js";

/** @typedef {import("../model/changes.js").Message} Message */
/** @typedef {import("../net/wire.js").User} User */
/** @typedef {import("../store/outbox.js").Pending} Pending */
/** @typedef {import("../model/roomlog.js").RoomLog} RoomLog */
/** @typedef {import("../model/roomlog.js").Gap} Gap */

/** Messages of one person this close together are one group, in milliseconds. */
const GROUP_MS = 5 * 60 * 1000;

/**
 * @typedef {object} Line What stands between two messages.
 * @property {"day" | "gap" | "restart" | "new"} kind
 * @property {number} time
 * @property {Gap} [gap]
 *
 * @typedef {object} Shown A reaction as it is drawn.
 * @property {string} emoji
 * @property {number} count
 * @property {string[]} names of those who are known
 * @property {boolean} mine
 * @property {boolean} waiting mine is on its way
 *
 * @typedef {object} Item What one row of the log shows.
 * @property {string} key by which its row is known
 * @property {string} was the key it had while it was pending; ""
 * @property {Message | null} entry
 * @property {Pending | null} pending the message itself, while it has no place
 * @property {Line[]} lines above it
 * @property {User} user
 * @property {string} text
 * @property {number} time
 * @property {number} edited when; 0
 * @property {Shown[]} reactions
 * @property {Pending[]} changes of the message, on their way or refused
 * @property {boolean} waiting it, or its change, is on its way
 * @property {boolean} action it says what its author does
 * @property {boolean} first of a group
 * @property {boolean} last of a group
 * @property {boolean} crossed taken by another node than the one before it
 */

/** A room as it is to be drawn, row by row: messages in their order, then what is pending. */
export class Layout {
	/** @type {Pending[]} what has no place yet, or none any more */
	said = [];
	/** @type {Map<number, Pending[]>} what is pending about messages, by their seq */
	#changes = new Map();
	#log;
	#me;

	/**
	 * @param {RoomLog} log
	 * @param {Pending[]} pending
	 * @param {User | null} me
	 */
	constructor(log, pending, me) {
		this.#log = log;
		this.#me = me;
		for (const one of pending) {
			// What a message that is not here (any more) shall be, and what was refused about it, stays to be seen and ended.
			if (!one.kind || (one.kind === "edit" || one.failed) && !log.get(one.target ?? "")) {
				this.said.push(one);
				continue;
			}
			const seq = seqOf(one.target ?? "");
			this.#changes.set(seq, [...(this.#changes.get(seq) ?? []), one]);
		}
	}

	get count() {
		return this.#log.entries.length + this.said.length;
	}

	/**
	 * What a row is about, which is the same object for as long as it shows the same.
	 * @param {number} index
	 * @returns {Message | Pending}
	 */
	at(index) {
		const { entries } = this.#log;
		return entries[index] ?? this.said[index - entries.length];
	}

	/**
	 * @param {string} key of a row
	 * @returns {number} its index, or that of the one that took its place
	 */
	indexOf(key) {
		const said = this.said.findIndex((one) => one.key === key);
		return said < 0 ? this.#log.indexOf(seqOf(key)) : this.#log.entries.length + said;
	}

	/**
	 * @param {number} index
	 * @returns {Item}
	 */
	item(index) {
		const one = this.at(index);
		const entry = "id" in one ? one : null;
		const pending = entry ? null : /** @type {Pending} */ (one);
		const before = index > 0 ? this.#log.entries[index - 1] : undefined;
		const changes = entry ? this.#changes.get(seqOf(entry.id)) ?? [] : [];
		const under = changes.filter((change) => !change.failed);
		const edit = under.filter(({ kind }) => kind === "edit").at(-1);
		const text = edit?.text ?? (pending?.emoji || one.text);
		const first = this.#begins(index);
		return {
			key: keyOf(one),
			was: entry?.key ?? "",
			entry,
			pending,
			lines: entry ? this.#lines(entry, before) : [],
			user: entry?.user ?? this.#me ?? { id: "", name: "" },
			text,
			time: timeOf(one),
			edited: entry?.edited ?? 0,
			reactions: entry ? this.#reactions(entry, under) : [],
			changes,
			waiting: pending ? !pending.failed : under.some(({ kind }) => kind !== "react"),
			action: actionOf(text) !== "",
			first,
			last: index === this.count - 1 || this.#begins(index + 1),
			crossed: !!entry && (first || before?.node !== entry.node),
		};
	}

	/**
	 * Whether a row is not of the same group as the one above it.
	 * @param {number} index
	 */
	#begins(index) {
		if (index === 0) return true;
		const one = this.at(index);
		const before = this.at(index - 1);
		const [user, user2] = [this.#author(one), this.#author(before)];
		return user?.id !== user2?.id || user?.name !== user2?.name || timeOf(one) - timeOf(before) > GROUP_MS ||
			actionOf(before.text) !== "" || "id" in one && this.#lines(one, /** @type {Message} */ (before)).length > 0;
	}

	/** @param {Message | Pending} one */
	#author(one) {
		return "id" in one ? one.user : this.#me;
	}

	/**
	 * @param {Message} entry
	 * @param {Message | undefined} before
	 */
	#lines(entry, before) {
		/** @type {Line[]} */
		const lines = [];
		const seq = seqOf(entry.id);
		const gap = this.#log.gaps.get(seq);
		const { time } = entry;
		if (!before && this.#log.restarted) lines.push({ kind: "restart", time: 0 });
		if (gap) lines.push({ kind: "gap", time, gap });
		if (!before || dayOf(before.time) !== dayOf(time)) lines.push({ kind: "day", time });
		if (this.#log.newFrom === seq) lines.push({ kind: "new", time });
		return lines;
	}

	/**
	 * @param {Message} entry
	 * @param {Pending[]} changes under way
	 * @returns {Shown[]}
	 */
	#reactions({ reactions = [] }, changes) {
		const me = this.#me;
		/** @type {Map<string, Shown>} */
		const shown = new Map();
		for (const { emoji, count, users } of reactions) {
			const mine = users.some(({ id }) => id === me?.id);
			const names = users.map(({ id, name }) => (id === me?.id ? "you" : name || this.#log.nameOf(id))).filter(Boolean);
			shown.set(emoji, { emoji, count, names, mine, waiting: false });
		}
		for (const { kind, emoji = "", on = false } of changes) {
			if (kind !== "react") continue;
			const { count = 0, names = [], mine = false } = shown.get(emoji) ?? {};
			const others = names.filter((name) => name !== "you");
			shown.set(emoji, { emoji, count: count + Number(on) - Number(mine), names: on ? [...others, "you"] : others, mine: on, waiting: true });
		}
		return [...shown.values()].filter(({ count }) => count > 0);
	}
}

/** @param {Message | Pending} one */
function timeOf(one) {
	return "id" in one ? one.time : one.written;
}

/** @param {Message | Pending} one */
function keyOf(one) {
	return "id" in one ? one.id : one.key;
}
