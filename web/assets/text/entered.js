// @ts-check
// What of a text that was entered can be sent: nodes refuse control characters but
// newline and tab (protocol.Text).

import { OVERRIDES } from "./bidi.js";

/**
 * Returns a text without control characters, and without those that override the direction of
 * letters. Those that break a line in other programs (U+000B of Word, form feed, U+0085) become
 * newlines.
 * @param {string} text
 */
export function withoutControls(text) {
	return text.replace(/\r\n?|[\v\f\u0085]/g, "\n").replace(/(?![\n\t])\p{Cc}/gu, "").replace(OVERRIDES, "");
}

/**
 * Reports whether nothing of a text can be seen: space and default ignorable
 * characters alone, such as U+200B.
 * @param {string} text
 */
export const isBlank = (text) => !/(?!\p{DI})\S/u.test(text);
