// @ts-check
// What opens later comes as scripts of its own, when it is first wanted.

import { Chunk } from "../net/chunk.js";
import { show } from "./dialog.js";
import { byId } from "./dom.js";

/** @typedef {typeof import("./extras.js")} Extras */

/**
 * @typedef {object} Page What this needs of the page.
 * @property {() => Promise<unknown>} reconnected resolves when there is a connection, soon in any case
 * @property {() => Promise<boolean>} serves reports whether the node that the page came from answers
 * @property {(words: string) => void} tell shows a sentence
 * @property {() => boolean} moderator whether one is a moderator
 */

/** @type {Page} */
let page = { reconnected: async () => {}, serves: async () => true, tell: () => {}, moderator: () => false };

/** @param {Page} given */
export const joinPage = (given) => void (page = given);

/** The emoji by their names. @type {Chunk<typeof import("../text/emoji.js")>} */
export const emojiNames = new Chunk((url) => (url ? import(url) : import("../text/emoji.js")), () => page.reconnected());

/** @type {Chunk<Extras>} */
const scripts = new Chunk((url) => (url ? import(url) : import("./extras.js")), () => page.reconnected());

/** Loads the styles of what opens later. */
const styles = new Chunk(styled, () => page.reconnected());

/** @returns {Promise<Extras>} */
const extras = () => Promise.all([scripts.get(), styles.get()]).then(([all]) => all);

/** @returns {Promise<HTMLElement>} */
function styled() {
	const link = document.createElement("link");
	link.rel = "stylesheet";
	link.href = "/assets/style/opened.css";
	return new Promise((resolve, reject) => {
		link.onload = () => resolve(link);
		link.onerror = () => {
			link.remove();
			reject(new Error("the styles did not come"));
		};
		document.head.append(link);
	});
}

/** Why a script could not be loaded, as a sentence that says what to do. */
async function why() {
	return await page.serves()
		? "This can't be opened: the chat was updated. Reload the page, then it can."
		: `This can't be opened now: ${location.host} does not answer. Try again in a moment.`;
}

/**
 * Loads what opens later. Where that fails the page says so.
 * @returns {Promise<Extras | null>}
 */
async function loaded() {
	try {
		return await extras();
	} catch {
		page.tell(await why());
		return null;
	}
}

/** What only moderators load. @type {Chunk<typeof import("./desk.js")>} */
const desk = new Chunk((url) => (url ? import(url) : import("./desk.js")), () => page.reconnected());

/** Loads what moderators have. Rejects with a sentence where that fails. */
export const loadDesk = async () => {
	try {
		const [{ Desk }] = await Promise.all([desk.get(), styles.get()]);
		return Desk;
	} catch {
		throw new Error(await why());
	}
};

/**
 * Lets one choose an emoji.
 * @param {HTMLElement} anchor what asks, next to which it opens
 * @returns {Promise<string | null>} null where none was chosen
 */
export async function pickEmoji(anchor) {
	const [all, emoji] = await Promise.all([loaded(), emojiNames.get().catch(() => null)]);
	if (all && !emoji) page.tell(await why());
	return all && emoji && all.pickEmoji(anchor, emoji);
}

/** Shows what one can do, by keys, marks and commands. */
export const openHelp = async () => (await loaded())?.openHelp(page.moderator());

/** A dialog with a field. It opens at once; its script, which fills it, may come later. */
export class Later {
	/** @type {{show: () => void, draw: () => void} | undefined} */
	#it;
	#dialog;
	#make;

	/**
	 * @param {string} dialog its id
	 * @param {(all: Extras) => {show: () => void, draw: () => void}} make
	 */
	constructor(dialog, make) {
		this.#dialog = /** @type {HTMLDialogElement} */ (byId(dialog));
		this.#make = make;
	}

	show = async () => {
		show(this.#dialog);
		const field = /** @type {HTMLInputElement | null} */ (this.#dialog.querySelector("input"));
		field?.focus(); // no letter is lost meanwhile
		field?.select();
		const all = await loaded();
		if (!all) return this.#dialog.close();
		this.#it ??= this.#make(all);
		if (this.#dialog.open) this.#it.show();
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
for (const name of ["pointerover", "focusin"]) {
	document.addEventListener(name, ({ target }) => {
		if (target instanceof Element && target.closest("#pick, #help-open, #room-help, #go-room, [data-search], [data-do=react]")) extras().catch(() => {});
	});
}

/** Keeps the marks of texts in what is copied, once anything in the log is selected. @type {Chunk<typeof import("./copy.js")>} */
const copies = new Chunk((url) => (url ? import(url) : import("./copy.js")), () => page.reconnected());

document.addEventListener("selectionchange", () => {
	if (!copies.now && byId("log").contains(getSelection()?.anchorNode ?? null)) copies.get().catch(() => {}); // it is copied as browsers do it
});
