// @ts-check
import { seqOf } from "../wire.js";
import { dayOf } from "./text.js";

/** @typedef {import("../wire.js").Entry} Entry */
/** @typedef {import("../wire.js").User} User */
/** @typedef {import("../outbox.js").Pending} Pending */
/** @typedef {import("../roomlog.js").RoomLog} RoomLog */

/** Messages of one person this close together are one group, in milliseconds. */
const GROUP_MS = 5 * 60 * 1000;

/**
 * @typedef {object} Item What one element of the log shows.
 * @property {string} key by which its element is known
 * @property {"day" | "gap" | "restart" | "message" | "pending"} kind
 * @property {number} time
 * @property {string} [was] the key it had while it was pending
 * @property {Entry} [entry]
 * @property {Pending} [pending]
 * @property {import("../roomlog.js").Gap} [gap]
 * @property {boolean} [first] of a group
 * @property {boolean} [last] of a group
 * @property {boolean} [crossed] taken by another node than the one before it
 */

/**
 * Lays a room out: days, gaps, messages in their order, then what is pending.
 * @param {RoomLog} log
 * @param {Pending[]} pending
 * @param {User | null} me
 * @returns {Item[]}
 */
export function layOut(log, pending, me) {
	/** @type {Item[]} */
	const items = [];
	/** @type {Entry | null} */
	let before = null;
	if (log.restarted) items.push({ key: "restart", kind: "restart", time: 0 });
	for (const entry of log.entries) {
		const seq = seqOf(entry.id);
		const gap = log.gaps.get(seq);
		if (gap) items.push({ key: `gap ${seq}`, kind: "gap", time: entry.time, gap });
		const newDay = !before || dayOf(before.time) !== dayOf(entry.time);
		if (newDay) items.push({ key: `day ${dayOf(entry.time)} ${gap ? seq : ""}`, kind: "day", time: entry.time });
		const first = newDay || !!gap || !before || before.user.id !== entry.user.id ||
			before.user.name !== entry.user.name || entry.time - before.time > GROUP_MS;
		const crossed = first || before?.node !== entry.node;
		items.push({ key: `seq ${seq}`, was: entry.key, kind: "message", time: entry.time, entry, first, crossed });
		before = entry;
	}
	let first = !before || before.user.id !== me?.id || Date.now() - before.time > GROUP_MS;
	for (const one of pending) {
		items.push({ key: one.key, kind: "pending", time: one.written, pending: one, first });
		first = false;
	}
	// Told here, because a style sheet that asks for the next element is slow on
	// a thousand of them.
	items.forEach((item, i) => (item.last = !items[i + 1] || items[i + 1].first !== false));
	return items;
}
