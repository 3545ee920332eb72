// @ts-check
// Where addresses in a text end.

import { TURNS } from "./bidi.js";
import { charAt, WORD } from "./names.js";

/**
 * What ends an address: space, what changes the direction (it would hide where the address leads), quotation marks, and the punctuation of scripts that put
 * no space after it. Brackets other than ASCII's are of the text around it.
 */
const STOPS = new RegExp(`[\\s\\p{Cc}<>"\`\\\\${TURNS}‘“”„«»‹›。｡，､、！？；：…‥،؛؟۔।॥።፣]|(?![()\\[\\]{}])[\\p{Ps}\\p{Pe}]`, "u");

/** What is not part of an address at its end: a sentence's marks, those of a text, and a bracket that nothing closes. */
const TAIL = /[.,;:!?*_~'’([{]|(?![!-~])\p{P}/u;

/** @type {Record<string, string>} */
const OPENS = { ")": "(", "]": "[", "}": "{" };

/**
 * Returns the end of the address whose host begins at a place in a text. Brackets
 * are part of it as far as they are balanced.
 * @param {string} text
 * @param {number} at
 * @param {boolean} italic whether a _ at its end closes what is italic; else it is part of the address
 */
export function addressEnd(text, at, italic) {
	/** @type {Record<string, number>} */
	const open = { "(": 0, "[": 0, "{": 0 };
	let host = true;
	let end = at;
	for (let c; (c = charAt(text, end)) && !STOPS.test(c); end += c.length) {
		if (/[/?#]/.test(c)) host = false;
		if (/['’]/.test(c) && (host || !WORD.test(charAt(text, end + 1)))) break;
		if (c in open) open[c]++;
		if (c in OPENS && --open[OPENS[c]] < 0) break;
	}
	while (end > at && TAIL.test(text[end - 1]) && (italic || text[end - 1] !== "_")) end--;
	return end;
}

/**
 * Returns the end of the target of a link that is written as [words](target).
 * @param {string} text
 * @param {number} at where the target begins
 * @returns {number} where its closing bracket is; -1 where there is none
 */
export function targetEnd(text, at) {
	const target = text.slice(at, at + TARGET_MOST);
	let open = 0;
	for (const { 0: bracket, index } of target.matchAll(NO_TARGET)) {
		if (bracket === "(") open++;
		else if (bracket !== ")") return -1;
		else if (open-- === 0) return at + index;
	}
	return -1;
}

/** The target of a link with words of its own is no longer. */
const TARGET_MOST = 1000;

const NO_TARGET = new RegExp(`[\\s<>"\`${TURNS}()]`, "gu");

/**
 * Reports whether an address is one that a link may lead to.
 * @param {string} url
 */
export const isAddress = (url) => URL.canParse(url) && /^(https?|mailto):$/.test(new URL(url).protocol);
