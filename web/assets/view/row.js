// @ts-check
import { actionOf, parse } from "../text/markup.js";
import { mayMention } from "../text/mention.js";
import { isolated } from "../text/names.js";
import { arrange, part, setText, stamp } from "./dom.js";
import { drawAvatar, textNodes } from "./text.js";
import { clockTime, dayName, saidTime, wholeTime } from "./times.js";

/** @typedef {import("./layout.js").Item} Item */
/** @typedef {import("./layout.js").Line} Line */
/** @typedef {import("./layout.js").Shown} Shown */
/** @typedef {import("../net/wire.js").User} User */
/** @typedef {import("../model/nodenumbers.js").Numbers} NodeNumbers */

/** When a pending message says that it is being sent, in milliseconds. */
export const SLOW_MS = 2000;

export const RESTARTED = "This room was restarted. Earlier messages are gone.";

/** So many of those who reacted are named. */
const NAMED = 10;

/**
 * @typedef {object} About What all rows of a drawing have in common.
 * @property {string} room
 * @property {User | null} me
 * @property {import("../text/names.js").Names} [known] names of those in the room
 * @property {NodeNumbers} numbers
 * @property {(text: string, name: string) => boolean} mentions
 * @property {string} times the same for as long as times read the same
 * @property {string} marked key of the row that a link led to; ""
 * @property {string} asking key of the message that may be deleted; ""
 */

/**
 * What of a row can change while it is about the same entry.
 * @param {Item} item
 * @param {About} about
 * @returns {string}
 */
export function markOf(item, { numbers, marked, asking, me, times, known }) {
	const { key, first, last, crossed, lines, reactions, changes, pending, entry, text } = item;
	const fates = (pending ? [pending] : changes).map((one) => [one.key, one.failed, !!one.tried, isSlow(one)]);
	const node = entry && [numbers.of(entry.node), numbers.colour(entry.node)];
	const said = lines.map((line) => [line.kind, wordsOf(line)]);
	return JSON.stringify([times, first, last, crossed, said, reactions, fates, node, key === marked, key === asking, pending && me?.name, mayMention(text) && known?.version]);
}

/** What the text that an element shows is made of, and its tree. @type {WeakMap<Element, {mark: string, tree: string}>} */
const texts = new WeakMap();

/**
 * Draws a row. A part that shows the same as before stays untouched: a selection in it, its
 * focus, a press on it and what is scrolled in it survive.
 * @param {HTMLElement} row
 * @param {Item} item
 * @param {About} about
 */
export function drawRow(row, item, about) {
	const message = part(row, ".message");
	drawLines(row, message, item.lines);
	drawMessage(message, item, about);
	drawText(part(message, ".text"), item, about);
	drawReactions(message, item.reactions);
	drawFate(message, item, about);
}

/**
 * @param {HTMLElement} row
 * @param {HTMLElement} message below the lines
 * @param {Line[]} lines each of another kind
 */
function drawLines(row, message, lines) {
	/** @type {Map<string | undefined, HTMLElement>} */
	const had = new Map([.../** @type {NodeListOf<HTMLElement>} */ (row.querySelectorAll(":scope > .line"))].map((line) => [line.dataset.kind, line]));
	arrange(row, [...lines.map((line) => drawLine(line, had.get(line.kind))), message]);
}

/**
 * @param {HTMLElement} element
 * @param {Item} item
 * @param {About} about
 */
function drawMessage(element, item, { me, numbers, mentions, marked }) {
	const { entry, pending, user, text, time } = item;
	const node = entry ? numbers.of(entry.node) : 0;
	const classes = {
		first: item.first, next: !item.first, last: item.last, action: item.action, waiting: item.waiting, pending: !!pending, failed: !!pending?.failed,
		mentions: !!me && user.id !== me.id && mentions(text, me.name), marked: item.key === marked,
	};
	const names = ["message", numbers.colour(entry?.node ?? ""), ...Object.entries(classes).flatMap(([name, on]) => (on ? name : []))];
	setAttribute(element, "class", names.join(" "));
	setAttribute(element, "data-key", item.key);
	const number = part(element, ".message-node");
	setText(number, item.crossed && node ? String(node) : "");
	setAttribute(number, "title", node ? `Taken by node ${node}` : "");
	drawAvatar(part(element, ".avatar"), user);
	setText(part(element, ".author"), user.name);
	const when = part(element, "time");
	setText(when, clockTime(time));
	setAttribute(when, "title", wholeTime(time));
	setAttribute(when, "datetime", new Date(time).toISOString());
}

/**
 * @param {HTMLElement} words
 * @param {Item} item
 * @param {About} about
 */
function drawText(words, { action, text, user, edited }, { room, known }) {
	const names = mayMention(text);
	const mark = JSON.stringify([text, room, action && user.name, names && known?.version]);
	const had = texts.get(words);
	if (had?.mark !== mark) {
		const blocks = parse(text.slice(actionOf(text).length), known && [known]);
		// Most names that become known are in no text.
		const tree = names ? JSON.stringify([blocks, room, action && user.name]) : mark;
		texts.set(words, { mark, tree });
		if (had?.tree !== tree) {
			words.replaceChildren(...textNodes(blocks, room));
			if (action) words.prepend(named(user.name), " ");
		}
	}
	let note = words.querySelector(":scope > .edited-mark");
	if (!edited) return note?.remove();
	if (!note) words.append((note = stamp("t-edited")));
	setAttribute(part(note, ".edited"), "title", `Edited ${wholeTime(edited)}`);
}

/**
 * Sets an attribute only where it changes.
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
function setAttribute(element, name, value) {
	if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {string} name of who does something */
function named(name) {
	const element = document.createElement("bdi");
	element.className = "actor";
	element.textContent = name;
	return element;
}

/**
 * @param {HTMLElement} element
 * @param {Shown[]} reactions
 */
function drawReactions(element, reactions) {
	let list = element.querySelector(".reactions");
	if (reactions.length === 0) return list?.remove();
	if (!list) {
		list = document.createElement("div");
		list.className = "reactions";
		part(element, ".text").after(list);
	}
	/** @type {Map<string | undefined, HTMLElement>} */
	const had = new Map([.../** @type {HTMLCollectionOf<HTMLElement>} */ (list.children)].map((button) => [button.dataset.emoji, button]));
	arrange(list, reactions.map((reaction) => drawReaction(had.get(reaction.emoji) ?? stamp("t-reaction"), reaction)));
}

/**
 * @param {HTMLElement} button
 * @param {Shown} reaction
 */
function drawReaction(button, { emoji, count, names, mine, waiting }) {
	setAttribute(button, "data-emoji", emoji);
	setAttribute(button, "aria-pressed", String(mine));
	button.classList.toggle("waiting", waiting);
	setAttribute(button, "title", `${namesOf(names, count)}: ${emoji}`);
	setText(part(button, ".reaction-emoji"), emoji);
	setText(part(button, ".reaction-count"), count.toLocaleString());
	return button;
}

/**
 * @param {string[]} names
 * @param {number} [count] of all, named or not
 * @returns {string} "Ann, Bob and 3 others"
 */
export function namesOf(names, count = names.length) {
	const list = names.map(isolated).slice(0, count - NAMED === 1 ? count : NAMED);
	const others = count - list.length;
	if (others > 0) list.push(others === 1 ? "1 other" : `${others} others`);
	const last = list.pop() ?? "";
	return list.length > 0 ? `${list.join(", ")} and ${last}` : last;
}

/**
 * What becomes of what is not in the log yet, and what is asked about a message.
 * @param {HTMLElement} element
 * @param {Item} item
 * @param {About} about
 */
function drawFate(element, { key, pending, changes }, { asking }) {
	const fates = pending ? [pending] : changes.filter(({ kind, failed }) => failed || kind !== "react");
	const had = [.../** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll(":scope > .fate"))];
	for (const fate of had) if (!fates.some((one) => one.key === fate.dataset.pending)) fate.remove();
	for (const one of fates) {
		let fate = had.find(({ dataset }) => dataset.pending === one.key);
		if (!fate) element.append((fate = stamp("t-fate")));
		fate.dataset.pending = one.key;
		fate.classList.toggle("refused", one.failed !== "");
		setText(part(fate, ".fate-words"), fateWords(one));
		part(fate, ".retry").hidden = part(fate, ".discard").hidden = !one.failed;
		// Most are gone before one could want them back.
		const waits = !one.failed && !one.tried && isSlow(one);
		part(fate, ".cancel").hidden = !waits;
		part(fate, ".again").hidden = one.kind === "delete" || one.kind === "react" || !one.failed && !waits;
	}
	const ask = element.querySelector(":scope > .ask");
	if (key !== asking) ask?.remove();
	else if (!ask) element.append(stamp("t-ask"));
}

/** @param {import("../store/outbox.js").Pending} pending */
function fateWords(pending) {
	const { kind, failed } = pending;
	const what = { "": "", edit: "Not changed", delete: "Not deleted", react: "Reaction not taken" }[kind ?? ""];
	if (failed) return what ? `${what}: ${sentence(failed)}` : sentence(failed);
	if (kind === "delete") return "deleting…";
	return isSlow(pending) ? "sending…" : "";
}

/** @param {import("../store/outbox.js").Pending} pending */
function isSlow({ written }) {
	return Math.abs(Date.now() - written) > SLOW_MS; // also where the clock was set back
}

/**
 * @param {Line} line
 * @param {HTMLElement} [element] that shows one of its kind
 */
function drawLine(line, element = stamp("t-line")) {
	element.classList.add(`line-${line.kind}`);
	setAttribute(element, "data-kind", line.kind);
	setText(part(element, "span"), wordsOf(line));
	return element;
}

/** @param {Line} line */
function wordsOf({ kind, time, gap }) {
	switch (kind) {
		case "restart":
			return RESTARTED;
		case "new":
			return "New messages";
		case "gap":
			return gap ? gapWords(gap) : "";
	}
	return dayName(time);
}

/** @param {import("../model/roomlog.js").Gap} gap */
function gapWords({ from, to, open }) {
	const between = `messages between ${saidTime(from)} and ${saidTime(to)}`;
	return open ? `Getting the ${between}…` : `Some ${between} are no longer available.`;
}

/**
 * A node's words as a sentence.
 * @param {string} words
 */
export function sentence(words) {
	const text = words.trim();
	return text && text[0].toLocaleUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");
}
