// @ts-check
import { complete } from "../text/complete.js";
import { byId, insertText, part, setText, stamp } from "./dom.js";

/** @typedef {import("../text/complete.js").Completion} Completion */

/**
 * Offers how a word may go on, in a list above the field, as the listbox of
 * https://www.w3.org/WAI/ARIA/apg/patterns/combobox/: the field keeps the focus.
 */
export class Completer {
	#list = byId("options");
	#field;
	#sources;
	/** @type {Completion | null} what is offered */
	#offered = null;
	#at = 0;

	/**
	 * @param {HTMLTextAreaElement} field
	 * @param {import("../text/complete.js").Sources} sources
	 */
	constructor(field, sources) {
		this.#field = field;
		this.#sources = sources;
		field.addEventListener("input", () => this.offer());
		field.addEventListener("compositionend", () => this.offer()); // Chromium sends no "input" after it
		field.addEventListener("blur", () => this.close());
		field.addEventListener("click", () => this.close()); // the caret is elsewhere
		this.#list.addEventListener("pointerdown", (e) => {
			e.preventDefault(); // the field keeps the focus
			const option = e.target instanceof Element ? e.target.closest("li") : null;
			if (option) this.#take([...this.#list.children].indexOf(option));
		});
	}

	close() {
		this.#offered = null;
		this.#draw();
	}

	/**
	 * @param {KeyboardEvent} e
	 * @returns {boolean} whether the key was meant for the list
	 */
	key(e) {
		const offered = this.#offered;
		if (!offered || e.ctrlKey || e.altKey || e.metaKey) return false;
		const { length } = offered.options;
		const step = { ArrowUp: -1, ArrowDown: 1 }[e.key];
		const takes = e.key === "Tab" && !e.shiftKey || e.key === "Enter" && !e.shiftKey && !offered.whole;
		if (step) this.#at = (this.#at + step + length) % length;
		else if (takes) this.#take(this.#at);
		else if (e.key === "Escape") this.#offered = null;
		else {
			if (e.key.startsWith("Arrow") || e.key === "Home" || e.key === "End") this.close();
			return false;
		}
		e.preventDefault();
		this.#draw();
		return true;
	}

	/** Offers what goes on from the text before the caret, also while it is composed. */
	offer() {
		const { value, selectionStart, selectionEnd } = this.#field;
		if (document.activeElement !== this.#field) return;
		this.#at = 0;
		this.#offered = selectionStart !== selectionEnd ? null : complete(value.slice(0, selectionStart), this.#sources);
		this.#draw();
	}

	/** @param {number} at */
	#take(at) {
		const option = this.#offered?.options[at];
		if (!this.#offered || !option) return;
		const { from } = this.#offered;
		insertText(this.#field, option.put, from, this.#field.selectionStart);
		this.close();
	}

	#draw() {
		const options = this.#offered?.options ?? [];
		this.#list.hidden = options.length === 0;
		this.#list.replaceChildren(...options.map(({ words, more }, i) => {
			const option = stamp("t-option");
			option.id = `option-${i}`;
			option.setAttribute("aria-selected", String(i === this.#at));
			setText(part(option, ".option-words"), words);
			setText(part(option, ".option-more"), more);
			return option;
		}));
		if (options.length > 0) this.#field.setAttribute("aria-activedescendant", `option-${this.#at}`);
		else this.#field.removeAttribute("aria-activedescendant");
	}
}
