// @ts-check
import { pathOf } from "../model/roomlist.js";
import { arrange, byId, part, setText, stamp } from "./dom.js";
import { closes } from "./menu.js";

/** @typedef {import("../net/wire.js").Node} Node */
/** @typedef {import("../model/nodenumbers.js").Numbers} NodeNumbers */

/** The pill that says which node one is on, and the list of all nodes under it. */
export class Pill {
	#pill = /** @type {HTMLDetailsElement} */ (byId("pill"));
	#numbers;
	/** Rows by what they show. @type {Map<string, HTMLElement>} */
	#drawn = new Map();

	/** @param {NodeNumbers} numbers */
	constructor(numbers) {
		this.#numbers = numbers;
		closes(this.#pill);
	}

	/**
	 * @param {Node | null} node the one that is, or was last, talked to
	 * @param {Node[]} nodes
	 * @param {boolean} online
	 * @param {string} room
	 */
	draw(node, nodes, online, room) {
		this.#pill.hidden = !node;
		if (!node) return;
		this.#pill.className = `pill ${this.#numbers.colour(node.id)}${online ? "" : " away"}`;
		setText(byId("pill-words"), `Node ${this.#numbers.of(node.id)}`);
		part(this.#pill, "summary").title = online ? `Connected to ${node.id}` : `Not connected; last to ${node.id}`;
		const sorted = [...nodes].sort((a, b) => this.#numbers.of(a.id) - this.#numbers.of(b.id));
		const had = this.#drawn;
		this.#drawn = new Map(sorted.map((one) => {
			const here = one.id === node.id && online;
			const mark = JSON.stringify([one.id, one.url, this.#numbers.of(one.id), here, room]);
			return [mark, had.get(mark) ?? this.#row(one, here, room)];
		}));
		arrange(byId("pill-nodes"), [...this.#drawn.values()]);
	}

	/**
	 * @param {Node} node
	 * @param {boolean} here
	 * @param {string} room
	 */
	#row({ id, url }, here, room) {
		const row = stamp("t-node");
		const link = /** @type {HTMLAnchorElement} */ (part(row, "a"));
		link.classList.add(this.#numbers.colour(id));
		if (here) link.setAttribute("aria-current", "true");
		if (/^https?:/.test(url)) link.href = url.replace(/\/+$/, "") + pathOf(room);
		link.target = "_blank";
		link.rel = "noopener";
		setText(part(row, ".node-name"), `Node ${this.#numbers.of(id)}`);
		setText(part(row, ".node-url"), here ? "you are here" : hostOf(url));
		return row;
	}
}

/**
 * @param {string} url
 * @returns {string} "localhost:8081"
 */
function hostOf(url) {
	return URL.canParse(url) ? new URL(url).host : url;
}
