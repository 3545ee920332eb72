// @ts-check
// What a copied part of the conversation is as plain text.

import { byId } from "./dom.js";

/** What of a message is only for the page, or hidden (style/log.css). */
const ABSENT = ".avatar, .message-node, .message.next .author, .message:is(.next, .action) time, .fate, .ask, .reactions, .actions, .code-copy";

/** Elements that the numbers, bullets, signs and fences of a text stand for. */
const MARKED = "li, blockquote, pre";

/** Elements that begin and end a line. */
const BLOCKS = "div, article, header, p, ul, ol, section";

const log = byId("log");

// Keeps list numbers, bullets, `>` of quotes and code fences in what is copied of the log. What
// has none of them is copied as browsers do it.
document.addEventListener("copy", (e) => {
	const selection = getSelection();
	if (!selection || !e.clipboardData || e.target instanceof HTMLTextAreaElement || e.target instanceof HTMLInputElement) return;
	const ranges = Array.from({ length: selection.rangeCount }, (_, i) => selection.getRangeAt(i));
	if (ranges.length === 0 || !ranges.every((range) => log.contains(range.commonAncestorContainer))) return;
	const parts = ranges.map(partOf);
	if (!parts.some((part) => part.marked)) return;
	e.clipboardData.setData("text/plain", parts.flatMap(({ root }) => linesOf(root)).join("\n"));
	e.clipboardData.setData("text/html", parts.map(({ root }) => new XMLSerializer().serializeToString(root)).join(""));
	e.preventDefault();
});

/**
 * Copies what a range covers, with the elements around it, so that styles can tell what is shown.
 * @param {Range} range
 * @returns {{root: Element, marked: boolean}} root stands for the log; marked is whether the range covers anything of MARKED
 */
function partOf(range) {
	const text = range.toString().trim();
	let around = range.commonAncestorContainer;
	/** @type {Node} */
	let root = range.cloneContents();
	let whole = true;
	for (; around !== log && around.parentNode; around = around.parentNode) {
		whole &&= around.textContent?.trim() === text;
		if (!(around instanceof Element)) continue;
		// A few words of a quote or of code are only these words.
		const element = !whole && around.matches(MARKED) ? document.createElement("span") : /** @type {Element} */ (around.cloneNode(false));
		element.append(root);
		root = element;
	}
	const all = document.createElement("div");
	all.append(root);
	for (const absent of all.querySelectorAll(ABSENT)) absent.remove();
	return { root: all, marked: all.querySelector(MARKED) !== null };
}

/**
 * @param {Element} element
 * @returns {string[]}
 */
function linesOf(element) {
	if (element.matches("pre")) return ["```", ...(element.textContent ?? "").split("\n"), "```"];
	/** @type {string[]} */
	const lines = [];
	let line = "";
	const end = () => {
		if (line.trim()) lines.push(line.trimEnd());
		line = "";
	};
	for (const node of element.childNodes) {
		if (node instanceof Text) {
			if (!node.data.trim() && /\n/.test(node.data) && !element.closest(".text, blockquote, li")) continue; // between the page's elements
			const [first, ...more] = node.data.split("\n");
			line += first;
			for (const next of more) {
				lines.push(line.trimEnd());
				line = next;
			}
		} else if (node instanceof Element && node.matches(`${BLOCKS}, ${MARKED}`)) {
			end();
			lines.push(...markedLines(node));
		} else if (node instanceof Element) {
			const [first = "", ...more] = linesOf(node);
			const space = /^\s/.test(node.textContent ?? "") && !/^\s/.test(first) ? " " : "";
			line += space + first;
			for (const next of more) {
				lines.push(line);
				line = next;
			}
		}
	}
	end();
	return lines;
}

/**
 * @param {Element} element of BLOCKS or MARKED
 * @returns {string[]}
 */
function markedLines(element) {
	const lines = linesOf(element);
	if (element.matches("blockquote")) return lines.map((line) => `> ${line}`.trimEnd());
	if (!element.matches("li")) return lines;
	const number = element.getAttribute("value");
	const marker = number === null ? "- " : `${number}${element.closest("ol")?.matches(".closed") ? ")" : "."} `;
	return lines.map((line, i) => (i === 0 ? marker : " ".repeat(marker.length)) + line);
}
