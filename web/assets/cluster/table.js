// @ts-check
// The picture in words: the table, what came of what was done, a message's way.

import { arrange, byId, part, setText, stamp } from "../view/dom.js";

/** @typedef {import("./watch.js").Row} Row */
/** @typedef {import("./watch.js").Action} Action */
/** @typedef {import("../model/nodenumbers.js").Numbers} NodeNumbers */

/**
 * @typedef {object} Deed Something that was done to a node or to Redis.
 * @property {Action} action
 * @property {number} number of the node; 0 for Redis
 * @property {number} browsers of the check that were there
 * @property {{to: number, after: number, caught: number}[]} moves of those: to a
 *   node's number, after milliseconds, with so many messages caught up on
 * @property {boolean} settled all that was said before has come, or is lost
 * @property {number} lost
 * @property {number} doubled
 * @property {boolean} again the node runs again
 */

/** The nodes and Redis, with what one may do to each. */
export class Table {
	/** @type {Map<string, Element>} */
	#rows = new Map();
	#labels = [...document.querySelectorAll("thead th")].map((th) => th.textContent ?? "");
	#numbers;
	#act;

	/**
	 * @param {NodeNumbers} numbers
	 * @param {(action: Action, row: Row | undefined) => void} act
	 */
	constructor(numbers, act) {
		this.#numbers = numbers;
		this.#act = act;
	}

	/**
	 * @param {Row[]} rows
	 * @param {string} redis how it is
	 * @param {import("./watch.js").Demo | null} demo
	 * @param {boolean} busy something is being done
	 * @param {string} path of the chat
	 */
	draw(rows, redis, demo, busy, path) {
		const drawn = new Map();
		const draw = (/** @type {string} */ name, /** @type {string} */ style, /** @type {string[]} */ texts, /** @type {Row | undefined} */ row) => {
			const element = this.#rows.get(name) ?? stamp("t-node");
			drawn.set(name, element);
			element.className = style;
			const link = /** @type {HTMLAnchorElement} */ (part(element, "a"));
			setText(link, name);
			if (row?.url) link.href = row.url + path;
			texts.forEach((text, i) => {
				const [label, value] = element.children[i + 1].children;
				setText(label, this.#labels[i + 1]);
				setText(value, text);
			});
			const cell = part(element, ".do");
			cell.hidden = !demo;
			const deeds = demo ? (row ? deedsTo(row, demo) : [redis === "running" ? "stop" : "start"]) : [];
			[...cell.children].forEach((child, i) => {
				const button = /** @type {HTMLElement} */ (child);
				const action = /** @type {Action} */ (deeds[i] ?? "");
				const may = !busy && row?.state !== "starting" && row?.state !== "gone" && !(action === "drain" && !row?.live);
				button.hidden = !action;
				const words = action.charAt(0).toUpperCase() + action.slice(1);
				setText(button, words);
				button.setAttribute("aria-label", `${words} ${name}`);
				button.setAttribute("aria-disabled", String(!may)); // unlike a disabled one it keeps the focus
				button.onclick = () => may && this.#act(action, row);
			});
		};
		for (const row of rows) {
			const { id, state, live, seen } = row;
			const number = this.#numbers.of(id);
			draw(`Node ${number || id}`, this.#numbers.colour(id) + (live ? "" : " away"), [
				said(seen?.users),
				said(seen?.rooms),
				said(seen?.rate, (rate) => rate.toFixed(1)),
				said(seen?.rtt_ms, milliseconds),
				said(seen?.age_ms, (ms) => `${((ms + (seen?.seen_ms ?? 0)) / 1000).toFixed(1)} s ago`),
				state,
			], row);
		}
		draw("Redis", redis === "running" ? "" : "away", ["", "", "", "", "", redis], undefined);
		arrange(byId("nodes"), [...drawn.values()]);
		byId("do-head").hidden = !demo;
		this.#rows = drawn;
	}
}

/**
 * @param {Row} row
 * @param {import("./watch.js").Demo} demo
 * @returns {string[]} "" where there is none
 */
function deedsTo({ state, demo }, { freeze }) {
	if (!demo) return [];
	return ["kill", freeze ? (state === "frozen" ? "wake" : "freeze") : "", "drain"];
}

/**
 * @param {unknown} value as a node told it, if it did
 * @param {(value: number) => string} words
 */
function said(value, words = (value) => value.toLocaleString("en")) {
	return typeof value === "number" ? words(value) : "–";
}

/** @param {number} ms */
export function milliseconds(ms) {
	return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** What was done, in the words that follow a node's number. */
const DONE = { kill: "was killed", freeze: "is frozen", drain: "was drained", wake: "is awake again" };

/** @param {Deed} deed */
export function deedWords({ action, number, browsers, moves, settled, lost, doubled, again }) {
	if (action === "stop") return "Redis is stopped. What is written now is kept, and waits.";
	const words = [action === "start" ? "Redis is back." : `Node ${number} ${DONE[action]}.`];
	const who = browsers === 1 ? "Its browser" : `Its ${browsers} browsers`;
	if (moves.length < browsers) words.push(`${who} will go on at another.`);
	else if (browsers) {
		const places = [...new Set(moves.map(({ to }) => to))].sort().join(" and ");
		const caught = Math.max(...moves.map((move) => move.caught));
		const after = Math.max(...moves.map((move) => move.after)) / 1000;
		words.push(`${who} went on at node ${places} after ${after.toFixed(1)} s${caught ? `, caught up on ${caught} message${caught === 1 ? "" : "s"}` : ""}.`);
	}
	if (settled) words.push(lost || doubled ? `Lost: ${lost}, doubled: ${doubled}.` : "Nothing was lost.");
	if (again) words.push("It is running again.");
	return words.join(" ");
}

/** What # stands for is the node's number. @type {Record<string, string>} */
export const hopWords = {
	received: "Browser to node #",
	judged: "Node # looks at it",
	appended: "Into Redis, and the answer",
	acknowledged: "Node # tells its author",
	heard: "Redis to node #",
	handed: "Node # hands it on",
	got: "Node # to its browser",
};

/**
 * The way of one message, as a waterfall.
 * @param {ReturnType<typeof import("./watch.js").align>} way
 * @param {NodeNumbers} numbers
 */
export function drawWay({ hops, within }, numbers) {
	const last = Math.max(0, ...hops.map(({ to }) => to));
	byId("hops").replaceChildren(...hops.map(({ kind, node, from, to }) => {
		const item = stamp("t-hop");
		const [words, track, took] = item.children;
		item.className = numbers.colour(node);
		setText(words, hopWords[kind].replace("#", String(numbers.of(node))));
		setText(took, milliseconds(to - from));
		const { style } = part(track, "*");
		style.insetInlineStart = `${(from / last) * 100}%`;
		style.inlineSize = `${((to - from) / last) * 100}%`;
		return item;
	}));
	setText(byId("way-note"), last
		? `${milliseconds(last)} in all. The nodes' clocks are known by how long they take to answer, so a hop may be wrong by ${milliseconds(within)}.`
		: "No node could tell of it.");
	byId("way").hidden = false;
}
