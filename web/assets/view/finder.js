// @ts-check
import { balanced } from "../text/bidi.js";
import { around, search, wordsOf } from "../text/search.js";
import { arrange, byId, part, setText, stamp } from "./dom.js";
import { saidTime } from "./times.js";

/** @typedef {import("../model/changes.js").Message} Message */

/** So many are shown; more words find fewer. */
const FOUND_MOST = 100;

/**
 * @typedef {object} Room What a search knows of the room.
 * @property {() => {entries: Message[], more: boolean}} now what is loaded, and whether there is more
 * @property {(wanted: () => boolean) => Promise<void>} back loads more
 * @property {(message: Message) => string} href
 */

/** Finds words in what is loaded of the room, and in more of it when asked to. */
export class Finder {
	#dialog = /** @type {HTMLDialogElement} */ (byId("search"));
	#field = /** @type {HTMLInputElement} */ (byId("search-field"));
	#list = byId("search-list");
	#back = byId("search-back");
	#room;
	#query = "";
	/** Rows by what they show. @type {Map<string, HTMLElement>} */
	#drawn = new Map();
	/** It is loading what is further back. */
	#going = false;

	/** @param {Room} room */
	constructor(room) {
		this.#room = room;
		this.#field.addEventListener("input", () => this.draw());
		this.#back.addEventListener("click", () => this.#further());
		this.#dialog.addEventListener("keydown", (e) => this.#key(e));
		this.#dialog.addEventListener("close", () => (this.#going = false));
		this.#list.addEventListener("click", ({ target, ctrlKey, metaKey, shiftKey }) => {
			if (target instanceof Element && target.closest("a") && !ctrlKey && !metaKey && !shiftKey) this.#dialog.close();
		});
	}

	/** Draws what is found by now; the dialog is open by then. */
	show() {
		this.draw();
	}

	/** Draws what is found by now. */
	draw() {
		if (!this.#dialog.open) return;
		const { entries, more } = this.#room.now();
		const query = this.#field.value;
		const words = wordsOf(query);
		const found = search(entries, words, FOUND_MOST);
		const before = query === this.#query ? this.#drawn : new Map();
		this.#query = query;
		this.#drawn = new Map(found.map((message) => {
			const mark = JSON.stringify([message.id, message.user.name, message.text, saidTime(message.time)]);
			return [mark, before.get(mark) ?? this.#row(message, words)];
		}));
		arrange(this.#list, [...this.#drawn.values()]);
		const full = found.length === FOUND_MOST;
		if (full || !more) this.#going = false;
		this.#back.hidden = words.length === 0 || full || !more;
		setText(this.#back, this.#going ? "Stop" : "Search further back");
		const back = more && entries.length > 0 ? `Looked back to ${saidTime(entries[0].time)}.` : "Looked through all that is here.";
		setText(byId("search-words"), words.length === 0 ? "" : full ? `The newest ${FOUND_MOST} are shown.` : `${found.length} found. ${back}`);
	}

	/**
	 * @param {Message} message
	 * @param {string[]} words
	 */
	#row(message, words) {
		const row = stamp("t-found");
		/** @type {HTMLAnchorElement} */ (part(row, "a")).href = this.#room.href(message);
		setText(part(row, "b"), message.user.name);
		setText(part(row, "time"), saidTime(message.time));
		part(row, "p").append(...around(message.text, words).map(({ text, hit }) => {
			if (!hit) return balanced(text);
			const mark = document.createElement("mark");
			mark.textContent = balanced(text);
			return mark;
		}));
		return row;
	}

	async #further() {
		this.#going = !this.#going;
		this.draw();
		if (!this.#going) return;
		await this.#room.back(() => this.#going);
		this.#going = false;
		this.draw();
	}

	/** @param {KeyboardEvent} e */
	#key(e) {
		const links = [...this.#list.querySelectorAll("a")];
		const at = links.indexOf(/** @type {HTMLAnchorElement} */ (document.activeElement));
		const step = e.key === "ArrowDown" ? 1 : e.key === "ArrowUp" ? -1 : 0;
		if (step) (links[at + step] ?? (at + step < 0 ? this.#field : links[at]))?.focus();
		else if (e.key === "Enter" && e.target === this.#field) links[0]?.click();
		else return;
		e.preventDefault();
	}
}
