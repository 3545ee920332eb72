// @ts-check
import { byId, setText } from "./dom.js";

/** @typedef {import("./words.js").Words} Words */

/** The bar above the field: one sentence about how things stand. */
export class Bar {
	#bar = byId("bar");
	#next = byId("bar-next");
	#action = /** @type {HTMLButtonElement} */ (byId("bar-action"));
	#link = /** @type {HTMLAnchorElement} */ (byId("bar-link"));
	/** @type {Words | null} */
	#words = null;
	/** What is to be read now. @type {Words | null} */
	#shown = null;
	#since = 0;
	/** When the next try is due. */
	#due = 0;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;

	/** @param {() => void} act what the button does */
	constructor(act) {
		this.#action.addEventListener("click", act);
		// Where letters are large it scrolls, and the keyboard has to reach it.
		new ResizeObserver(() => {
			if (this.#bar.scrollHeight > this.#bar.clientHeight) this.#bar.tabIndex = 0;
			else this.#bar.removeAttribute("tabindex");
		}).observe(this.#bar);
	}

	/** @param {Words | null} words */
	show(words) {
		if (words?.text !== this.#words?.text) this.#since = performance.now();
		// Counted on a clock that nobody sets meanwhile.
		if (words?.until !== undefined && words.until !== this.#words?.until) this.#due = performance.now() + words.until - Date.now();
		this.#words = words;
		this.#draw();
	}

	#draw() {
		clearTimeout(this.#timer);
		const words = this.#words;
		const left = words?.late ? (words.since ?? this.#since) + words.late - performance.now() : 0;
		if (left > 0) {
			if (this.#shown?.late) this.#bar.hidden = true; // that is over
			this.#timer = setTimeout(() => this.#draw(), left);
			return;
		}
		this.#shown = words;
		this.#bar.hidden = !words;
		if (!words) return;
		this.#bar.className = `bar ${words.tone}`;
		setText(byId("bar-words"), words.text);
		this.#drawNext(words);
		this.#action.hidden = !words.action;
		setText(this.#action, words.action ?? "");
		this.#link.hidden = !words.link;
		if (words.link) {
			setText(this.#link, words.link.label);
			this.#link.href = words.link.href;
			this.#link.target = "_blank";
			this.#link.rel = "noopener";
		}
	}

	/** @param {Words} words that may wait for the next try, or until one can write again */
	#drawNext({ until, opens }) {
		this.#next.hidden = until === undefined;
		if (until === undefined) return;
		const seconds = Math.ceil((this.#due - performance.now()) / 1000);
		setText(this.#next, seconds > 0 ? `${opens ? "You can write again" : "Next try"} in ${seconds} s.` : opens ? "" : "Trying…");
		if (seconds > 0) this.#timer = setTimeout(() => this.#draw(), 250);
	}
}
