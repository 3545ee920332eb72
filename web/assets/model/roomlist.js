// @ts-check
// What the list of one's rooms comes to: in words, and in an order. It knows no page.

/**
 * @typedef {object} Row A room of the list.
 * @property {string} room
 * @property {number} count of users online; 0 when not known
 * @property {number} unread
 * @property {boolean} more there are more unread ones than are known
 * @property {number} mentions how many of the unread ones name oneself
 * @property {boolean} muted only mentions count there
 *
 * @typedef {object} Total What all rooms come to.
 * @property {number} unread
 * @property {boolean} more
 * @property {number} mentions
 */

/**
 * Returns the path of a room's page.
 * @param {string} room
 */
export function pathOf(room) {
	return `/r/${encodeURIComponent(room)}`;
}

/**
 * The rows of one's own rooms, and of others.
 * @param {string[]} own
 * @param {import("../net/wire.js").RoomCount[]} listed by the node
 * @param {Map<string, import("./roomlog.js").RoomLog>} logs
 * @param {string[]} mute
 * @returns {{own: Row[], others: Row[]}}
 */
export function rowsOf(own, listed, logs, mute) {
	const counts = new Map(listed.map(({ room, count }) => [room, count]));
	const row = (/** @type {string} */ room) => {
		const log = logs.get(room);
		const muted = mute.includes(room);
		const { unread = 0, unreadMore = false, mentions = 0 } = log ?? {};
		return {
			room,
			count: log?.loaded ? log.count : counts.get(room) ?? 0,
			unread: muted ? mentions : unread,
			more: unreadMore && !muted,
			mentions,
			muted,
		};
	};
	const others = listed.map(({ room }) => room).filter((room) => !own.includes(room));
	return { own: own.map(row), others: others.map(row) };
}

/** The room that is there for everyone. */
export const LOBBY = "lobby";

/** Beyond it nobody counts. */
const COUNTED = 99;

/**
 * @param {Row[]} rows
 * @returns {Total}
 */
export function totalOf(rows) {
	const sum = (/** @type {(row: Row) => number} */ of) => rows.reduce((all, row) => all + of(row), 0);
	return { unread: sum(({ unread }) => unread), more: rows.some(({ more }) => more), mentions: sum(({ mentions }) => mentions) };
}

/**
 * What a badge says: mentions come first.
 * @param {Total} total
 * @returns {string} "@2", "7", "50+", "99+"; ""
 */
export function badgeOf({ unread, more, mentions }) {
	if (mentions > 0) return mentions > COUNTED ? `@${COUNTED}+` : `@${mentions}`;
	if (unread === 0) return "";
	return unread > COUNTED ? `${COUNTED}+` : `${unread}${more ? "+" : ""}`;
}

/**
 * The same in words.
 * @param {Total} total
 * @returns {string} "5 unread, 2 of them name you"; ""
 */
export function unreadWords({ unread, more, mentions }) {
	if (unread === 0) return "";
	const named = mentions === 1 ? ", 1 of them names you" : mentions ? `, ${mentions} of them name you` : "";
	return `${more ? "at least " : ""}${unread.toLocaleString()} unread${named}`;
}

/**
 * The room before or after the one that is looked at, as they are listed; round and round.
 * @param {Row[]} own
 * @param {string} current
 * @param {1 | -1} step
 * @param {boolean} unread only rooms where something is unread
 * @returns {string} "" where there is none
 */
export function besides(own, current, step, unread) {
	const at = own.findIndex(({ room }) => room === current);
	for (let i = 1; i < own.length; i++) {
		const row = own[(at + i * step + own.length) % own.length];
		if (!unread || row.unread > 0) return row.room;
	}
	return "";
}
