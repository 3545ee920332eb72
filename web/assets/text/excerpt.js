// @ts-check
// Other texts that are made of a message's tree: what is quoted, read out and sent of it.

import { balanced } from "./bidi.js";
import { actionOf, marksOf, parse } from "./markup.js";

/** @typedef {import("./markup.js").Block} Block */
/** @typedef {import("./markup.js").Inline} Inline */

/**
 * Returns a message as it is read out or notified: the words that are shown, without
 * marks and without what it quotes, unless there is nothing else.
 * @param {string} text
 * @param {string} name of its author, with whom an action begins
 * @param {number} most so many characters, with what stands for the rest
 * @returns {string} of one line
 */
export function plainOf(text, name, most) {
	const action = actionOf(text);
	const tree = parse(text.slice(action.length));
	const own = tree.filter(({ kind }) => kind !== "quote");
	const letters = [...(action && `${name} `) + wordsOf(own.length > 0 ? own : tree)];
	return balanced(letters.length > most ? `${letters.slice(0, most - 1).join("").trimEnd()}…` : letters.join(""));
}

/**
 * @param {Block[]} tree
 * @returns {string}
 */
function wordsOf(tree) {
	/** @type {string[]} */
	const pieces = [];
	/** @param {Inline[]} inlines @returns {string} */
	const shown = (inlines) => inlines.map((one) => (typeof one === "string" ? one : shown(one.inlines))).join("");
	const add = (/** @type {Block} */ { inlines = [], items = [], blocks = [], text = "", ordered }) => {
		pieces.push(shown(inlines), text);
		for (const { value, inlines, lists } of items) {
			pieces.push((ordered ? `${value}${ordered} ` : "") + shown(inlines));
			lists.forEach(add);
		}
		blocks.forEach(add);
	};
	tree.forEach(add);
	return pieces.map(oneLine).filter(Boolean).join(" ");
}

/** @param {string} source */
const oneLine = (source) => source.trim().split(/\s+/).join(" ");

/**
 * Returns a text with emoji in place of their :names:, which have none in code and addresses.
 * @param {string} text
 * @param {(name: string) => string | undefined} emoji undefined for what is no name
 */
export function withEmoji(text, emoji) {
	let done = 0;
	let all = "";
	for (const { at = 0, to = "" } of shortcodes(text)) {
		const sign = emoji(to);
		if (sign === undefined) continue;
		all += text.slice(done, at) + sign;
		done = at + to.length + 2;
	}
	return all + text.slice(done);
}

/**
 * Returns what may be names of emoji in a text.
 * @param {string} text
 */
export function shortcodes(text) {
	return text.includes(":") ? marksOf(parse(text), "emoji", true) : [];
}

/** Of so many characters of code between fences a quote has all. */
const CODE_MOST = 1000;

/**
 * Returns a text as it is quoted: without what it quotes itself, its words as one line
 * of so many characters at most, and code blocks as they are, as far as CODE_MOST.
 * @param {string} text
 * @param {number} most
 * @returns {string} lines, without the signs before them
 */
export function quoteOf(text, most) {
	/** @type {string[]} */
	const lines = [];
	/** The words since the last code block. @type {string[]} */
	let words = [];
	let left = { words: most, code: CODE_MOST };
	const end = () => {
		if (words.length > 0) lines.push(balanced(words.join(" ")));
		words = [];
	};
	const say = (/** @type {string} */ source) => {
		const line = oneLine(source);
		if (!line || left.words <= 0) return;
		const letters = [...line];
		words.push(letters.length > left.words ? cut(letters.slice(0, left.words).join("")) : line);
		left = letters.length > left.words ? { words: 0, code: 0 } : { ...left, words: left.words - letters.length - 1 };
	};
	const add = (/** @type {Block} */ { kind, source = "", items = [], text: code = "" }) => {
		if (kind === "text") say(source);
		if (kind === "code" && left.code > 0) {
			end();
			const letters = [...code];
			lines.push("```", ...balanced(letters.length > left.code ? `${letters.slice(0, left.code).join("")}…` : code).split("\n"), "```");
			left = { ...left, code: left.code - letters.length };
		}
		for (const item of items) {
			say(item.source);
			item.lists.forEach(add);
		}
	};
	parse(text.slice(actionOf(text).length)).forEach(add);
	end();
	return lines.join("\n");
}

/** @param {string} text */
/**
 * Ends what was cut off: half an address would lead elsewhere, and half of code be none.
 * @param {string} text
 */
function cut(text) {
	const [ticks] = /^`+/.exec(text) ?? [];
	const whole = text.replace(/\S*:\/\/\S*$/, "");
	return ticks ? `${text}…${ticks}` : `${whole}…`;
}
