// @ts-check
import { byId, setText } from "./dom.js";
import { sentence } from "./row.js";

/** One's name, and the field in its place that changes it. */
export class NameLine {
	#shown = byId("me-is");
	#form = byId("me-edit");
	#field = /** @type {HTMLInputElement} */ (byId("me-field"));
	#error = byId("me-error");
	#name = "";
	#hooks;

	/**
	 * @param {object} hooks
	 * @param {(name: string) => Promise<unknown>} hooks.rename
	 * @param {() => void} hooks.done
	 */
	constructor(hooks) {
		this.#hooks = hooks;
		byId("me-change").addEventListener("click", () => this.#open());
		byId("me-cancel").addEventListener("click", () => this.#close());
		this.#form.addEventListener("submit", (e) => {
			e.preventDefault();
			this.#save();
		});
		this.#form.addEventListener("keydown", (e) => {
			if (e.key !== "Escape") return;
			e.stopPropagation();
			this.#close();
		});
	}

	/**
	 * @param {string} name
	 * @param {boolean} chosen not given
	 * @param {boolean} fixed the user can't change it
	 */
	show(name, chosen, fixed) {
		this.#name = chosen ? name : "";
		byId("me").hidden = name === "";
		setText(byId("me-name"), name);
		byId("me-change").hidden = fixed;
		setText(byId("me-change"), chosen ? "Change" : "Choose a name");
	}

	#open() {
		this.#shown.hidden = true;
		this.#form.hidden = false;
		this.#field.value = this.#name;
		this.#field.focus();
		this.#field.select();
	}

	#close() {
		this.#form.hidden = true;
		this.#shown.hidden = false;
		this.#fail("");
		this.#hooks.done();
	}

	async #save() {
		const name = this.#field.value.trim();
		if (name === this.#name) return this.#close();
		if (!name) return this.#fail("Write a name first.");
		this.#form.setAttribute("aria-busy", "true");
		try {
			await this.#hooks.rename(name);
			this.#close();
		} catch (refusal) {
			this.#fail(sentence(refusal instanceof Error ? refusal.message : ""));
			this.#field.focus();
		} finally {
			this.#form.removeAttribute("aria-busy");
		}
	}

	/** @param {string} words */
	#fail(words) {
		setText(this.#error, words);
		this.#field.setAttribute("aria-invalid", String(words !== ""));
	}
}
