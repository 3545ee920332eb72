// @ts-check
import { COMMANDS } from "./commands.js";
import { named } from "./emoji.js";
import { fold } from "./mention.js";

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
 */

/** So many options are offered. */
const MOST = 8;

/** What has been begun right before the caret. */
const BEGUN = /(?:^|[\s(])([@#:])([^\s@#:]*)$|^(\/)([a-z]*)$/iu;

/**
 * How the word before the caret may go on.
 * @param {string} before the text up to the caret
 * @param {Sources} sources
 * @returns {Completion | null} null where there is nothing to offer
 */
export function complete(before, { names, rooms }) {
	const match = BEGUN.exec(before);
	if (!match) return null;
	const [, mark = match[3], begun = match[4]] = match;
	/** @type {Record<string, () => Option[]>} */
	const offers = {
		"@": () => starting(names(), begun).map((name) => option(`@${name}`)),
		"#": () => starting(rooms(), begun).map((room) => option(`#${room}`)),
		":": () => named(begun).map(({ emoji, names: [name] }) => ({ put: `${emoji} `, words: `:${name}:`, more: emoji })),
		"/": () => COMMANDS.filter(({ name }) => name.startsWith(begun.toLowerCase())).map(({ name, does }) => option(`/${name}`, does)),
	};
	const options = offers[mark]().slice(0, MOST);
	if (options.length === 0) return null;
	const written = fold(mark + begun);
	const whole = options.some(({ put, words }) => fold(put.trim()) === written || fold(words) === `${written}:`);
	return { from: before.length - begun.length - 1, options, whole };
}

/**
 * @param {string} words
 * @param {string} [more]
 */
function option(words, more = "") {
	return { put: `${words} `, words, more };
}

/**
 * Those that begin with the letters, or one of whose words does.
 * @param {string[]} all
 * @param {string} letters
 */
function starting(all, letters) {
	const wanted = fold(letters);
	const begins = (/** @type {string} */ one) => fold(one).startsWith(wanted);
	return [...new Set([...all.filter(begins), ...all.filter((one) => one.split(/[\s._-]/).some(begins))])];
}
