// @ts-check
// How words are compared where one looks for them.

/** Marks that are left out: accents, and the points of Hebrew and Arabic. Vowels of other scripts stay. */
const MARKS = /[\u0300-\u036f\u0591-\u05c7\u064b-\u065f]/g;

/** Signs that keyboards and programs write in place of each other. @type {[RegExp, string][]} */
const SIGNS = [[/[‘’‚‛′ʼ`´]/g, "'"], [/[“”„‟″«»]/g, '"'], [/[\u2010-\u2015\u2212]/g, "-"], [/ß/g, "ss"], [/ı/g, "i"], [/ς/g, "σ"], [/ø/g, "o"], [/ł/g, "l"], [/đ/g, "d"]];

/** @param {string} text */
export function fold(text) {
	// ʼ and ´ fold to others under NFKD, so they are looked at before.
	let folded = text.replace(/´/g, "'").normalize("NFKD").replace(MARKS, "").toLowerCase().normalize("NFKD").replace(MARKS, "");
	for (const [sign, plain] of SIGNS) folded = folded.replace(sign, plain);
	return folded;
}
