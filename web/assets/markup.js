// @ts-check
// What people mean by the marks in their texts, as a tree. It knows no page. All
// of it is linear in the text's length, however the marks are nested.

/**
 * @typedef {object} Block
 * @property {"text" | "quote" | "code" | "list"} kind
 * @property {Inline[]} [inlines] of a text or a quote
 * @property {string} [text] of a code block
 * @property {Inline[][]} [items] of a list
 * @property {number} [first] number of an ordered list
 *
 * @typedef {object} Mark
 * @property {"bold" | "italic" | "strike" | "code" | "link" | "entry" | "room" | "mention"} kind
 * @property {Inline[]} inlines what is shown
 * @property {string} [to] the address, entry, room or name that it stands for
 *
 * @typedef {string | Mark} Inline
 */

/** Marks within marks, at most. */
const DEEPEST = 8;

/** Turn text around (UAX #9): in an address they would hide where it leads. */
const TURNS = "\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069";

const FENCED = /```(?:[\w+#.-]*\n)?([\s\S]*?)```/g;
const QUOTED = /^> ?/;
const LISTED = /^ {0,3}(?:[-*]|(\d{1,9})[.)]) +(?=\S)/;

/** What has a meaning within a line, by the names of its groups. */
const INLINE = new RegExp(
	[
		"`(?<code>[^`\\n]+)`",
		`\\[(?<words>[^\\[\\]\\n]{1,200})\\]\\((?<target>(?:https?:\\/\\/|mailto:)[^\\s()<>"'\`${TURNS}]{1,1000})\\)`,
		`(?<url>https?:\\/\\/[^\\s<>"'\`${TURNS}]+)`,
		"(?<mail>(?:mailto:)?[\\w.+-]{1,64}@[\\w-]{1,63}(?:\\.[\\w-]{1,63}){1,8})",
		"#(?<entry>\\d{1,16}-\\d{1,16})(?![\\w-])",
		"#(?<room>(?=[\\d._-]*[a-z])[a-z0-9_-][a-z0-9._-]{0,63})",
		"@(?<name>[\\p{L}\\p{N}_][\\p{L}\\p{M}\\p{N}_.-]{0,31})",
		"(?<delimiter>\\*\\*|~~|\\*|_)",
	].join("|"),
	"gu",
);

/** @type {Record<string, "bold" | "italic" | "strike">} */
const DELIMITERS = { "**": "bold", "*": "italic", "_": "italic", "~~": "strike" };

const WORD = /[\p{L}\p{M}\p{N}_]/u;

/**
 * @param {string} text
 * @returns {Block[]}
 */
export function parse(text) {
	/** @type {Block[]} */
	const blocks = [];
	let at = 0;
	for (const match of text.matchAll(FENCED)) {
		if (!match[1].trim()) continue;
		blocks.push(...lines(text.slice(at, match.index).replace(/\n$/, "")));
		blocks.push({ kind: "code", text: match[1].replace(/\n$/, "") });
		at = match.index + match[0].length;
	}
	const rest = text.slice(at);
	return [...blocks, ...lines(at > 0 ? rest.replace(/^\n/, "") : rest)];
}

/**
 * @param {string} text without code blocks
 * @returns {Block[]}
 */
function lines(text) {
	if (!text) return [];
	/** @type {{kind: "text" | "quote" | "list", first?: number, said: string[]}[]} */
	const found = [];
	for (const line of text.split("\n")) {
		const listed = LISTED.exec(line);
		const kind = QUOTED.test(line) ? "quote" : listed ? "list" : "text";
		const first = listed?.[1] === undefined ? undefined : Number(listed[1]);
		const said = kind === "quote" ? line.replace(QUOTED, "") : line.slice(listed?.[0].length ?? 0);
		const last = found.at(-1);
		const same = last?.kind === kind && (last.first === undefined) === (first === undefined);
		if (last && same) last.said.push(said);
		else found.push({ kind, first, said: [said] });
	}
	// Blocks have a space of their own: a blank line beside one is not another.
	const plain = (/** @type {number} */ i) => (found[i]?.kind ?? "text") === "text";
	found.forEach(({ kind, said }, i) => {
		if (kind !== "text" || said.length < 2) return;
		if (!plain(i - 1) && !said[0]) said.shift();
		if (!plain(i + 1) && !said.at(-1)) said.pop();
	});
	return found.map(({ kind, first, said }) =>
		kind === "list" ? { kind, first, items: said.map(inline) } : { kind, inlines: inline(said.join("\n")) });
}

/**
 * @param {string} text
 * @returns {Inline[]}
 */
function inline(text) {
	/** @type {Inline[]} */
	const list = [];
	/** Delimiters that may yet be closed, and where in the list they stand. @type {{sign: string, place: number}[]} */
	const open = [];
	let at = 0;
	const marks = new RegExp(INLINE);
	for (let match; (match = marks.exec(text)); marks.lastIndex = at) {
		const end = match.index + match[0].length;
		const before = text.slice(Math.max(0, match.index - 2), match.index);
		const mark = atom(match.groups ?? {}, before);
		if (match.index > at) list.push(text.slice(at, match.index));
		if (mark) {
			list.push(mark);
			// An address may be shorter than what was taken for one.
			at = match.groups?.url ? match.index + (mark.to?.length ?? 0) : end;
			continue;
		}
		at = end;
		const sign = match.groups?.delimiter;
		if (!sign || !close(list, open, sign, before, text.slice(end, end + 2))) list.push(match[0]);
	}
	if (at < text.length) list.push(text.slice(at));
	return list;
}

/**
 * @param {Record<string, string | undefined>} groups
 * @param {string} before
 * @returns {Mark | null} null where it has no such meaning
 */
function atom({ code, words, target, url, mail, entry, room, name }, before) {
	if (code !== undefined) return { kind: "code", inlines: [code] };
	if (words !== undefined && target !== undefined) return isAddress(target) ? { kind: "link", to: target, inlines: [words] } : null;
	if (url !== undefined) {
		const to = withoutTail(url);
		return isAddress(to) ? { kind: "link", to, inlines: [to] } : null;
	}
	if (mail !== undefined) return { kind: "link", to: mail.startsWith("mailto:") ? mail : `mailto:${mail}`, inlines: [mail] };
	if (/[\p{L}\p{M}\p{N}_/&#@.]$/u.test(before)) return null; // in the middle of something
	if (entry !== undefined) return { kind: "entry", to: entry, inlines: [`#${entry}`] };
	if (room !== undefined) return { kind: "room", to: room, inlines: [`#${room}`] };
	if (name !== undefined) return { kind: "mention", to: name, inlines: [`@${name}`] };
	return null;
}

/**
 * Puts what stands since a delimiter's twin into a mark, or notes the delimiter.
 * @param {Inline[]} list
 * @param {{sign: string, place: number}[]} open
 * @param {string} sign
 * @param {string} before
 * @param {string} after
 * @returns {boolean} whether it closed something, and is not to be shown
 */
function close(list, open, sign, before, after) {
	const opens = /^\S/u.test(after) && !WORD.test(lastOf(before));
	const closes = /\S$/u.test(before) && !WORD.test(firstOf(after));
	const twin = closes ? open.map((one) => one.sign).lastIndexOf(sign) : -1;
	if (twin >= 0 && open[twin].place < list.length - 1) {
		const { place } = open[twin];
		const inlines = list.splice(place).slice(1);
		list.push({ kind: DELIMITERS[sign], inlines });
		open.length = twin;
		return true;
	}
	if (opens && open.length < DEEPEST) open.push({ sign, place: list.length });
	return false;
}

/** @param {string} text */
const lastOf = (text) => [...text].at(-1) ?? "";

/** @param {string} text */
const firstOf = (text) => [...text][0] ?? "";

/** @param {string} url */
const isAddress = (url) => URL.canParse(url) && /^(https?|mailto):$/.test(new URL(url).protocol);

/**
 * An address at the end of a sentence does not hold the sentence's marks.
 * @param {string} url
 */
function withoutTail(url) {
	const cut = url.replace(/[.,;:!?*_~]{1,20}$/, "");
	return cut.endsWith(")") && !cut.includes("(") ? cut.slice(0, -1) : cut;
}
