// @ts-check
// What opens later comes as a script of its own, once the page is there and idle: so it opens
// at once, without losing a letter, and after its node went away too.

import { byId } from "./dom.js";

/** @typedef {typeof import("./extras.js")} Extras */

/** @type {Extras | undefined} */
let loaded;

/** Where it can't be loaded now, the next try loads it again. */
const load = async () => (loaded ??= await import("./extras.js"));

/**
 * Lets one choose an emoji.
 * @param {HTMLElement} anchor what asks, next to which it opens
 * @returns {Promise<string | null>} null where none was chosen
 */
export const pickEmoji = async (anchor) => (loaded ?? (await load())).pickEmoji(anchor);

/** Shows what one can do, by keys, marks and commands. */
export const openHelp = async () => (loaded ?? (await load())).openHelp();

/** Something that is made when it is first shown. */
export class Later {
	/** @type {{show: () => void, draw: () => void} | undefined} */
	#it;
	#make;

	/** @param {(extras: Extras) => {show: () => void, draw: () => void}} make */
	constructor(make) {
		this.#make = make;
	}

	show = async () => {
		const extras = loaded ?? (await load());
		this.#it ??= this.#make(extras);
		this.#it.show();
	};

	draw() {
		this.#it?.draw();
	}
}

/**
 * Buttons open something, and say by which key.
 * @param {string} selector
 * @param {string} key
 * @param {() => void} show
 */
export function opens(selector, key, show) {
	for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(selector))) {
		button.title = key;
		button.addEventListener("click", show);
	}
}

byId("help-open").addEventListener("click", openHelp);
document.addEventListener("keydown", (e) => {
	if (e.key !== "/" || !e.ctrlKey && !e.metaKey) return;
	e.preventDefault();
	openHelp();
});
(globalThis.requestIdleCallback ?? setTimeout)(() => load().catch(() => {}));
