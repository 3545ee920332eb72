// @ts-check
import { plainOf } from "../text/excerpt.js";
import { actionOf } from "../text/markup.js";
import { seqOf } from "../net/wire.js";

/** @typedef {import("../model/roomlog.js").RoomLog} RoomLog */
/** @typedef {import("../model/changes.js").Message} Entry */
/** @typedef {import("../net/wire.js").User} User */

/** So often something is read out at most, in milliseconds. */
const EVERY_MS = 1500;

/** More than so many new messages are counted, not read. */
const READ_MOST = 3;

/** So much of a message is read out, in characters. */
const CHARACTERS = 300;

/**
 * Tells a screen reader what is new. The messages themselves can't: rows that
 * are scrolled back into the document would be taken for news.
 */
export class Announcer {
	#region;
	#newest = 0;
	/** @type {Entry[]} READ_MOST at most */
	#waiting = [];
	#count = 0;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;

	/** @param {HTMLElement} region */
	constructor(region) {
		this.#region = region;
	}

	/**
	 * @param {RoomLog} log
	 * @param {User | null} me whose words are no news
	 * @param {boolean} other another room than before: all that it holds is known
	 */
	heard({ entries, loaded }, me, other) {
		const known = this.#newest;
		this.#newest = seqOf(entries.at(-1)?.id ?? "");
		if (other || !loaded) {
			this.#waiting = [];
			this.#count = 0;
			return;
		}
		const news = [];
		for (let i = entries.length - 1; i >= 0 && seqOf(entries[i].id) > known; i--)
			if (entries[i].user.id !== me?.id) news.unshift(entries[i]);
		this.#count += news.length;
		this.#waiting = [...this.#waiting, ...news].slice(0, READ_MOST);
		if (this.#count > 0 && !this.#timer) this.#timer = setTimeout(() => this.#read(), this.#region.childElementCount > 0 ? EVERY_MS : 0);
	}

	#read() {
		this.#timer = undefined;
		const read = (/** @type {Entry} */ { user: { name }, text }) => (actionOf(text) ? "" : `${name}: `) + plainOf(text, name, CHARACTERS);
		const words = this.#count > READ_MOST ? [`${this.#count} new messages`] : this.#waiting.map(read);
		this.#region.replaceChildren(...words.map(spoken));
		this.#waiting = [];
		this.#count = 0;
	}
}

/** @param {string} words */
function spoken(words) {
	const element = document.createElement("p");
	element.textContent = words;
	return element;
}
