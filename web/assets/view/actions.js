// @ts-check
import { byId, part, stamp } from "./dom.js";

/** @typedef {import("./layout.js").Item} Item */
/** @typedef {import("../model/changes.js").Message} Message */
/** @typedef {import("./log.js").LogView} LogView */

/** How long a finger rests on a message to open its menu, in milliseconds, and how far it may stray, in pixels. */
const PRESS_MS = 450;
const STRAY = 10;

/** How long a button says that it copied, in milliseconds. */
const SAID_MS = 1500;

/** Offered before all others. */
const QUICK = ["👍", "❤️", "😂", "🎉", "😮", "🙏"];

/**
 * @typedef {object} Hooks What a message's buttons do. What is not there has no button.
 * @property {() => string} me one's own id; ""
 * @property {() => boolean} [moderator] may delete what others said
 * @property {() => import("../model/closed.js").Closed["code"] | undefined} [closed] why one can't write now
 * @property {(entry: Message, emoji: string, on: boolean) => void} [react]
 * @property {(button: HTMLElement) => Promise<string | null>} [pick] lets one choose an emoji
 * @property {(entry: Message) => void} [reply]
 * @property {(entry: Message) => void} [edit]
 * @property {(entry: Message) => void} [remove]
 * @property {(entry: Message) => void} [moderate] its author
 * @property {(entry: Message) => string} address of the message
 * @property {(words: HTMLElement, text: string) => void} copy
 * @property {(key: string) => void} retry
 * @property {(key: string) => void} discard
 * @property {(key: string) => void} [again] back into the field, to be changed
 * @property {() => void} leave back to where one writes
 */

/**
 * What one does with messages: a bar on the one that the mouse or the focus is
 * on, the same as a menu where a finger rests, and the arrow keys among them.
 */
export class Actions {
	#scroll = byId("scroll");
	#log = byId("log");
	#stage = byId("stage");
	#bar = stamp("t-actions");
	#view;
	#hooks;
	/** The message that the bar is about. @type {Message | null} */
	#entry = null;
	/** The key of the message that the arrow keys start from; "" */
	#active = "";
	/** Of a finger that rests. */
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#press;

	/**
	 * @param {LogView} view
	 * @param {Hooks} hooks
	 */
	constructor(view, hooks) {
		this.#view = view;
		this.#hooks = hooks;
		part(this.#bar, ".quick").replaceChildren(...QUICK.map(quickButton));
		this.#stage.addEventListener("click", (e) => this.#clicked(e));
		this.#bar.addEventListener("keydown", (e) => this.#barKey(e));
		this.#scroll.addEventListener("keydown", (e) => this.#key(e));
		this.#scroll.addEventListener("focusout", ({ relatedTarget }) => {
			if (!this.#bar.contains(/** @type {Node | null} */ (relatedTarget))) this.#hide();
		});
		this.#log.addEventListener("focusin", ({ target }) => {
			const message = messageOf(target);
			this.#rove(message);
			if (message === target) this.#show(message);
		});
		this.#log.addEventListener("pointerover", (e) => this.#hovered(e, messageOf(e.target)));
		this.#log.addEventListener("pointerleave", (e) => this.#hovered(e, null));
		this.#longPress();
	}

	/**
	 * @param {PointerEvent} e
	 * @param {HTMLElement | null} message
	 */
	#hovered(e, message) {
		// Where the keyboard uses it, it stays.
		if (e.pointerType === "mouse" && !this.#bar.querySelector(":focus-visible")) this.#show(message);
	}

	#longPress() {
		let [x, y] = [0, 0];
		const rest = () => clearTimeout(this.#press);
		this.#log.addEventListener("pointerdown", (e) => {
			const message = messageOf(e.target);
			if (e.pointerType === "mouse" || !message || within(e.target, "a, button")) return;
			[x, y] = [e.clientX, e.clientY];
			this.#press = setTimeout(() => this.#show(message, true), PRESS_MS);
		});
		this.#log.addEventListener("pointermove", (e) => {
			if (Math.hypot(e.clientX - x, e.clientY - y) > STRAY) rest();
		});
		for (const name of ["pointerup", "pointercancel", "pointerleave"]) this.#log.addEventListener(name, rest);
		// The finger that opened the menu chooses nothing in it as it leaves.
		this.#log.addEventListener("touchend", (e) => this.#isSheet && e.cancelable && e.preventDefault());
		this.#log.addEventListener("contextmenu", (e) => {
			if (this.#isSheet) e.preventDefault(); // it is this menu that opened
		});
		document.addEventListener("pointerdown", ({ target }) => {
			if (this.#isSheet && !this.#bar.contains(/** @type {Node} */ (target))) this.#hide();
		});
	}

	get #isSheet() {
		return this.#bar.parentElement === this.#stage;
	}

	get #buttons() {
		return [...this.#bar.querySelectorAll("button")].filter((button) => button.getClientRects().length > 0);
	}

	/**
	 * @param {HTMLElement | null} message
	 * @param {boolean} [sheet]
	 */
	#show(message, sheet = false) {
		if (this.#isSheet || message && this.#bar.parentElement === message) return;
		this.#hide();
		const entry = message && this.#view.itemOf(message)?.entry;
		if (!message || !entry) return;
		this.#entry = entry;
		const { me, moderator, edit, remove, reply, react, pick, moderate } = this.#hooks;
		const mine = entry.user.id === me();
		const { changes, writes } = this.#may;
		const can = { edit: mine && changes && edit, remove: (mine || moderator?.()) && remove, moderate: !mine && moderator?.() && moderate, reply: writes && reply, react: changes && react && (pick || !sheet) };
		for (const [what, hook] of Object.entries(can)) part(this.#bar, `[data-do=${what}]`).hidden = !hook;
		part(this.#bar, ".quick").hidden = !react || !changes;
		this.#bar.className = sheet ? "actions sheet" : "actions";
		(sheet ? this.#stage : message).append(this.#bar);
		this.#buttons.forEach((button, i) => (button.tabIndex = i ? -1 : 0));
	}

	/** The messages were drawn: one that has the focus may have got its place, and with it its bar. */
	refresh() {
		const at = /** @type {HTMLElement | null} */ (document.activeElement);
		if (!this.#entry && at?.matches(".message:focus-visible")) this.#show(at);
	}

	/** What nodes accept: slow mode leaves changes of messages, and deletions are always accepted. */
	get #may() {
		const closed = this.#hooks.closed?.();
		return { writes: !closed, changes: !closed || closed === "slow_mode" };
	}

	#hide() {
		const message = messageOf(this.#bar);
		if (this.#bar.contains(document.activeElement)) message?.focus();
		this.#bar.remove();
		this.#entry = null;
	}

	/** @param {MouseEvent} e on the bar, or within a message */
	#clicked(e) {
		const button = within(e.target, "button");
		const { do: what = "", emoji } = button?.dataset ?? {};
		if (!button || !what && !emoji) return;
		const hooks = this.#hooks;
		const pending = within(button, ".fate")?.dataset.pending;
		const entry = this.#bar.contains(button) ? this.#entry : this.#view.itemOf(button)?.entry;
		if (pending) return hooks[/** @type {"retry" | "discard" | "again"} */ (what)]?.(pending);
		if (!entry) return;
		if (what === "link") return this.#copy(button, hooks.address(entry));
		if (what === "text") return this.#copy(button, entry.text);
		// The room may have been closed since the buttons were shown.
		const { writes, changes } = this.#may;
		if (what === "reply" ? !writes : (what === "react" || what === "edit" || emoji) && !changes) return this.#hide();
		if (what === "react") return this.#pick(button, entry);
		if (emoji) return this.#react(entry, emoji);
		this.#hide();
		if (what === "remove" && !within(button, ".ask")) return this.#ask(entry.id);
		this.#ask("");
		if (what === "remove") hooks.remove?.(entry);
		if (what === "moderate") hooks.moderate?.(entry);
		if (what === "reply") hooks.reply?.(entry);
		if (what === "edit") hooks.edit?.(entry);
	}

	/**
	 * @param {HTMLElement} button
	 * @param {Message} entry
	 */
	async #pick(button, entry) {
		const { pick } = this.#hooks;
		if (!pick) return this.#bar.classList.add("all");
		const emoji = await pick(button);
		this.#element(entry.id)?.focus({ preventScroll: true }); // the picker had it
		if (emoji) this.#react(entry, emoji, true);
	}

	/**
	 * @param {Message} entry
	 * @param {string} emoji
	 * @param {boolean} [on] else the other of what it is
	 */
	#react(entry, emoji, on) {
		if (this.#entry) this.#hide();
		const shown = this.#view.itemOf(this.#element(entry.id))?.reactions.find((one) => one.emoji === emoji);
		this.#hooks.react?.(entry, emoji, on ?? !shown?.mine);
	}

	/**
	 * @param {HTMLElement} button
	 * @param {string} text
	 */
	#copy(button, text) {
		button.classList.add("says");
		this.#hooks.copy(part(button, ".action-words"), text);
		setTimeout(() => {
			button.classList.remove("says");
			if (this.#isSheet) this.#hide();
		}, SAID_MS);
	}

	/** @param {string} key of the message that may be deleted; "" for none */
	#ask(key) {
		const before = this.#view.asking;
		if (key === before) return;
		this.#view.asking = key;
		this.#view.draw();
		const message = this.#element(key || before);
		/** @type {HTMLElement | null | undefined} */
		const keep = message?.querySelector("[data-do=keep]");
		(keep ?? message)?.focus();
	}

	/**
	 * @param {string} key
	 * @returns {HTMLElement | null}
	 */
	#element(key) {
		return this.#log.querySelector(`[data-key="${key}"]`);
	}

	/**
	 * One message is in the tab order, so that one comes back to it.
	 * @param {HTMLElement | null} message
	 */
	#rove(message) {
		const last = this.#element(this.#active);
		if (last) last.tabIndex = -1;
		this.#active = message?.dataset.key ?? "";
		if (message) message.tabIndex = 0;
	}

	#leave() {
		this.#rove(null);
		this.#hooks.leave();
	}

	/** @param {KeyboardEvent} e */
	#key(e) {
		const message = messageOf(e.target);
		const onMessage = message !== null && message === e.target;
		const { key } = e;
		if (key === "Escape") {
			if (this.#view.asking) return this.#ask("");
			return message && !onMessage ? message.focus() : this.#leave();
		}
		if (!onMessage && e.target !== this.#scroll || e.ctrlKey || e.altKey || e.metaKey) return;
		const step = { ArrowUp: -1, ArrowDown: 1 }[key];
		const opens = onMessage && (key === "Enter" || key === "ContextMenu" || key === "F10" && e.shiftKey);
		if (!step && !opens && key !== "End") return;
		e.preventDefault();
		if (step) {
			const next = this.#view.next(this.#active, step);
			if (next) next.focus({ preventScroll: true });
			else if (step > 0) this.#leave();
		} else if (opens) {
			this.#show(message);
			/** @type {HTMLElement | null} */
			const fate = message.querySelector(".fate button:not([hidden])");
			(this.#entry ? this.#buttons[0] : fate)?.focus();
		} else {
			this.#view.toEnd();
		}
	}

	/** @param {KeyboardEvent} e */
	#barKey(e) {
		if (e.key === "Escape" && this.#isSheet) return this.#hide();
		const buttons = this.#buttons;
		const at = buttons.findIndex((button) => button === document.activeElement);
		const step = getComputedStyle(this.#bar).direction === "rtl" ? -1 : 1;
		const to = { ArrowRight: at + step, ArrowLeft: at - step, Home: 0, End: buttons.length - 1 }[e.key];
		if (to === undefined) return;
		e.preventDefault();
		e.stopPropagation();
		buttons[(to + buttons.length) % buttons.length].focus();
	}
}

/**
 * @param {EventTarget | null} target
 * @returns {HTMLElement | null}
 */
const messageOf = (target) => within(target, ".message");

/**
 * @param {EventTarget | null} target
 * @param {string} selector of what it is within
 * @returns {HTMLElement | null}
 */
function within(target, selector) {
	return target instanceof Element ? target.closest(selector) : null;
}

/** @param {string} emoji */
function quickButton(emoji) {
	const button = stamp("t-quick");
	button.dataset.emoji = emoji;
	button.setAttribute("aria-label", `React with ${emoji}`);
	button.textContent = emoji;
	return button;
}
