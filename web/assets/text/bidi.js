// @ts-check
// Characters that change the direction of text
// (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters).

/** @typedef {import("./markup.js").Inline} Inline */
/** @typedef {import("./markup.js").Mark} Mark */

/** Marks, embeddings, overrides and isolates, as part of a character class. */
export const TURNS = "\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069";

/** Overrides: they turn around letters that have a direction of their own. */
export const OVERRIDES = /[\u202d\u202e]/g;

/** What opens and closes a direction, and what ends a line, where every direction ends. */
const SIGNIFICANT = /[\u202a-\u202e\u2066-\u2069]|[\n\r\u2029]/g;

/** What closes an embedding (PDF), and an isolate (PDI). */
const PDF = "\u202c";
const PDI = "\u2069";

/**
 * Returns a text that does not change the direction of what surrounds it: without
 * overrides, with each embedding and isolate closed at the end of its line, and without
 * characters that close what the text did not open.
 * @param {string} text
 * @returns {string}
 */
export function balanced(text) {
	if (text.search(/[\u202a-\u202e\u2066-\u2069]/) < 0) return text;
	/** What closes the open directions, the innermost last; "" for an override. @type {string[]} */
	const open = [];
	const ended = (/** @type {number} */ from) => open.splice(from).reverse().join("");
	return text.replace(SIGNIFICANT, (sign) => {
		if (sign === PDI) {
			const isolate = open.lastIndexOf(PDI); // ends the embeddings within it too
			return isolate < 0 ? "" : ended(isolate);
		}
		if (sign === PDF) {
			const inner = open.at(-1);
			return inner === undefined || inner === PDI ? "" : open.pop() ?? "";
		}
		if (/[\n\r\u2029]/.test(sign)) return ended(0) + sign;
		open.push(sign === "\u202d" || sign === "\u202e" ? "" : sign <= "\u202b" ? PDF : PDI);
		return open[open.length - 1] ? sign : "";
	}) + ended(0);
}

/** A character that has a direction of its own. */
const STRONG = /[\p{L}\u200e\u200f]/u;

/**
 * Returns the names and words of links that give their line its direction: the first one of each
 * line in which nothing else has a direction. All others are isolated.
 * @param {Inline[]} inlines
 * @returns {Set<Inline>}
 */
export function leading(inlines) {
	/** @type {Set<Inline>} */
	const leads = new Set();
	/** @type {Mark | null} */
	let first = null;
	let decided = false;
	const end = () => {
		if (first && !decided) leads.add(first);
		first = null;
		decided = false;
	};
	const read = (/** @type {Inline[]} */ list) => {
		for (const one of list) {
			if (typeof one === "string") {
				one.split("\n").forEach((line, i) => {
					if (i > 0) end();
					decided ||= STRONG.test(line);
				});
			} else if (/^(bold|italic|strike|emoji)$/.test(one.kind)) {
				read(one.inlines);
			} else if (!first && (one.kind === "mention" || one.kind === "link" && !isBare(one)) && STRONG.test(one.inlines.join(""))) {
				first = one;
			}
		}
	};
	read(inlines);
	end();
	return leads;
}

/**
 * Reports whether a link shows its address, and no words of its own.
 * @param {Mark} link
 */
export const isBare = ({ to = "", inlines: [words] }) => words === to || `mailto:${words}` === to;
