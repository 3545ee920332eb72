// @ts-check
import { balanced, isBare, leading } from "../text/bidi.js";
import { copyFrom, part, setText, stamp } from "./dom.js";

/** @type {Record<string, string>} the elements of marks that are no more than that */
const ELEMENTS = { bold: "strong", italic: "em", strike: "s", code: "code", mention: "bdi" };

/**
 * A tree of a message's text as nodes, with what its marks mean. Lines, quotes and items
 * have a direction each (style/log.css); names, code and addresses are isolated, but for a name
 * that alone decides the direction of its line.
 * @param {import("../text/markup.js").Block[]} tree
 * @param {string} room where it was said
 * @returns {(Node | string)[]}
 */
export function textNodes(tree, room) {
	return tree.flatMap((block) => blockNodes(block, room));
}

/**
 * @param {import("../text/markup.js").Block} block
 * @param {string} room
 * @returns {(Node | string)[]}
 */
function blockNodes(block, room) {
	const { kind, inlines = [], blocks = [], text = "" } = block;
	if (kind === "text") return inlineNodes(inlines, room);
	if (kind === "code") return [codeBlock(text)];
	if (kind === "list") return [listOf(block, room)];
	const quote = element("blockquote", blocks.flatMap((one) => blockNodes(one, room)));
	quote.dir = "auto";
	return [quote];
}

/**
 * @param {import("../text/markup.js").Block} block a list
 * @param {string} room
 */
function listOf({ ordered, items = [] }, room) {
	const list = element(ordered ? "ol" : "ul", items.map(({ value, inlines, lists }) => {
		const item = element("li", [...inlineNodes(inlines, room), ...lists.flatMap((one) => blockNodes(one, room))]);
		item.dir = "auto";
		if (value !== undefined) item.setAttribute("value", String(value));
		return item;
	}));
	if (ordered === ")") list.className = "closed";
	list.dir = "auto";
	return list;
}

/**
 * @param {import("../text/markup.js").Inline[]} inlines
 * @param {string} room
 * @param {Set<import("../text/markup.js").Inline>} [leads] names that are not isolated
 * @returns {(Node | string)[]}
 */
function inlineNodes(inlines, room, leads = leading(inlines)) {
	return inlines.map((inline) => {
		if (typeof inline === "string") return balanced(inline);
		const { kind, to = "" } = inline;
		const inside = inlineNodes(inline.inlines, room, leads);
		if (kind === "emoji") return inside[0]; // its name, as whoever sent it left it
		if (kind === "link") return anchor(to, inside, isBare(inline), leads.has(inline));
		if (kind === "entry" || kind === "room") {
			const a = /** @type {HTMLAnchorElement} */ (element("a", inside));
			a.href = kind === "room" ? `/r/${encodeURIComponent(to)}` : `/r/${encodeURIComponent(room)}#${to}`;
			a.dir = "ltr";
			return a;
		}
		const marked = element(leads.has(inline) ? "span" : ELEMENTS[kind], inside);
		if (kind === "mention") marked.className = "mention";
		if (kind === "code") marked.dir = "ltr";
		return marked;
	});
}

/**
 * @param {string} name
 * @param {(Node | string)[]} children
 */
function element(name, children) {
	const made = document.createElement(name);
	made.append(...children);
	return made;
}

/**
 * A link that shows where it leads, whatever its words are.
 * @param {string} url
 * @param {(Node | string)[]} words
 * @param {boolean} bare its words are its address
 * @param {boolean} leads its words give their line its direction
 */
function anchor(url, words, bare, leads) {
	const a = /** @type {HTMLAnchorElement} */ (element("a", []));
	a.href = url;
	a.rel = "noopener noreferrer nofollow ugc";
	a.target = "_blank";
	const shown = element(leads ? "span" : "bdi", words);
	if (bare) shown.dir = "ltr";
	a.append(shown);
	if (!bare) {
		const host = element("bdi", [` (${new URL(url).host || new URL(url).pathname})`]);
		host.className = "link-host";
		host.dir = "ltr";
		a.append(host);
	}
	return a;
}

/** @param {string} code */
function codeBlock(code) {
	const block = stamp("t-code");
	part(block, "code").textContent = balanced(code);
	const button = part(block, "button");
	button.addEventListener("click", () => copyFrom(button, code));
	return block;
}

/**
 * Puts a user's letter on the user's hue.
 * @param {HTMLElement} avatar
 * @param {import("../net/wire.js").User} user
 */
export function drawAvatar(avatar, { id, name }) {
	let hash = 0x811c9dc5; // FNV-1a
	for (const c of id) hash = Math.imul(hash ^ (c.codePointAt(0) ?? 0), 0x01000193);
	avatar.style.setProperty("--hue", String((hash >>> 0) % 360));
	setText(avatar, /[\p{L}\p{N}]/u.exec(name)?.[0].toLocaleUpperCase() ?? "·");
}
