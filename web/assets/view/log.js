// @ts-check
import { arrange, byId, part, setText, stamp } from "./dom.js";
import { layOut } from "./layout.js";
import { clockTime, dayName, drawAvatar, saidTime, textNodes, wholeTime } from "./text.js";

/** @typedef {import("./layout.js").Item} Item */
/** @typedef {import("../wire.js").User} User */
/** @typedef {import("../outbox.js").Pending} Pending */
/** @typedef {import("../roomlog.js").RoomLog} RoomLog */
/** @typedef {import("../nodenumbers.js").NodeNumbers} NodeNumbers */

/** When a pending message says that it is being sent, in milliseconds. */
export const SLOW_MS = 2000;

/** How near to an edge counts as there, in pixels. */
const NEAR_END = 48;
const NEAR_START = 600;

/**
 * @typedef {object} Hooks
 * @property {() => void} older the beginning of what is shown came near
 * @property {() => void} atEnd the newest message came into view
 * @property {(key: string) => void} retry
 * @property {(key: string) => void} discard
 *
 * @typedef {{element: HTMLElement, mark: string, item: Item}} Drawn
 */

/** Draws a room's messages, and keeps the reader's place in them. */
export class LogView {
	#scroll = byId("scroll");
	#log = byId("log");
	#jump = byId("jump");
	#numbers;
	#hooks;
	/** @type {Map<string, Drawn>} */
	#drawn = new Map();
	#room = "";
	#atEnd = true;
	/** The reader's place: an element and where on the screen it was. */
	/** @type {{element: Element, top: number} | null} */
	#place = null;

	/**
	 * @param {NodeNumbers} numbers
	 * @param {Hooks} hooks
	 */
	constructor(numbers, hooks) {
		this.#numbers = numbers;
		this.#hooks = hooks;
		this.#scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
		this.#jump.addEventListener("click", () => this.toEnd());
		new ResizeObserver(() => this.#settle()).observe(this.#scroll);
	}

	/** Whether the newest message is in view. */
	get atEnd() {
		return this.#atEnd;
	}

	toEnd() {
		this.#atEnd = true;
		this.#settle();
		this.#hooks.atEnd();
	}

	/**
	 * @param {RoomLog} log
	 * @param {Pending[]} pending
	 * @param {User | null} me
	 */
	draw(log, pending, me) {
		const other = log.name !== this.#room;
		if (other) {
			this.#room = log.name;
			this.#drawn.clear();
			this.#log.replaceChildren();
			this.#atEnd = true;
		}
		// What is not news is not read out.
		this.#log.setAttribute("aria-busy", String(other || !log.loaded));
		this.#remember();
		const items = layOut(log, pending, me);
		this.#adopt(items);
		const kept = new Map();
		for (const item of items) kept.set(item.key, this.#drawItem(item, me, other));
		this.#drawn = kept;
		arrange(this.#log, [...kept.values()].map(({ element }) => element));
		this.#settle();
		this.#drawJump(log.unread);
		// Where all fits on the screen, no scrolling would ask for more.
		if (log.more && this.#scroll.scrollHeight <= this.#scroll.clientHeight) this.#hooks.older();
	}

	/**
	 * A pending message that got its place stays the element that it was.
	 * @param {Item[]} items
	 */
	#adopt(items) {
		for (const item of items) {
			if (!item.was || this.#drawn.has(item.key)) continue;
			const drawn = this.#drawn.get(item.was);
			if (drawn) this.#drawn.set(item.key, drawn);
		}
	}

	/**
	 * @param {Item} item
	 * @param {User | null} me
	 * @param {boolean} still nothing moves: the whole room is new
	 * @returns {Drawn}
	 */
	#drawItem(item, me, still) {
		const mark = this.#markOf(item);
		const drawn = this.#drawn.get(item.key);
		if (drawn && drawn.mark === mark && drawn.item.entry === item.entry) return drawn;
		const isMessage = item.kind === "message" || item.kind === "pending";
		const element = drawn?.element ?? stamp(isMessage ? "t-message" : "t-line");
		if (isMessage) this.#drawMessage(element, item, me);
		else this.#drawLine(element, item);
		const isNew = !drawn && !still && this.#atEnd && isMessage;
		element.classList.toggle("arrives", isNew);
		return { element, mark, item };
	}

	/**
	 * What of an item can change while its entry stays.
	 * @param {Item} item
	 */
	#markOf({ kind, first, last, crossed, entry, pending, time }) {
		if (pending) return `p${first}${last}${pending.failed}${Date.now() - pending.written > SLOW_MS}`;
		if (entry) return `m${first}${last}${crossed}${this.#numbers.of(entry.node)}`;
		return kind === "day" ? dayName(time) : kind;
	}

	/**
	 * @param {HTMLElement} element
	 * @param {Item} item
	 */
	#drawLine(element, { kind, gap, time }) {
		element.className = `line line-${kind}`;
		const words = part(element, "span");
		if (kind === "day") setText(words, dayName(time));
		else if (kind === "restart") setText(words, "This room was restarted. Earlier messages are gone.");
		else if (gap)
			setText(
				words,
				`Some messages between ${saidTime(gap.from)} and ${saidTime(gap.to)} are no longer available.`,
			);
	}

	/**
	 * @param {HTMLElement} element
	 * @param {Item} item
	 * @param {User | null} me
	 */
	#drawMessage(element, { entry, pending, first, last, crossed, time }, me) {
		const user = entry?.user ?? me ?? { id: "", name: "" };
		const node = entry ? this.#numbers.of(entry.node) : 0;
		const state = pending ? (pending.failed ? " failed" : " pending") : "";
		const colour = entry ? this.#numbers.colour(entry.node) : "node-gone";
		element.className = `message ${first ? "first" : "next"}${last ? " last" : ""} ${colour}${state}`;
		const number = part(element, ".message-node");
		setText(number, crossed && node ? String(node) : "");
		number.title = node ? `Taken by node ${node}` : "";
		drawAvatar(part(element, ".avatar"), user);
		setText(part(element, ".author"), user.name);
		const when = part(element, "time");
		setText(when, clockTime(time));
		when.title = wholeTime(time);
		when.setAttribute("datetime", new Date(time).toISOString());
		const text = entry?.text ?? pending?.text ?? "";
		part(element, ".text").replaceChildren(...textNodes(text));
		this.#drawFate(element, pending);
	}

	/**
	 * @param {HTMLElement} element
	 * @param {Pending | undefined} pending
	 */
	#drawFate(element, pending) {
		let fate = element.querySelector(".fate");
		if (!pending) {
			fate?.remove();
			return;
		}
		if (!fate) {
			fate = stamp("t-fate");
			part(fate, ".retry").addEventListener("click", () => this.#hooks.retry(pending.key));
			part(fate, ".discard").addEventListener("click", () => this.#hooks.discard(pending.key));
			element.append(fate);
		}
		const slow = Date.now() - pending.written > SLOW_MS;
		setText(part(fate, ".fate-words"), pending.failed ? sentence(pending.failed) : slow ? "sending…" : "");
		part(fate, ".retry").hidden = part(fate, ".discard").hidden = !pending.failed;
	}

	#scrolled() {
		const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
		const atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
		if (atEnd && !this.#atEnd) this.#hooks.atEnd();
		this.#atEnd = atEnd;
		if (scrollTop < NEAR_START) this.#hooks.older();
		this.#remember();
		if (atEnd) this.#jump.hidden = true;
		else this.#drawJump(0);
	}

	/** Notes where the reader is: the first message that is in view. */
	#remember() {
		this.#place = null;
		if (this.#atEnd) return;
		const edge = this.#scroll.getBoundingClientRect().top;
		let low = 0;
		let high = this.#log.children.length - 1;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (this.#log.children[middle].getBoundingClientRect().bottom < edge) low = middle + 1;
			else high = middle;
		}
		/** @type {Element | null} a message: a day's line moves when older ones come */
		let element = this.#log.children[low] ?? null;
		while (element && !element.matches(".message")) element = element.nextElementSibling;
		if (element) this.#place = { element, top: element.getBoundingClientRect().top };
	}

	/** Puts the reader back to where they were. */
	#settle() {
		if (this.#atEnd) {
			this.#scroll.scrollTop = this.#scroll.scrollHeight;
		} else if (this.#place?.element.isConnected) {
			this.#scroll.scrollTop += this.#place.element.getBoundingClientRect().top - this.#place.top;
		}
	}

	/** @param {number} unread */
	#drawJump(unread) {
		const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
		this.#jump.hidden = this.#atEnd || scrollHeight - scrollTop - clientHeight < clientHeight / 2 && !unread;
		if (unread || this.#jump.hidden) setText(byId("jump-words"), unread ? `${unread} new` : "Newest");
	}
}

/**
 * A node's words as a sentence.
 * @param {string} words
 */
export function sentence(words) {
	const text = words.trim();
	return text && text[0].toLocaleUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");
}
