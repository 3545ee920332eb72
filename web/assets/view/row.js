// @ts-check
import { part, setText, stamp } from "./dom.js";
import { clockTime, dayName, drawAvatar, saidTime, textNodes, wholeTime } from "./text.js";

/** @typedef {import("./layout.js").Item} Item */
/** @typedef {import("./layout.js").Line} Line */
/** @typedef {import("./layout.js").Shown} Shown */
/** @typedef {import("../wire.js").User} User */
/** @typedef {import("../nodenumbers.js").Numbers} NodeNumbers */

/** When a pending message says that it is being sent, in milliseconds. */
export const SLOW_MS = 2000;

export const RESTARTED = "This room was restarted. Earlier messages are gone.";

/** So many of those who reacted are named. */
const NAMED = 10;

/**
 * @typedef {object} About What all rows of a drawing have in common.
 * @property {string} room
 * @property {User | null} me
 * @property {NodeNumbers} numbers
 * @property {(text: string, name: string) => boolean} mentions
 * @property {string} marked key of the row that a link led to; ""
 * @property {string} asking key of the message that may be deleted; ""
 */

/**
 * What of a row can change while it is about the same entry.
 * @param {Item} item
 * @param {About} about
 * @returns {string}
 */
export function markOf(item, { numbers, marked, asking, me }) {
	const { key, first, last, crossed, lines, reactions, changes, pending, entry } = item;
	const fates = (pending ? [pending] : changes).map((one) => [one.key, one.failed, !!one.tried, isSlow(one)]);
	const node = entry && [numbers.of(entry.node), numbers.colour(entry.node)];
	const said = lines.map((line) => [line.kind, wordsOf(line)]);
	return JSON.stringify([first, last, crossed, said, reactions, fates, node, key === marked, key === asking, pending && me?.name]);
}

/**
 * @param {HTMLElement} row
 * @param {Item} item
 * @param {About} about
 */
export function drawRow(row, item, about) {
	const message = part(row, ".message");
	for (const line of row.querySelectorAll(":scope > .line")) line.remove();
	message.before(...item.lines.map(drawLine));
	drawMessage(message, item, about);
	drawReactions(message, item.reactions);
	drawFate(message, item, about);
}

/**
 * @param {HTMLElement} element
 * @param {Item} item
 * @param {About} about
 */
function drawMessage(element, item, { room, me, numbers, mentions, marked }) {
	const { entry, pending, user, text, time } = item;
	const node = entry ? numbers.of(entry.node) : 0;
	const failed = !!pending?.failed;
	const classes = {
		first: item.first, next: !item.first, last: item.last, action: item.action, waiting: item.waiting, pending: !!pending, failed,
		mentions: !!me && user.id !== me.id && mentions(text, me.name), marked: item.key === marked,
	};
	element.className = `message ${numbers.colour(entry?.node ?? "")}`;
	for (const [name, on] of Object.entries(classes)) element.classList.toggle(name, on);
	element.dataset.key = item.key;
	const number = part(element, ".message-node");
	setText(number, item.crossed && node ? String(node) : "");
	number.title = node ? `Taken by node ${node}` : "";
	drawAvatar(part(element, ".avatar"), user);
	setText(part(element, ".author"), user.name);
	const when = part(element, "time");
	setText(when, clockTime(time));
	when.title = wholeTime(time);
	when.setAttribute("datetime", new Date(time).toISOString());
	const words = part(element, ".text");
	words.replaceChildren(...textNodes(item.action ? text.slice("/me ".length) : text, { room, me }));
	if (item.action) words.prepend(named(user.name), " ");
	if (item.edited) words.append(" ", editedMark(item.edited));
}

/** @param {string} name of who does something */
function named(name) {
	const element = document.createElement("bdi");
	element.className = "actor";
	element.textContent = name;
	return element;
}

/** @param {number} ms */
function editedMark(ms) {
	const element = document.createElement("span");
	element.className = "edited";
	element.title = `Edited ${wholeTime(ms)}`;
	element.textContent = "(edited)";
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
	// A button that stays keeps its focus.
	while (list.children.length > reactions.length) list.lastElementChild?.remove();
	reactions.forEach(({ emoji, count, names, mine, waiting }, i) => {
		const button = /** @type {HTMLElement} */ (list.children[i] ?? list.appendChild(stamp("t-reaction")));
		button.dataset.emoji = emoji;
		button.setAttribute("aria-pressed", String(mine));
		button.classList.toggle("waiting", waiting);
		button.title = `${namesOf(names, count)}: ${emoji}`;
		setText(part(button, ".reaction-emoji"), emoji);
		setText(part(button, ".reaction-count"), count.toLocaleString());
	});
}

/**
 * @param {string[]} names
 * @param {number} [count] of all, named or not
 * @returns {string} "Ann, Bob and 3 others"
 */
export function namesOf(names, count = names.length) {
	const list = names.slice(0, count - NAMED === 1 ? count : NAMED);
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

/** @param {import("../outbox.js").Pending} pending */
function fateWords(pending) {
	const { kind, failed } = pending;
	const what = { "": "", edit: "Not changed", delete: "Not deleted", react: "Reaction not taken" }[kind ?? ""];
	if (failed) return what ? `${what}: ${sentence(failed)}` : sentence(failed);
	if (kind === "delete") return "deleting…";
	return isSlow(pending) ? "sending…" : "";
}

/** @param {import("../outbox.js").Pending} pending */
function isSlow({ written }) {
	return Date.now() - written > SLOW_MS;
}

/** @param {Line} line */
function drawLine(line) {
	const element = stamp("t-line");
	element.classList.add(`line-${line.kind}`);
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

/** @param {import("../roomlog.js").Gap} gap */
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
