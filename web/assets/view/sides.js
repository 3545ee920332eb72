// @ts-check
import { byId, part } from "./dom.js";

/** As in the style sheets: below it the sides are sheets. */
const WIDE = matchMedia("(min-width: 900px)");

/**
 * How a finger must move to open or close a sheet, in pixels. At the screen's
 * very edges swipes are the browser's: back and forth.
 */
const SWIPE = Object.freeze({ edge: 24, least: 64 });

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
			if (e.key === "Escape" && this.#sheet && !document.querySelector("dialog[open]")) this.close();
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

	/** @param {boolean} right */
	#swiped(right) {
		const toEnd = right === (getComputedStyle(this.#app).direction === "ltr");
		if (!this.#sheet) this.#open(toEnd ? "rooms" : "people");
		else if (this.#sheet === (toEnd ? "people" : "rooms")) this.close();
	}

	#watchSwipes() {
		/** @type {{x: number, y: number} | null} */
		let from = null;
		document.addEventListener("touchstart", ({ touches, target }) => {
			const { clientX: x, clientY: y } = touches[0];
			const others = touches.length > 1 || x < SWIPE.edge || x > innerWidth - SWIPE.edge;
			const scrolls = target instanceof Element && target.closest("pre, input, textarea");
			from = WIDE.matches || others || scrolls ? null : { x, y };
		}, { passive: true });
		document.addEventListener("touchend", ({ changedTouches: [end] }) => {
			if (!from) return;
			const x = end.clientX - from.x;
			const across = Math.abs(x) > SWIPE.least && Math.abs(x) > 2 * Math.abs(end.clientY - from.y);
			from = null;
			if (across) this.#swiped(x > 0);
		}, { passive: true });
	}
}
