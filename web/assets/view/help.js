// @ts-check
import { COMMANDS } from "../text/commands.js";
import { show } from "./dialog.js";
import { part } from "./dom.js";
import { make } from "./make.js";

/** What keys do; a key's name stands in brackets. */
const KEYS = [
	["[Enter]", "send; on a touch screen a new line, as [Ctrl] [Enter] sends"],
	["[Shift] [Enter]", "a new line"],
	["[↑]", "in the empty field: change your last message"],
	["[Tab]", "completes @name, #room, :emoji and /command"],
	["[Shift] [Tab], [↑]", "to the messages and among them; [Enter] opens what can be done with one"],
	["[Esc]", "back to the field"],
	["[Ctrl] [K]", "go to a room; [⌘] [K] on a Mac"],
	["[Ctrl] [Shift] [F]", "search the room"],
	["[Alt] [↑], [↓]", "the room above, or below; with [Shift] where something is unread"],
];

/** Marks, the element that shows what they do, its words, and more. */
const MARKS = [
	["**bold**", "strong", "bold"],
	["*italic*", "em", "italic"],
	["~~struck~~", "s", "struck"],
	["`code`", "code", "code", "; three ` before and after a block"],
	["> words", "span", "a quote"],
	["- words", "span", "a list"],
	["\\*words\\*", "span", "no mark"],
];

/** @param {string} words */
const withKeys = (words) => words.split(/\[(.+?)\]/).map((piece, i) => (i % 2 ? make("kbd", {}, piece) : piece));

/**
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[][][]} pairs
 */
const list = (attributes, pairs) => make("dl", attributes, ...pairs.flatMap(([term, words]) => [make("dt", {}, ...term), make("dd", {}, ...words)]));

const dialog = /** @type {HTMLDialogElement} */ (make("dialog", { class: "help", id: "help", "aria-labelledby": "help-title" }, make("form", { method: "dialog", dir: "ltr" },
	make("header", { class: "side-head" },
		make("h2", { id: "help-title" }, "What one can do here"),
		make("button", { class: "icon", "aria-label": "Close help" }, part(document.body, "[data-close] svg").cloneNode(true))),
	make("h3", {}, "Keys"),
	list({}, KEYS.map(([keys, does]) => [withKeys(keys), withKeys(does)])),
	make("h3", {}, "Marks"),
	list({}, MARKS.map(([mark, element, words, more = ""]) => [[make("code", {}, mark)], [make(element, {}, words), more]])),
	make("h3", {}, "Commands"),
	list({ id: "help-commands" }, COMMANDS.map(({ name, wants, does }) => [[`/${name} ${wants}`], [does]])))));
document.body.append(dialog);

/**
 * Tells what one can do, by keys, marks and commands.
 * @param {boolean} moderator
 */
export function openHelp(moderator) {
	const rows = /** @type {HTMLElement[]} */ ([...part(dialog, "#help-commands").children]);
	rows.forEach((row, i) => (row.hidden = !moderator && !!COMMANDS[i >> 1].mod)); // a term and its words for each
	show(dialog);
}
