// @ts-check
import { bytesOf } from "../wire.js";
import { byId, setText } from "./dom.js";

/** From this part of the limit on the length is shown. */
const NEAR = 0.8;

/** The field where one writes. */
export class Composer {
	#form = byId("composer");
	#field = /** @type {HTMLTextAreaElement} */ (byId("say"));
	#send = /** @type {HTMLButtonElement} */ (byId("send"));
	#counter = byId("counter");
	#limit = 4000;
	#hooks;

	/**
	 * @param {object} hooks
	 * @param {(text: string) => boolean} hooks.say takes the text, or not
	 * @param {() => void} hooks.typing
	 * @param {(text: string) => void} hooks.changed
	 */
	constructor(hooks) {
		this.#hooks = hooks;
		this.#form.addEventListener("submit", (e) => {
			e.preventDefault();
			this.#submit();
		});
		this.#field.addEventListener("keydown", (e) => this.#key(e));
		this.#field.addEventListener("input", () => {
			this.#hooks.changed(this.#field.value);
			if (this.#field.value.trim()) this.#hooks.typing();
			this.#draw();
		});
	}

	/** @param {number} limit in bytes of UTF-8 */
	setLimit(limit) {
		this.#limit = limit;
		this.#draw();
	}

	/**
	 * @param {string} room
	 * @param {string} text what was begun there
	 */
	setRoom(room, text) {
		this.#field.placeholder = `Write to #${room}`;
		this.#field.value = text;
		this.#draw();
	}

	focus() {
		this.#field.focus({ preventScroll: true });
	}

	/** @param {KeyboardEvent} e */
	#key(e) {
		// While an input method composes, Enter is its own (229: Safari's late one).
		if (e.key !== "Enter" || e.shiftKey || e.isComposing || e.keyCode === 229) return;
		e.preventDefault();
		this.#submit();
	}

	#submit() {
		const text = this.#text();
		if (!text || bytesOf(text) > this.#limit) return;
		if (!this.#hooks.say(text)) return this.#note("Too much waits to be sent already. Keep this until it is gone.", true);
		this.#field.value = "";
		this.#hooks.changed("");
		this.#draw();
		this.focus();
	}

	#text() {
		return this.#field.value.replace(/^\s*\n|\s+$/g, "");
	}

	/**
	 * @param {string} words
	 * @param {boolean} refused
	 */
	#note(words, refused) {
		this.#counter.hidden = words === "";
		this.#counter.classList.toggle("over", refused);
		setText(this.#counter, words);
	}

	#draw() {
		const bytes = bytesOf(this.#text());
		const over = bytes > this.#limit;
		this.#send.disabled = bytes === 0 || over;
		const count = `${bytes.toLocaleString()} of ${this.#limit.toLocaleString()} bytes`;
		this.#note(bytes < this.#limit * NEAR ? "" : over ? `Too long: ${count}` : count, over);
		this.#field.style.height = "auto";
		this.#field.style.height = `${this.#field.scrollHeight}px`;
	}
}
