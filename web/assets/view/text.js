// @ts-check
import { copyFrom, part, stamp } from "./dom.js";

const LINK = /https?:\/\/[^\s<>"'`]+/g;
const CODE = /```(?:[\w+#.-]*\n)?([\s\S]*?)```/g;

/**
 * Whether a text says what its author does, not what they say.
 * @param {string} text
 */
export const isAction = (text) => /^\/me \S/.test(text);

/**
 * A message's text as nodes: plain, but for http addresses and code blocks.
 * @param {string} text
 * @param {{room?: string, me?: import("../wire.js").User | null}} [_about]
 * @returns {Node[]}
 */
export function textNodes(text, _about = {}) {
	/** @type {Node[]} */
	const nodes = [];
	let at = 0;
	for (const match of text.matchAll(CODE)) {
		if (!match[1].trim()) continue;
		nodes.push(...linked(text.slice(at, match.index).replace(/\n$/, "")), codeBlock(match[1].replace(/\n$/, "")));
		at = match.index + match[0].length;
	}
	const rest = text.slice(at);
	return [...nodes, ...linked(at > 0 ? rest.replace(/^\n/, "") : rest)];
}

/**
 * @param {string} text
 * @returns {Node[]}
 */
function linked(text) {
	/** @type {Node[]} */
	const nodes = [];
	let at = 0;
	for (const match of text.matchAll(LINK)) {
		const url = withoutTail(match[0]);
		if (!URL.canParse(url)) continue;
		nodes.push(document.createTextNode(text.slice(at, match.index)), anchor(url));
		at = match.index + url.length;
	}
	nodes.push(document.createTextNode(text.slice(at)));
	return nodes.filter((node) => node.textContent);
}

/**
 * An address at the end of a sentence does not hold the sentence's marks.
 * @param {string} url
 */
function withoutTail(url) {
	const cut = url.replace(/[.,;:!?]+$/, "");
	return cut.endsWith(")") && !cut.includes("(") ? cut.slice(0, -1) : cut;
}

/** @param {string} url */
function anchor(url) {
	const a = document.createElement("a");
	a.href = url;
	a.rel = "noopener noreferrer nofollow";
	a.target = "_blank";
	a.textContent = url;
	return a;
}

/** @param {string} code */
function codeBlock(code) {
	const block = stamp("t-code");
	part(block, "code").textContent = code;
	const button = part(block, "button");
	button.addEventListener("click", () => copyFrom(button, code));
	return block;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

/** @param {number} ms */
export const clockTime = (ms) => clock.format(ms);

/** @param {number} ms */
export const wholeTime = (ms) => whole.format(ms);

/**
 * A time as it is said today: with its day, if that is another one.
 * @param {number} ms
 * @param {number} [now]
 */
export function saidTime(ms, now = Date.now()) {
	return dayOf(ms) === dayOf(now) ? clockTime(ms) : `${clockTime(ms)} on ${dated.format(ms)}`;
}

/**
 * @param {number} ms
 * @returns {string} the same for times of one day
 */
export function dayOf(ms) {
	const date = new Date(ms);
	return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/**
 * @param {number} ms
 * @param {number} [now]
 */
export function dayName(ms, now = Date.now()) {
	if (dayOf(ms) === dayOf(now)) return "Today";
	const yesterday = new Date(now);
	yesterday.setDate(yesterday.getDate() - 1);
	if (dayOf(ms) === dayOf(yesterday.getTime())) return "Yesterday";
	return Math.abs(now - ms) < 180 * 24 * 3600e3 ? weekday.format(ms) : dated.format(ms);
}

/**
 * Puts a user's letter on the user's hue.
 * @param {HTMLElement} avatar
 * @param {import("../wire.js").User} user
 */
export function drawAvatar(avatar, { id, name }) {
	let hash = 0x811c9dc5; // FNV-1a
	for (const c of id) hash = Math.imul(hash ^ (c.codePointAt(0) ?? 0), 0x01000193);
	avatar.style.setProperty("--hue", String((hash >>> 0) % 360));
	avatar.textContent = /[\p{L}\p{N}]/u.exec(name)?.[0].toLocaleUpperCase() ?? "·";
}
