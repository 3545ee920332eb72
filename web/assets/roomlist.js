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
