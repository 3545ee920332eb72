// @ts-check

/** What a word is made of: next to it an @name is another one, or an address. */
const WORD = /[\p{L}\p{M}\p{N}_-]/u;

/**
 * Whether somebody is named in a text, as @name, in letters of either case.
 * @param {string} text
 * @param {string} name "" is nobody's
 * @returns {boolean}
 */
export function mentions(text, name) {
	if (name === "") return false;
	const folded = fold(text);
	const wanted = `@${fold(name)}`;
	for (let at = folded.indexOf(wanted); at >= 0; at = folded.indexOf(wanted, at + 1)) {
		// By code point: a letter may be two units long.
		const before = [...folded.slice(Math.max(0, at - 2), at)].at(-1) ?? "";
		const after = String.fromCodePoint(folded.codePointAt(at + wanted.length) ?? 0x20);
		if (!WORD.test(before) && !WORD.test(after)) return true;
	}
	return false;
}

/** @param {string} text the same in all places, whatever the browser speaks */
export function fold(text) {
	return text.normalize("NFC").toLowerCase();
}
