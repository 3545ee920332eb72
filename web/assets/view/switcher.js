// @ts-check
import { choicesOf } from "../model/choices.js";
import { badgeOf, unreadWords } from "../model/roomlist.js";
import { arrange, byId, part, setText, stamp } from "./dom.js";

/** @typedef {import("../model/choices.js").Choice} Choice */
/** @typedef {import("../model/roomlist.js").Row} Row */

/** A list of rooms that narrows as one types; one goes to a room by Enter. */
export class Switcher {
	#dialog = /** @type {HTMLDialogElement} */ (byId("switcher"));
	#field = /** @type {HTMLInputElement} */ (byId("switcher-field"));
	#list = byId("switcher-list");
	#does;
	/** @type {Choice[]} */
	#choices = [];
	/** @type {Map<string, HTMLElement>} by the room */
	#drawn = new Map();
	#at = 0;

	/**
	 * @param {object} does
	 * @param {() => {own: Row[], others: Row[]}} does.rows
	 * @param {() => string[]} does.recent the room visited last first
	 * @param {() => string} does.current
	 * @param {() => void} does.all asks for all rooms
	 * @param {(room: string) => void} does.open
	 */
	constructor(does) {
		this.#does = does;
		this.#field.addEventListener("input", () => this.#draw());
		this.#dialog.addEventListener("close", () => (this.#field.value = ""));
		this.#field.addEventListener("keydown", (e) => this.#key(e));
		this.#list.addEventListener("mousedown", (e) => e.preventDefault()); // the field keeps the focus
		this.#list.addEventListener("click", ({ target }) => {
			const row = target instanceof Element && target.closest("li");
			if (row) this.#open([...this.#list.children].indexOf(row));
		});
	}

	/** Draws the rooms; the dialog is open by then. */
	show() {
		this.#draw();
		this.#does.all();
	}

	/** The rooms may be others now. The one that is selected stays so. */
	draw() {
		if (!this.#dialog.open) return;
		const { room } = this.#choices[this.#at] ?? {};
		this.#draw();
		this.#select(Math.max(0, this.#choices.findIndex((choice) => choice.room === room)));
	}

	#draw() {
		const { rows, recent, current } = this.#does;
		this.#choices = choicesOf(rows(), recent(), current(), this.#field.value);
		const had = this.#drawn;
		this.#drawn = new Map(this.#choices.map(({ room, row }, i) => {
			// A row that stays is the same element: a press on it is not lost.
			const element = had.get(room) ?? stamp("t-choice");
			element.id = `choice-${i}`;
			const badge = part(element, ".room-unread");
			const says = row ? badgeOf(row) : "";
			setText(part(element, ".choice-verb"), row ? "" : "Open");
			setText(part(element, ".room-title"), room);
			badge.hidden = !says;
			badge.classList.toggle("named", !!row?.mentions);
			setText(badge, says);
			badge.title = row ? unreadWords(row) : "";
			setText(part(element, ".room-count"), row?.count ? `${row.count.toLocaleString()} online` : "");
			return [room, element];
		}));
		arrange(this.#list, [...this.#drawn.values()]);
		byId("switcher-none").hidden = this.#choices.length > 0;
		this.#list.hidden = this.#choices.length === 0;
		this.#select(0);
	}

	/** @param {number} at */
	#select(at) {
		this.#at = at;
		[...this.#list.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === at)));
		const row = this.#list.children[at];
		row?.scrollIntoView({ block: "nearest" });
		if (row) this.#field.setAttribute("aria-activedescendant", row.id);
		else this.#field.removeAttribute("aria-activedescendant");
	}

	/** @param {KeyboardEvent} e */
	#key(e) {
		const { length } = this.#choices;
		const step = e.key === "ArrowDown" ? 1 : e.key === "ArrowUp" ? -1 : 0;
		if (step && length > 0) this.#select((this.#at + step + length) % length);
		else if (e.key === "Enter") this.#open(this.#at);
		else return;
		e.preventDefault();
	}

	/** @param {number} at */
	#open(at) {
		const choice = this.#choices[at];
		if (!choice) return;
		this.#dialog.close();
		this.#does.open(choice.room);
	}
}
