// @ts-check
// How names are compared, and where one stands in a text. It knows no page.

import { balanced } from "./bidi.js";

/**
 * Letters of scripts that put no space between words, and of Korean, whose
 * particles follow a name directly.
 */
export const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Bopomofo}\p{sc=Hangul}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}\p{sc=Tibetan}\p{sc=Javanese}\p{sc=Balinese}\p{sc=Tai_Tham}ーｰ]/u;

/** Scripts whose words begin with particles that are written together with what follows: ל@נועה is "to @נועה". */
const PREFIXED = /[\p{sc=Hebrew}\p{sc=Arabic}]/u;

/** What words are made of. */
export const WORD = /[\p{L}\p{M}\p{N}_]/u;

/** What a name may hold (protocol.Name), with the wide spaces that its folding makes plain. */
const IN_NAME = /[\p{L}\p{M}\p{N}_. \u00a0\u3000-]/u;

/** A name has at most 32 letters (protocol.MaxNameLen); written apart from their marks they are more. */
const LONGEST = 96;

/** So many names of one room are known, as of its users. */
const KNOWN_MOST = 2000;

/**
 * What two names are compared by, as protocol.FoldName does it: case-folded NFKC.
 * Two names with the same folding are one name for the nodes.
 * @param {string} name
 */
export function foldName(name) {
	let folded = "";
	// By letter, so that a final sigma is one like the others. Only the dotless ı has a capital that folds to another letter.
	for (const c of name.normalize("NFKC")) folded += c === "ı" ? c : c.toLowerCase().toUpperCase().toLowerCase();
	return folded.normalize("NFKC");
}

/**
 * Folds a name further, so that keyboards without İ and ı write it too.
 * @param {string} folded
 */
const dotless = (folded) => folded.replaceAll("i\u0307", "i").replaceAll("ı", "i");

/**
 * Returns the folding by which a name is found in a text where no other name matches exactly.
 * @param {string} name
 */
export const looseName = (name) => dotless(foldName(name));

/** Letters that are written from right to left, and characters that begin such a direction. */
const RIGHT_TO_LEFT = /[\u200f\u202b\u2067\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/**
 * Isolates a name within words of another direction (https://www.unicode.org/reports/tr9/#Explicit_Directional_Isolates),
 * where no element can.
 * @param {string} name
 */
export function isolated(name) {
	const own = balanced(name);
	return RIGHT_TO_LEFT.test(own) ? `\u2068${own}\u2069` : own;
}

/**
 * @param {string} text
 * @param {number} at
 * @returns {string} the character that ends there; "" at the beginning
 */
export function charBefore(text, at) {
	const pair = text.slice(Math.max(0, at - 2), at);
	return (/[\ud800-\udbff][\udc00-\udfff]$/.test(pair) ? pair : pair.slice(-1));
}

/**
 * @param {string} text
 * @param {number} at
 * @returns {string} the character that begins there; "" at the end
 */
export function charAt(text, at) {
	return at < text.length ? String.fromCodePoint(text.codePointAt(at) ?? 0) : "";
}

/**
 * Reports whether a character before @ or # lets a name begin there: none does
 * in the midst of a word, unless its script has no spaces or writes particles together with names.
 * @param {string} before "" at the beginning
 */
export function opensName(before) {
	return !WORD.test(before) || UNSPACED.test(before) || PREFIXED.test(before);
}

/**
 * Reports whether a name may end in a text: what follows is not more of it.
 * @param {string} text
 * @param {number} end
 */
function endsName(text, end) {
	const next = charAt(text, end);
	if (/[._@-]/.test(next)) return !/[\p{L}\p{N}_]/u.test(charAt(text, end + 1));
	if (!WORD.test(next)) return true;
	if (/\p{M}/u.test(next)) return false;
	return UNSPACED.test(next) || UNSPACED.test(charBefore(text, end));
}

/** Names that are known, to find the longest of them in a text. */
export class Names {
	/** Another number whenever a name comes or goes. */
	version = 0;

	/** @type {Map<string, string>} as shown, by their folding; KNOWN_MOST at most */
	#exact = new Map();
	/** @type {Map<string, string>} by their folding without dots */
	#loose = new Map();

	/** @param {string[]} [names] */
	constructor(names = []) {
		for (const name of names) this.add(name);
	}

	/** @param {string} name */
	add(name) {
		const key = foldName(name);
		if (key === "" || this.#exact.get(key) === name) return;
		this.version++;
		this.#exact.set(key, name);
		this.#loose.set(dotless(key), name);
		if (this.#exact.size <= KNOWN_MOST) return;
		const [[oldest, its]] = this.#exact;
		this.#exact.delete(oldest);
		if (this.#loose.get(dotless(oldest)) === its) this.#loose.delete(dotless(oldest));
	}

	/**
	 * Counts the known names that begin with a name, which a text may mean in its place.
	 * @param {string} name
	 */
	beginning(name) {
		const key = foldName(name);
		return [...this.#exact.keys()].filter((one) => one.startsWith(key)).length;
	}

	/**
	 * Finds the longest known name at a place in a text.
	 * @param {string} text
	 * @param {number} at
	 * @returns {{name: string, end: number} | null}
	 */
	match(text, at) {
		/** @type {number[]} */
		const ends = [];
		for (let end = at; end < text.length && ends.length < LONGEST;) {
			const c = charAt(text, end);
			if (!IN_NAME.test(c)) break;
			end += c.length;
			ends.push(end);
		}
		for (const end of ends.reverse()) {
			if (!endsName(text, end)) continue;
			const key = foldName(text.slice(at, end));
			const name = this.#exact.get(key) ?? this.#loose.get(dotless(key));
			if (name !== undefined) return { name, end };
		}
		return null;
	}
}

/** A name that nobody here has, as far as it can be seen. */
const UNKNOWN = /[\p{L}\p{N}_](?:[\p{L}\p{M}\p{N}_]|[.-](?=[\p{L}\p{N}_])){0,31}/uy;

/**
 * Finds the name at a place in a text: the longest that is known, or else what
 * looks like one.
 * @param {string} text
 * @param {number} at
 * @param {Names[]} known
 * @returns {{name: string, end: number} | null}
 */
export function nameAt(text, at, known) {
	let best = null;
	for (const names of known) {
		const found = names.match(text, at);
		if (found && (!best || found.end > best.end)) best = found;
	}
	if (best) return best;
	UNKNOWN.lastIndex = at;
	const [all] = UNKNOWN.exec(text) ?? [];
	if (!all || /^@[\p{L}\p{N}_]/u.test(text.slice(at + all.length, at + all.length + 3))) return null;
	// A suffix of another script is none of its letters: さん after 佐藤, 님 after Kim.
	const first = scriptOf(charAt(all, 0));
	let end = 0;
	for (const c of all) {
		if (/\p{L}/u.test(c) && scriptOf(c) !== first) break;
		end += c.length;
	}
	return { name: all.slice(0, end), end: at + end };
}

/** @param {string} letter */
function scriptOf(letter) {
	if (!UNSPACED.test(letter)) return "";
	return /[\p{sc=Hiragana}]/u.test(letter) ? "hiragana" : /\p{sc=Hangul}/u.test(letter) ? "hangul" : "other";
}
