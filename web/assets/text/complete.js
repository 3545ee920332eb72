// @ts-check
import { COMMANDS } from "./commands.js";
import { opensCode } from "./markup.js";
import { charBefore, foldName, looseName, opensName, UNSPACED } from "./names.js";

/**
 * @typedef {object} Option One way to go on.
 * @property {string} put what takes the place of what was begun
 * @property {string} words shown
 * @property {string} more shown beside it; ""
 *
 * @typedef {object} Completion
 * @property {number} from where the begun word starts, in the text
 * @property {Option[]} options never empty; the likeliest first
 * @property {boolean} whole what is written is one of them already
 *
 * @typedef {object} Sources
 * @property {() => string[]} names of those who are here or spoke last
 * @property {() => string[]} rooms
 * @property {(letters: string) => import("./emoji.js").Emoji[]} [emoji] with the letters in their names, the likeliest first
 * @property {() => boolean} [moderator] whether a moderator's commands are offered
 */

/** So many options are offered. */
const MOST = 8;

/** Nothing that is begun is longer. */
const BEGUN_MOST = 100;

/** What may have been begun right before the caret. */
const BEGUN = /([@＠#＃:：])([^\s@＠#＃:：]*)$|^(\/)([a-z]*)$/iu;

/**
 * How the word before the caret may go on.
 * @param {string} before the text up to the caret
 * @param {Sources} sources
 * @returns {Completion | null} null where there is nothing to offer
 */
export function complete(before, { names, rooms, emoji, moderator }) {
	const match = BEGUN.exec(before.slice(-BEGUN_MOST));
	if (!match) return null;
	const [all, wide = match[3], begun = match[4]] = match;
	const from = before.length - all.length;
	const mark = wide.normalize("NFKC");
	if (mark !== "/" && !begins(before, from, mark) || from > 0 && mark === "/") return null;
	/** @type {Record<string, () => Option[]>} */
	const offers = {
		"@": () => starting(names(), begun).map((name) => option(`@${name}`)),
		"#": () => starting(rooms(), begun).map((room) => option(`#${room}`)),
		":": () => (emoji?.(foldName(begun)) ?? []).map(({ emoji: put, names: [name] }) => ({ put: `${put} `, words: `:${name}:`, more: put })),
		"/": () => COMMANDS.filter(({ name, mod }) => (!mod || moderator?.()) && name.startsWith(begun.toLowerCase())).map(({ name, does }) => option(`/${name}`, does)),
	};
	const options = offers[mark]().slice(0, MOST);
	if (options.length === 0) return null;
	const written = looseName(mark + begun);
	const whole = options.some(({ put, words }) => looseName(put.trim()) === written || looseName(words) === `${written}:`);
	return { from, options, whole };
}

/**
 * Reports whether a name, room or emoji may begin where its mark stands: not within a
 * word, code, or an address.
 * @param {string} text
 * @param {number} at
 * @param {string} mark
 */
function begins(text, at, mark) {
	const before = charBefore(text, at);
	if (mark === ":" ? !/^[\s(]?$/.test(before) && !UNSPACED.test(before) : !opensName(before) || /[/&#@\\]/.test(before)) return false;
	return !opensCode(text.slice(0, at));
}

/**
 * @param {string} words
 * @param {string} [more]
 */
function option(words, more = "") {
	return { put: `${words} `, words, more };
}

/**
 * Returns the names that begin with the letters, then those with such a word in them, compared as
 * mentions are. The order is kept, but the name that is written whole comes first, and each name
 * before the longer ones that begin with it.
 * @param {string[]} all
 * @param {string} letters
 */
function starting(all, letters) {
	// Letters apart from their marks, and syllables in their letters: ㄱ begins 김.
	const parts = (/** @type {string} */ one) => looseName(one).normalize("NFKD");
	const wanted = parts(letters);
	/** @type {Map<string, string[]>} */
	const beginning = new Map();
	for (const one of all) {
		const key = parts(one);
		if (key.startsWith(wanted)) beginning.set(key, [...(beginning.get(key) ?? []), one]);
	}
	/** @type {Set<string>} */
	const sorted = new Set(letters ? all.filter((one) => foldName(one) === foldName(letters)) : []);
	for (const key of beginning.keys()) {
		if (sorted.size >= MOST) break;
		for (let end = letters ? wanted.length : key.length; end <= key.length; end++) beginning.get(key.slice(0, end))?.forEach((one) => sorted.add(one));
	}
	for (const one of all) if (one.split(/[\s._-]/).some((word) => parts(word).startsWith(wanted))) sorted.add(one);
	return [...sorted];
}
