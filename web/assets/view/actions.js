// @ts-check
import { byId, part, stamp } from "./dom.js";

/** @typedef {import("./layout.js").Item} Item */
/** @typedef {import("../changes.js").Message} Message */
/** @typedef {import("./log.js").LogView} LogView */

/** How long a finger rests on a message to open its menu, in milliseconds, and how far it may stray, in pixels. */
const PRESS_MS = 450;
const STRAY = 10;

/** How long a button says that it copied, in milliseconds. */
const SAID_MS = 1500;

/** Offered before all others. */
const QUICK = ["👍", "❤️", "😂", "🎉", "😮", "🙏"];

/**
 * @typedef {object} Hooks What a message's buttons do.
 * @property {() => string} me one's own id; ""
 * @property {(entry: Message, emoji: string, on: boolean) => void} [react]
 * @property {(button: HTMLElement, take: (emoji: string) => void) => void} [pick] lets one choose an emoji
 * @property {(entry: Message) => void} [reply]
 * @property {(entry: Message) => void} [edit]
 * @property {(entry: Message) => void} [remove]
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
	/** A finger that rests. @type {{timer: ReturnType<typeof setTimeout>, x: number, y: number} | null} */
	#press = null;

	/**
	 * @param {LogView} view
	 * @param {Hooks} hooks
	 */
	constructor(view, hooks) {
		this.#view = view;
		this.#hooks = hooks;
		const quick = part(this.#bar, ".quick");
		quick.replaceChildren(...QUICK.map(quickButton));
		this.#log.addEventListener("click", (e) => this.#clicked(e));
		this.#bar.addEventListener("click", (e) => this.#chosen(e));
		this.#bar.addEventListener("keydown", (e) => this.#barKey(e));
		this.#scroll.addEventListener("keydown", (e) => this.#key(e));
		this.#log.addEventListener("focusin", (e) => this.#focused(/** @type {Element} */ (e.target)));
		this.#scroll.addEventListener("focusout", (e) => {
			if (!this.#holds(e.relatedTarget)) this.#hide();
		});
		this.#hover();
		this.#longPress();
	}

	#hover() {
		this.#log.addEventListener("pointerover", (e) => {
			if (e.pointerType !== "mouse" || this.#bar.contains(document.activeElement)) return;
			this.#show(/** @type {Element} */ (e.target).closest(".message"));
		});
		this.#log.addEventListener("pointerleave", (e) => {
			if (e.pointerType === "mouse" && !this.#bar.contains(document.activeElement)) this.#hide();
		});
	}

	#longPress() {
		const letGo = () => {
			clearTimeout(this.#press?.timer);
			this.#press = null;
		};
		this.#log.addEventListener("pointerdown", (e) => {
			if (e.pointerType === "mouse") return;
			const message = /** @type {Element} */ (e.target).closest(".message");
			if (!message || /** @type {Element} */ (e.target).closest("a, button")) return;
			this.#press = { timer: setTimeout(() => this.#sheet(message), PRESS_MS), x: e.clientX, y: e.clientY };
		});
		this.#log.addEventListener("pointermove", (e) => {
			if (this.#press && Math.hypot(e.clientX - this.#press.x, e.clientY - this.#press.y) > STRAY) letGo();
		});
		for (const name of ["pointerup", "pointercancel", "pointerleave"]) this.#log.addEventListener(name, letGo);
		this.#log.addEventListener("contextmenu", (e) => {
			if (this.#press || this.#isSheet) e.preventDefault(); // it is this menu that opens
		});
		document.addEventListener("pointerdown", (e) => {
			if (this.#isSheet && !this.#holds(e.target)) this.#hide();
		});
	}

	get #isSheet() {
		return this.#bar.parentElement === this.#stage;
	}

	/** @param {EventTarget | null} target */
	#holds(target) {
		return target instanceof Node && this.#bar.contains(target);
	}

	/** @param {Element | null} message */
	#show(message) {
		if (this.#isSheet || message && this.#bar.parentElement === message) return;
		const entry = message && this.#view.itemOf(message)?.entry;
		if (!message || !entry) return this.#hide();
		this.#about(entry);
		message.append(this.#bar);
	}

	/** @param {Element} message */
	#sheet(message) {
		const entry = this.#view.itemOf(message)?.entry;
		if (!entry) return;
		this.#hide();
		this.#about(entry);
		this.#bar.classList.add("sheet");
		this.#stage.append(this.#bar);
		getSelection()?.removeAllRanges();
	}

	/** @param {Message} entry */
	#about(entry) {
		this.#entry = entry;
		const mine = entry.user.id === this.#hooks.me();
		const can = { edit: mine && this.#hooks.edit, remove: mine && this.#hooks.remove, reply: this.#hooks.reply, react: this.#hooks.react };
		for (const [what, hook] of Object.entries(can)) part(this.#bar, `[data-do=${what}]`).hidden = !hook;
		part(this.#bar, ".quick").hidden = !this.#hooks.react;
		for (const button of this.#bar.querySelectorAll("button")) button.tabIndex = -1;
		this.#buttons[0].tabIndex = 0;
	}

	get #buttons() {
		return [...this.#bar.querySelectorAll("button")].filter((button) => !button.closest("[hidden]"));
	}

	#hide() {
		this.#bar.remove();
		this.#bar.classList.remove("sheet", "all");
		this.#entry = null;
	}

	/** @param {MouseEvent} e on the bar */
	#chosen(e) {
		const button = /** @type {Element} */ (e.target).closest("button");
		const entry = this.#entry;
		if (!button || !entry) return;
		e.stopPropagation();
		const { do: what, emoji } = button.dataset;
		if (what === "react") return this.#pick(button, entry);
		if (what === "link") return this.#copy(button, this.#hooks.address(entry));
		if (what === "text") return this.#copy(button, entry.text);
		this.#done();
		if (emoji) this.#toggle(entry, emoji);
		else if (what === "reply") this.#hooks.reply?.(entry);
		else if (what === "edit") this.#hooks.edit?.(entry);
		else if (what === "remove") this.#ask(entry.id);
	}

	/**
	 * @param {HTMLElement} button
	 * @param {Message} entry
	 */
	#pick(button, entry) {
		if (!this.#hooks.pick) return void this.#bar.classList.toggle("all");
		this.#hooks.pick(button, (emoji) => {
			this.#hooks.react?.(entry, emoji, true);
			this.#done();
		});
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

	/** Back from the bar to its message. */
	#done() {
		const message = this.#bar.closest(".message");
		if (this.#bar.contains(document.activeElement)) /** @type {HTMLElement | null} */ (message)?.focus();
		this.#hide();
	}

	/**
	 * @param {Message} entry
	 * @param {string} emoji
	 */
	#toggle(entry, emoji) {
		const me = this.#hooks.me();
		const pressed = this.#log.querySelector(`[data-key="${entry.id}"] .reaction[data-emoji="${emoji}"][aria-pressed=true]`);
		const mine = pressed !== null || !!entry.reactions?.some((one) => one.emoji === emoji && one.users.some(({ id }) => id === me));
		this.#hooks.react?.(entry, emoji, !mine);
	}

	/** @param {string} key of the message that may be deleted; "" for none */
	#ask(key) {
		const before = this.#view.asking;
		this.#view.asking = key;
		this.#view.draw();
		const message = this.#element(key || before);
		/** @type {HTMLElement | null | undefined} */ (key ? message?.querySelector(".ask [data-do=keep]") : message)?.focus();
	}

	/** @param {string} key */
	#element(key) {
		return /** @type {HTMLElement | null} */ (this.#log.querySelector(`.message[data-key="${CSS.escape(key)}"]`));
	}

	/** @param {MouseEvent} e within a message */
	#clicked(e) {
		const target = /** @type {Element} */ (e.target);
		const button = target.closest("button");
		const item = this.#view.itemOf(target);
		if (!button || !item) return;
		const { entry } = item;
		const key = /** @type {HTMLElement | null} */ (button.closest(".fate"))?.dataset.pending;
		if (button.matches(".reaction") && entry) {
			const on = button.getAttribute("aria-pressed") !== "true";
			this.#hooks.react?.(entry, button.dataset.emoji ?? "", on);
		} else if (button.matches(".retry") && key) this.#hooks.retry(key);
		else if (button.matches(".discard, .cancel") && key) this.#hooks.discard(key);
		else if (button.matches(".again") && key) this.#hooks.again?.(key);
		else if (button.closest(".ask")) {
			this.#ask("");
			if (button.dataset.do === "remove" && entry) this.#hooks.remove?.(entry);
		}
	}

	/** @param {Element} element that has the focus */
	#focused(element) {
		const message = /** @type {HTMLElement | null} */ (element.closest(".message"));
		if (!message) return;
		this.#rove(message);
		if (element === message) this.#show(message);
	}

	/**
	 * One message is in the tab order, in place of the log, so that one comes back to it.
	 * @param {HTMLElement | null} message
	 */
	#rove(message) {
		const last = this.#element(this.#active);
		if (last) last.tabIndex = -1;
		this.#active = message?.dataset.key ?? "";
		if (message) message.tabIndex = 0;
	}

	/** @param {KeyboardEvent} e */
	#key(e) {
		const target = /** @type {HTMLElement} */ (e.target);
		const onMessage = target.matches(".message");
		if (e.key === "Escape") {
			if (this.#isSheet) return this.#hide();
			if (this.#view.asking) return this.#ask("");
			const message = target.closest(".message");
			return onMessage || !message ? this.#hooks.leave() : /** @type {HTMLElement} */ (message).focus();
		}
		if (!onMessage && target !== this.#scroll) return;
		const step = { ArrowUp: -1, ArrowDown: 1 }[e.key];
		if (step && !e.ctrlKey && !e.altKey && !e.metaKey && !e.shiftKey) {
			e.preventDefault();
			const next = this.#view.next(onMessage || this.#active ? this.#active : "", step);
			if (next) next.focus({ preventScroll: true });
			else if (step > 0) this.#hooks.leave();
		} else if (e.key === "End") {
			e.preventDefault();
			this.#view.toEnd();
			if (onMessage) /** @type {HTMLElement | null} */ (this.#log.lastElementChild?.querySelector(".message"))?.focus({ preventScroll: true });
		} else if (onMessage && (e.key === "Enter" || e.key === "ContextMenu" || e.key === "F10" && e.shiftKey)) {
			e.preventDefault();
			this.#show(target);
			const first = this.#entry ? this.#buttons[0] : target.querySelector(".fate button:not([hidden])");
			/** @type {HTMLElement | null} */ (first)?.focus();
		}
	}

	/** @param {KeyboardEvent} e */
	#barKey(e) {
		const buttons = this.#buttons;
		const at = buttons.findIndex((button) => button === document.activeElement);
		const forward = getComputedStyle(this.#bar).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
		const back = forward === "ArrowLeft" ? "ArrowRight" : "ArrowLeft";
		const to = { [forward]: at + 1, [back]: at - 1, Home: 0, End: buttons.length - 1 }[e.key];
		if (to === undefined) return;
		e.preventDefault();
		e.stopPropagation();
		buttons[(to + buttons.length) % buttons.length].focus();
	}
}

/** @param {string} emoji */
function quickButton(emoji) {
	const button = document.createElement("button");
	button.type = "button";
	button.className = "icon";
	button.dataset.emoji = emoji;
	button.setAttribute("aria-label", `React with ${emoji}`);
	button.textContent = emoji;
	return button;
}
