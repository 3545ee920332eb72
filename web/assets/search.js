// @ts-check
// What is found where one looks for words: in either case, with or without accents.

/** Marks that are left out: accents, and the points of Hebrew and Arabic. Vowels of other scripts stay. */
const MARKS = /[\u0300-\u036f\u0591-\u05c7\u064b-\u065f]/g;

/** @param {string} text */
export function fold(text) {
	return text.normalize("NFKD").replace(MARKS, "").toLowerCase();
}
