// @ts-check
import { byId, part } from "./dom.js";

/** As in the style sheets: below it the sides are sheets. */
const WIDE = matchMedia("(min-width: 900px)");

/** How a finger must move to open or close a sheet, in pixels. */
const SWIPE = Object.freeze({ edge: 28, least: 56 });

/**
 * @typedef {object} Fold Where it is kept that a side is folded away.
 * @property {(side: string) => boolean} folded
 * @property {(side: string, away: boolean) => void} fold
 */

/** The two sides: columns that fold away where there is room, else sheets. */
export class Sides {
	#app = byId("app");
	#shade = byId("shade");
	#talk = part(document.body, ".talk");
	#fold;
	/** @type {string} the sheet that is open; "" */
	#sheet = "";

	/** @param {Fold} fold */
	constructor(fold) {
		this.#fold = fold;
		for (const side of ["rooms", "people"]) {
			byId(`${side}-toggle`).addEventListener("click", () => this.#toggle(side));
			part(byId(side), "[data-close]").addEventListener("click", () => this.close());
		}
		this.#shade.addEventListener("click", () => this.close());
		document.addEventListener("keydown", (e) => {
			if (e.key === "Escape" && this.#sheet) this.close();
		});
		WIDE.addEventListener("change", () => this.close());
		this.#watchSwipes();
		this.#draw();
	}

	/** Closes the sheet that is open. */
	close() {
		const side = this.#sheet;
		this.#sheet = "";
		this.#draw();
		if (side && !WIDE.matches) byId(`${side}-toggle`).focus();
	}

	/** @param {string} side */
	#toggle(side) {
		if (WIDE.matches) {
			this.#fold.fold(side, !this.#fold.folded(side));
			this.#draw();
		} else this.#open(side);
	}

	/** @param {string} side */
	#open(side) {
		this.#sheet = side;
		this.#draw();
		part(byId(side), "[data-close]").focus();
	}

	#draw() {
		const wide = WIDE.matches;
		for (const side of ["rooms", "people"]) {
			const shown = wide ? !this.#fold.folded(side) : this.#sheet === side;
			this.#app.classList.toggle(`no-${side}`, !shown);
			byId(side).inert = !shown;
			byId(`${side}-toggle`).setAttribute("aria-expanded", String(shown));
		}
		this.#talk.inert = !wide && this.#sheet !== "";
		this.#shade.hidden = !this.#talk.inert;
	}

	#watchSwipes() {
		let from = { x: 0, y: 0 };
		document.addEventListener("touchstart", ({ touches: [t] }) => (from = { x: t.clientX, y: t.clientY }), { passive: true });
		document.addEventListener("touchend", ({ changedTouches: [t] }) => {
			const x = t.clientX - from.x;
			if (WIDE.matches || Math.abs(x) < SWIPE.least || Math.abs(x) < 2 * Math.abs(t.clientY - from.y)) return;
			if (this.#sheet) {
				if (this.#sheet === "rooms" ? x < 0 : x > 0) this.close();
			} else if (x > 0 && from.x < SWIPE.edge) this.#open("rooms");
			else if (x < 0 && from.x > innerWidth - SWIPE.edge) this.#open("people");
		}, { passive: true });
	}
}
