// @ts-check
// What is found where one looks for words: in either case, with or without accents.

import { fold } from "./fold.js";

export { fold };

/** How much of a text is shown around what was found, in letters: before it, and in all. */
const AROUND = Object.freeze({ before: 40, all: 200 });

/** @param {string} query @returns {string[]} the words that must all be there */
export function wordsOf(query) {
	return fold(query).split(/\s+/).filter(Boolean);
}

/**
 * The newest messages that have all the words.
 * @template {{text: string}} T
 * @param {T[]} messages the oldest first
 * @param {string[]} words
 * @param {number} most
 * @returns {T[]} the newest first
 */
export function search(messages, words, most) {
	/** @type {T[]} */
	const found = [];
	for (let i = messages.length; i-- > 0 && words.length > 0 && found.length < most;) {
		const text = folded(messages[i]);
		if (words.every((word) => text.includes(word))) found.push(messages[i]);
	}
	return found;
}

/**
 * What is around the first of the words in a text.
 * @param {string} text
 * @param {string[]} words
 * @returns {{text: string, hit: boolean}[]} its pieces, in order
 */
export function around(text, words) {
	/** Where the letters of the folded text are from. @type {number[]} */
	const from = [];
	let all = "";
	let at = 0;
	for (const letter of text) {
		const plain = fold(letter);
		for (let i = 0; i < plain.length; i++) from.push(at);
		all += plain;
		at += letter.length;
	}
	from.push(at);
	const next = (/** @type {number} */ since) => words
		.map((word) => ({ start: all.indexOf(word, since), end: all.indexOf(word, since) + word.length }))
		.filter(({ start }) => start >= 0)
		.sort((a, b) => a.start - b.start || b.end - a.end)[0];
	const first = next(0)?.start ?? 0;
	const start = first > AROUND.before ? first - AROUND.before : 0;
	const last = Math.min(all.length, start + AROUND.all);
	const pieces = [{ text: start ? "…" : "", hit: false }];
	const add = (/** @type {number} */ a, /** @type {number} */ b, /** @type {boolean} */ hit) => void (a < b && pieces.push({ text: text.slice(a, b), hit }));
	let done = from[start];
	for (let hit = next(start); hit && hit.start < last; hit = next(hit.end)) {
		// Where it ends within a letter (하 in 한), the letter is marked as a whole.
		let end = hit.end;
		while (end < all.length && from[end] === from[hit.end - 1]) end++;
		add(done, from[hit.start], false);
		add(Math.max(done, from[hit.start]), from[end], true);
		done = Math.max(done, from[end]);
	}
	add(done, from[last], false);
	if (last < all.length) pieces.push({ text: "…", hit: false });
	return pieces.filter((piece) => piece.text);
}

/** What was folded once; a message that is changed is another object. @type {WeakMap<object, string>} */
const known = new WeakMap();

/** @param {{text: string}} message */
function folded(message) {
	let text = known.get(message);
	if (text === undefined) known.set(message, (text = fold(message.text)));
	return text;
}
