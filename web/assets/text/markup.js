// @ts-check
// What the marks in a text mean, as a tree. It knows no page. Whatever is drawn,
// counted, notified or quoted of a text comes from this tree. All of it is linear
// in the text's length, however the marks are nested.

import { addressEnd, isAddress, targetEnd } from "./address.js";
import { charAt, charBefore, nameAt, opensName, UNSPACED, WORD } from "./names.js";

/** @typedef {import("./names.js").Names} Names */

/**
 * @typedef {object} Item One of a list.
 * @property {number} [value] its number as it was written
 * @property {Inline[]} inlines
 * @property {Block[]} lists within it
 * @property {string} source the line as it was written
 *
 * @typedef {object} Block
 * @property {"text" | "quote" | "code" | "list"} kind
 * @property {Inline[]} [inlines] of a text
 * @property {string} [source] of a text as it was written
 * @property {Block[]} [blocks] of a quote
 * @property {string} [text] of a code block
 * @property {Item[]} [items] of a list
 * @property {"" | "." | ")"} [ordered] what follows the numbers of a list; "" where it has none
 *
 * @typedef {object} Mark
 * @property {"bold" | "italic" | "strike" | "code" | "link" | "entry" | "room" | "mention" | "emoji"} kind
 * @property {Inline[]} inlines what is shown
 * @property {string} [to] the address, entry, room or name that it stands for
 * @property {number} [at] of an emoji's name: where it begins in the text
 * @property {boolean} [answers] of a mention: the author of the message that is quoted
 *
 * @typedef {string | Mark} Inline
 */

/** Marks within marks, quotes within quotes and lists within lists, at most. */
const DEEPEST = { marks: 8, quotes: 3, lists: 4 };

/** Code between fences, and lines that are a quote. */
const CONTAINED = /```(?:[\w+#.-]*\n)?([\s\S]*?)```|^>.*(?:\n>.*)*/gm;
const QUOTED = /^> ?/gm;
const LISTED = /^([ \t]*)(?:[-*]|(\d{1,9})([.)])) +(?=\S)/;

/** The beginning of a reply's quote: who said it, in which entry. */
const ANSWERED = /^@([^\n]{1,64}?) #(\d{1,16}-\d{1,16})(?=:)/;

/**
 * What has a meaning within a line, by the names of its groups. A backslash is removed only before
 * what would be a mark, unlike in CommonMark: most of those that people write are of paths, patterns
 * and formulas, and stay.
 */
const INLINE = new RegExp(
	[
		"(?<shrug>¯\\\\{1,2}_[^\\s_]{1,10}_\\/¯)",
		"(?<path>(?:(?<![\\p{L}\\p{N}])[A-Za-z]:|\\\\\\\\[\\w.$-]+)\\\\[^\\s*`]*)", // of Windows: its backslashes stay
		"\\\\(?:(?<escaped>[*_~`@＠#＃]|(?<=\\d\\\\)[.)]|(?<=^ {0,3}\\\\)[>-])|(?=\\\\?\\[[^\\[\\]\\n]{1,200}\\]\\()(?<bracket>\\\\?\\[)|(?<emoji>:[\\w+-]+:)|(?<back>\\\\)(?=[*_~`@＠#＃]))",
		"(?<ticks>`+)",
		"\\[(?<words>[^\\[\\]\\n]{1,200})\\]\\((?=[hH][tT][tT][pP][sS]?:\\/\\/|mailto:)",
		"(?<scheme>[hH][tT][tT][pP][sS]?:\\/\\/)",
		"(?<mail>(?:mailto:)?[\\w.+-]{1,64}@[\\w-]{1,63}(?:\\.[\\w-]{1,63}){1,8})",
		"[#＃](?<entry>\\d{1,16}-\\d{1,16})(?![\\w-])",
		"[#＃](?<room>(?=[\\d._-]*[a-zA-Z])[a-zA-Z0-9_-](?:[a-zA-Z0-9._-]{0,62}[a-zA-Z0-9_-])?)",
		"(?<at>[@＠])",
		"(?<![\\w:]):(?<short>[\\w+-]+):(?![\\w:])",
		"(?<delimiter>\\*+|~+|_+)",
	].join("|"),
	"gmu",
);

/** Where a place in a piece of the text is in the whole. @typedef {(at: number) => number} Place */

/** @type {Record<string, "bold" | "italic" | "strike">} */
const DELIMITERS = { "**": "bold", "*": "italic", "_": "italic", "~~": "strike" };

/**
 * Returns the command at the beginning of a text that says what its author does.
 * @param {string} text
 * @returns {string} "" where the text says what they say
 */
export const actionOf = (text) => /^\/me (?=\S)/.exec(text)?.[0] ?? "";

/**
 * Returns a text's tree.
 * @param {string} text
 * @param {Names[]} [names] that may be mentioned; others are found by their looks
 * @returns {Block[]}
 */
export function parse(text, names = []) {
	return blocks(text, names, 0, (at) => at);
}

/**
 * Returns the marks of one kind, in the order of the text.
 * @param {Block[]} tree
 * @param {Mark["kind"]} kind
 * @param {boolean} [quotes] those in quotes too
 * @returns {Mark[]}
 */
export function marksOf(tree, kind, quotes = false) {
	/** @type {Mark[]} */
	const found = [];
	const walk = (/** @type {Inline[]} */ inlines) => {
		for (const one of inlines) {
			if (typeof one === "string") continue;
			if (one.kind === kind) found.push(one);
			else walk(one.inlines);
		}
	};
	const add = (/** @type {Block} */ { inlines = [], items = [], blocks = [] }) => {
		walk(inlines);
		for (const item of items) {
			walk(item.inlines);
			item.lists.forEach(add);
		}
		if (quotes) blocks.forEach(add);
	};
	tree.forEach(add);
	return found;
}

/**
 * Returns the names that a text mentions, to notify those who have them: not in
 * code, in addresses, nor in a quote, but for the author of what is answered.
 * @param {Block[]} tree
 * @returns {string[]}
 */
export function mentioned(tree) {
	const answered = tree.flatMap(({ blocks }) => {
		const [head] = blocks?.[0]?.inlines ?? [];
		return typeof head === "object" && head.answers ? [head] : [];
	});
	return [...marksOf(tree, "mention"), ...answered].map(({ to = "" }) => to);
}

/**
 * Reports whether code begins in a text and does not end in it: backticks or a fence after the
 * text would make code of what follows. The parser tells by an emoji's name, which is none in code.
 * @param {string} text
 */
export const opensCode = (text) =>
	["`", "``", "```"].some((close) => marksOf(parse(`${text} :x:${close}`), "emoji", true).at(-1)?.at !== text.length + 1);

/**
 * @param {string} text
 * @param {Names[]} names
 * @param {number} depth of quotes
 * @param {Place} place
 * @returns {Block[]}
 */
function blocks(text, names, depth, place) {
	/** @type {Block[]} */
	const found = [];
	let at = 0;
	for (const match of text.matchAll(CONTAINED)) {
		const [whole, code] = match;
		if (code === undefined ? depth >= DEEPEST.quotes : !code.trim()) continue;
		found.push(...lines(text.slice(at, match.index).replace(/\n$/, ""), names, within(place, at)));
		if (code === undefined) found.push({ kind: "quote", blocks: quoted(whole.replace(QUOTED, ""), names, depth, unquoted(whole, within(place, match.index))) });
		else found.push({ kind: "code", text: code.replace(/\n$/, "") });
		at = match.index + whole.length;
		if (text[at] === "\n") at++;
	}
	found.push(...lines(text.slice(at), names, within(place, at)));
	return trimmed(found);
}

/**
 * @param {Place} place
 * @param {number} from where a piece begins
 * @returns {Place} of that piece
 */
const within = (place, from) => (at) => place(from + at);

/**
 * @param {string} text a quote
 * @param {Place} place
 * @returns {Place} of what is quoted, without the signs before its lines
 */
function unquoted(text, place) {
	const signs = [...text.matchAll(QUOTED)];
	return (at) => {
		for (const { 0: sign, index } of signs) if (index <= at) at += sign.length;
		return place(at);
	};
}

/**
 * @param {string} text what is quoted
 * @param {Names[]} names
 * @param {number} depth
 * @param {Place} place
 */
function quoted(text, names, depth, place) {
	const [head, name, entry] = ANSWERED.exec(text) ?? [];
	if (!head) return blocks(text, names, depth + 1, place);
	/** @type {Inline[]} */
	const inlines = [{ kind: "mention", to: name, inlines: [`@${name}`], answers: true }, " ", { kind: "entry", to: entry, inlines: [`#${entry}`] }];
	const [first, ...others] = blocks(text.slice(head.length), names, depth + 1, within(place, head.length));
	const rest = first?.kind === "text" ? first.inlines ?? [] : [];
	return [{ kind: /** @type {const} */ ("text"), inlines: [...inlines, ...rest], source: head + (first?.source ?? "") }, ...others];
}

/**
 * Takes the blank lines beside blocks away: those have a space of their own.
 * @param {Block[]} found
 */
function trimmed(found) {
	const plain = (/** @type {number} */ i) => (found[i]?.kind ?? "text") === "text";
	found.forEach(({ kind, inlines }, i) => {
		if (kind !== "text" || !inlines) return;
		const last = inlines.length - 1;
		if (!plain(i + 1) && typeof inlines[last] === "string") inlines[last] = inlines[last].replace(/\n$/, "");
		if (!plain(i - 1) && typeof inlines[0] === "string") inlines[0] = inlines[0].replace(/^\n/, "");
	});
	return found.filter(({ kind, source }) => kind !== "text" || source !== "");
}

/**
 * @param {string} text without code blocks and quotes
 * @param {Names[]} names
 * @param {Place} place
 * @returns {Block[]}
 */
function lines(text, names, place) {
	if (!text) return [];
	/** @type {Block[]} */
	const found = [];
	/** @type {string[]} */
	let plain = [];
	/** The lists that go on, each within an item of the one before. @type {{indent: number, list: Block}[]} */
	let open = [];
	let next = 0; // where the next line begins
	const end = () => {
		const source = plain.join("\n");
		if (plain.length > 0) found.push({ kind: "text", inlines: inline(source, names, within(place, next - source.length - 1)), source });
		plain = [];
	};
	for (const line of text.split("\n")) {
		const listed = LISTED.exec(line);
		const indent = listed ? listed[1].replaceAll("\t", "    ").length : 0;
		if (!listed || indent > 3 && open.length === 0) {
			open = [];
			plain.push(line);
			next += line.length + 1;
			continue;
		}
		end();
		const [marker, , number, ordered = ""] = listed;
		while (open.length > 1 && indent < open[open.length - 1].indent) open.pop();
		const top = open.at(-1);
		const parent = top && indent >= top.indent + 2 && open.length < DEEPEST.lists ? top : open.at(-2);
		let here = parent === top ? undefined : top;
		if (here && here.list.ordered !== ordered) {
			open.pop();
			here = undefined;
		}
		if (!here) {
			here = { indent, list: { kind: "list", ordered: /** @type {"" | "." | ")"} */ (ordered), items: [] } };
			(parent?.list.items?.at(-1)?.lists ?? found).push(here.list);
			open.push(here);
		}
		const inlines = inline(line.slice(marker.length), names, within(place, next + marker.length));
		here.list.items?.push({ ...(number !== undefined && { value: Number(number) }), inlines, lists: [], source: line });
		next += line.length + 1;
	}
	end();
	return found;
}

/**
 * @param {string} text
 * @param {Names[]} names
 * @param {Place} place
 * @returns {Inline[]}
 */
function inline(text, names, place) {
	const line = new Line(text, names, place);
	const marks = new RegExp(INLINE);
	for (let match; (match = marks.exec(text)); marks.lastIndex = line.at) line.take(match.index, match[0], match.groups ?? {});
	return line.end();
}

/** The marks of one text, as they are found. */
class Line {
	/** Up to here it is read. */
	at = 0;
	/** @type {Inline[]} */
	#list = [];
	/** Delimiters that may yet be closed, and where in the list they stand. @type {{sign: string, place: number}[]} */
	#open = [];
	/** Where runs of ` begin, by their length, the last one first. @type {Map<number, number[]> | undefined} */
	#ticks;
	/** Where the last mention ended. */
	#mention = -1;

	/**
	 * @param {string} text
	 * @param {Names[]} names
	 * @param {Place} place
	 */
	constructor(text, names, place) {
		this.text = text;
		this.names = names;
		this.place = place;
	}

	/**
	 * @param {number} index where it is
	 * @param {string} whole what was found
	 * @param {Record<string, string | undefined>} groups
	 */
	take(index, whole, groups) {
		if (index > this.at) this.#say(this.text.slice(this.at, index));
		this.at = index + whole.length;
		const { shrug, path, escaped, bracket, emoji, back, delimiter } = groups;
		const literal = shrug?.replace("\\\\", "\\") ?? path ?? escaped ?? bracket ?? emoji ?? back;
		if (literal !== undefined) return this.#say(literal);
		if (delimiter !== undefined) return this.#delimit(delimiter, index);
		const found = this.#atom(index, groups);
		if (!found) return this.#say(this.text.slice(index, this.at));
		if (found.mark.kind === "mention") this.#mention = found.end;
		this.#list.push(found.mark);
		this.at = found.end;
	}

	end() {
		if (this.at < this.text.length) this.#say(this.text.slice(this.at));
		return this.#list;
	}

	/** @param {string} words that mean nothing else */
	#say(words) {
		this.#list.push(words);
	}

	/**
	 * @param {number} index
	 * @param {Record<string, string | undefined>} groups
	 * @returns {{mark: Mark, end: number} | null} null where it has no such meaning
	 */
	#atom(index, { ticks, words, scheme, mail, entry, room, at, short }) {
		const { text } = this;
		const end = this.at;
		if (short) return { mark: { kind: "emoji", to: short, inlines: [text.slice(index, end)], at: this.place(index) }, end };
		if (ticks) return this.#code(index, ticks);
		if (words !== undefined) {
			const close = targetEnd(text, end);
			const to = text.slice(end, close);
			return close >= 0 && isAddress(to) ? { mark: { kind: "link", to, inlines: [words] }, end: close + 1 } : null;
		}
		if (scheme) {
			const close = addressEnd(text, end, charBefore(text, index) === "_" || this.#open.some(({ sign }) => sign === "_"));
			const to = text.slice(index, close);
			if (isAddress(to)) return { mark: { kind: "link", to, inlines: [to] }, end: close };
			this.at = Math.max(end, close);
			return null;
		}
		const before = charBefore(text, index);
		const { sign, place } = this.#open.at(-1) ?? {};
		const italic = before === "_" && sign === "_" && place === this.#list.length - 1;
		if (!italic && !opensName(before)) return null; // in the midst of a word
		if (mail !== undefined) return { mark: { kind: "link", to: mail.startsWith("mailto:") ? mail : `mailto:${mail}`, inlines: [mail] }, end };
		if (at) return before === "/" && this.#mention !== index - 1 ? null : this.#name(end);
		if (/[/&#@.]/.test(before)) return null; // of an address
		if (entry !== undefined) return { mark: { kind: "entry", to: entry, inlines: [text.slice(index, end)] }, end };
		if (room === undefined || /[\p{L}\p{M}]/u.test(charAt(text, end)) && !UNSPACED.test(charAt(text, end))) return null;
		const close = this.#italic(end);
		return { mark: { kind: "room", to: text.slice(index + 1, close).toLowerCase(), inlines: [text.slice(index, close)] }, end: close };
	}

	/**
	 * @param {number} from after its @
	 * @returns {{mark: Mark, end: number} | null}
	 */
	#name(from) {
		const found = nameAt(this.text, from, this.names);
		if (!found) return null;
		const known = this.text.slice(from, found.end) !== found.name;
		const end = known ? found.end : this.#italic(found.end);
		const to = found.name.slice(0, found.name.length - (found.end - end));
		return to ? { mark: { kind: "mention", to, inlines: [this.text.slice(from - 1, end)] }, end } : null;
	}

	/**
	 * A name may end in _, but not where that ends what is italic.
	 * @param {number} end
	 */
	#italic(end) {
		return this.text[end - 1] === "_" && this.#open.some(({ sign }) => sign === "_") ? end - 1 : end;
	}

	/**
	 * @param {number} index
	 * @param {string} ticks
	 * @returns {{mark: Mark, end: number} | null}
	 */
	#code(index, ticks) {
		if (!this.#ticks) {
			this.#ticks = new Map();
			for (const run of [...this.text.matchAll(/`+/g)].reverse()) {
				const known = this.#ticks.get(run[0].length);
				if (known) known.push(run.index);
				else this.#ticks.set(run[0].length, [run.index]);
			}
		}
		const runs = this.#ticks.get(ticks.length) ?? [];
		while (runs.length > 0 && runs[runs.length - 1] <= index) runs.pop();
		const close = runs.at(-1);
		const said = this.text.slice(this.at, close);
		if (close === undefined || said.includes("\n")) return null;
		const code = /^ .*\S.* $/.test(said) ? said.slice(1, -1) : said;
		return { mark: { kind: "code", inlines: [code] }, end: close + ticks.length };
	}

	/**
	 * Reads a run of delimiters. It may open and close by CommonMark's rules for
	 * flanking, with letters that put no space between words as in
	 * https://github.com/tats-u/markdown-cjk-friendly; but never within a word of others.
	 * @param {string} run
	 * @param {number} index
	 */
	#delimit(run, index) {
		const before = charBefore(this.text, index) || " ";
		const after = charAt(this.text, index + run.length) || " ";
		const near = (/** @type {string} */ c) => /[\s\p{P}\p{S}]/u.test(c) || UNSPACED.test(c);
		const opens = /\S/.test(after) && (!PUNCTUATION.test(after) || near(before)) && !inWord(before);
		const closes = /\S/.test(before) && (!PUNCTUATION.test(before) || near(after)) && !inWord(after);
		const triple = run === "***" ? [["*", "**"], ["**", "*"]][Number(this.#open.at(-1)?.sign !== "*")] : [run];
		for (const sign of triple) if (!(sign in DELIMITERS) || !this.#close(sign, opens, closes)) this.#say(sign);
	}

	/**
	 * Puts what stands since a delimiter's twin into a mark, or notes the delimiter.
	 * @param {string} sign
	 * @param {boolean} opens
	 * @param {boolean} closes
	 * @returns {boolean} whether it closed something, and is not to be shown
	 */
	#close(sign, opens, closes) {
		const list = this.#list;
		const twin = closes ? this.#open.map((one) => one.sign).lastIndexOf(sign) : -1;
		if (twin >= 0 && this.#open[twin].place < list.length - 1) {
			const inlines = list.splice(this.#open[twin].place).slice(1);
			list.push({ kind: DELIMITERS[sign], inlines });
			this.#open.length = twin;
			return true;
		}
		if (opens && this.#open.length < DEEPEST.marks) this.#open.push({ sign, place: list.length });
		return false;
	}
}

/** Punctuation that stands apart from what it is not of: that of wide scripts needs no space. */
const PUNCTUATION = /(?![\u3000-\u303f\uff00-\uffef])[\p{P}\p{S}]/u;

/**
 * Whether a character beside a delimiter puts that into the midst of a word.
 * @param {string} c
 */
const inWord = (c) => WORD.test(c) && !UNSPACED.test(c);
