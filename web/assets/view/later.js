// @ts-check
// What opens later comes as a script of its own, when it is wanted. Where one can't be
// loaded now nothing opens, and the next try loads it again.

import { byId } from "./dom.js";
import { keyName } from "./keys.js";

/** @typedef {import("./finder.js").Finder} Finder */

/**
 * Lets one choose an emoji.
 * @param {HTMLElement} anchor what asks, next to which it opens
 * @returns {Promise<string | null>} null where none was chosen
 */
export async function pickEmoji(anchor) {
	const { pickEmoji } = await import("./extras.js");
	return pickEmoji(anchor);
}

/** Shows what one can do, by keys, marks and commands. */
export async function openHelp() {
	const { openHelp } = await import("./extras.js");
	openHelp();
}

/** Opens the search. */
export class Search {
	/** @type {Finder | undefined} */
	#finder;
	#room;

	/** @param {import("./finder.js").Room} room */
	constructor(room) {
		this.#room = room;
		for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-search]"))) {
			button.title = keyName("F", true);
			button.addEventListener("click", () => this.show());
		}
	}

	async show() {
		const { Finder } = await import("./extras.js");
		this.#finder ??= new Finder(this.#room);
		this.#finder.show();
	}

	draw() {
		this.#finder?.draw();
	}
}

byId("help-open").addEventListener("click", openHelp);
document.addEventListener("keydown", (e) => {
	if (e.key !== "/" || !e.ctrlKey && !e.metaKey) return;
	e.preventDefault();
	openHelp();
});
