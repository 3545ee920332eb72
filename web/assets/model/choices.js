// @ts-check
import { fold } from "../text/fold.js";

/**
 * @typedef {import("./roomlist.js").Row} Row
 *
 * @typedef {object} Choice A room that one may go to.
 * @property {string} room
 * @property {Row | null} row null for one that is in no list
 */

/** So many rooms are offered at once. */
const OFFERED = 50;

/**
 * The rooms to choose from: one's own, first where one is named and where something is
 * unread, then as they were visited; then others; at last whatever was typed.
 * @param {{own: Row[], others: Row[]}} rows
 * @param {string[]} recent the one visited last first
 * @param {string} current the one that is looked at; it is not offered unless asked for
 * @param {string} typed
 * @returns {Choice[]}
 */
export function choicesOf({ own, others }, recent, current, typed) {
	const wanted = typed.trim().replace(/^#/, "");
	const folded = fold(wanted);
	const place = (/** @type {Row} */ { room }) => recent.indexOf(room) + 1 || recent.length + 1;
	const rank = (/** @type {Row} */ { unread, mentions }) => (mentions ? 0 : unread ? 1 : 2);
	const begins = (/** @type {Row} */ { room }) => (fold(room).startsWith(folded) ? 0 : 1);
	const mine = [...own].sort((a, b) => rank(a) - rank(b) || place(a) - place(b));
	const fits = [...mine, ...others].filter(({ room }) => (wanted ? fold(room).includes(folded) : room !== current));
	/** @type {Choice[]} */
	const choices = fits.sort((a, b) => begins(a) - begins(b)).slice(0, OFFERED).map((row) => ({ room: row.room, row }));
	const known = fits.some(({ room }) => room === wanted.toLowerCase());
	return wanted && !known ? [...choices, { room: wanted, row: null }] : choices;
}
