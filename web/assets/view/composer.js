// @ts-check
import { orderOf } from "../text/commands.js";
import { isBlank, withoutControls } from "../text/entered.js";
import { quoteOf, shortcodes, withEmoji } from "../text/excerpt.js";
import { bytesOf } from "../net/wire.js";
import { Completer } from "./completer.js";
import { byId, insertText, setText } from "./dom.js";
import { emojiNames, pickEmoji } from "./later.js";
import { sentence } from "./row.js";

/** @typedef {import("../model/changes.js").Message} Message */
/** @typedef {import("../store/drafts.js").Draft} Draft */
/** @typedef {import("../store/drafts.js").Edit} Edit */

/** From this part of the limit on the length is shown. */
const NEAR = 0.8;

/** So much of a message is quoted, in characters. */
const QUOTED = 140;

/** So long the names of emoji are waited for before a text is sent as it is written, in milliseconds. */
const NAMES_MS = 3000;

/** So many changes that were begun and left are kept. */
const LEFT_MOST = 20;

/**
 * @typedef {object} Hooks
 * @property {(text: string) => boolean} say takes the text, or not
 * @property {(id: string, text: string) => boolean} edit likewise
 * @property {(name: string, about: string) => string | Promise<string>} command does it, and tells what came of it; "" for nothing
 * @property {() => Message | undefined} last one's newest message
 * @property {() => void} typing
 * @property {(draft: Draft) => void} changed
 * @property {import("../text/complete.js").Sources} sources
 */

/** What a field that is closed says in place of text. @type {Record<import("../model/closed.js").Closed["code"], string>} */
const SHUT = { muted: "You are muted", locked: "This room is locked", slow_mode: "Slow mode: please wait", barred: "You can't write here" };

/** The field where one writes: a message, a change of one, or a command. */
export class Composer {
	#form = byId("composer");
	#field = /** @type {HTMLTextAreaElement} */ (byId("say"));
	#send = /** @type {HTMLButtonElement} */ (byId("send"));
	#pick = /** @type {HTMLButtonElement} */ (byId("pick"));
	#counter = byId("counter");
	#editing = byId("editing");
	#completer;
	#limit = 4000;
	/** It is about to be submitted. */
	#waits = false;
	#room = "";
	/** @type {Draft} */
	#draft = { text: "" };
	/** @type {import("../model/closed.js").Closed["code"] | undefined} */
	#closed;
	/** An input method composes; a field that became read-only would lose its text. */
	#composes = false;
	/** Changes of messages that were begun and left. @type {Map<string, string>} by id; LEFT_MOST at most */
	#left = new Map();
	#hooks;

	/** @param {Hooks} hooks */
	constructor(hooks) {
		this.#hooks = hooks;
		this.#completer = new Completer(this.#field, { ...hooks.sources, emoji: (letters) => this.#emoji(letters) });
		this.#form.addEventListener("submit", (e) => {
			e.preventDefault();
			this.#submit();
		});
		this.#field.addEventListener("keydown", (e) => this.#key(e));
		this.#field.enterKeyHint = byTouch() ? "enter" : "send";
		this.#field.addEventListener("input", (e) => {
			if (this.#cleaned(/** @type {InputEvent} */ (e))) return;
			this.note("");
			this.#wrote();
			if (this.#draft.edit || this.#says()) this.#hooks.typing();
		});
		this.#field.addEventListener("compositionstart", () => (this.#composes = true));
		this.#field.addEventListener("compositionend", () => {
			this.#composes = false;
			this.close(this.#closed);
		});
		byId("editing-cancel").addEventListener("click", () => this.#endEdit());
		const pick = this.#pick;
		pick.addEventListener("click", async () => {
			// Chromium puts the caret elsewhere where a dialog gives the focus back.
			const { selectionStart, selectionEnd } = this.#field;
			const emoji = await pickEmoji(pick);
			this.focus();
			insertText(this.#field, emoji ?? "", selectionStart, emoji ? selectionEnd : selectionStart);
		});
	}

	/** @param {number} limit in bytes of UTF-8 */
	setLimit(limit) {
		this.#limit = limit;
		this.#draw();
	}

	/**
	 * @param {string} room
	 * @param {Draft} draft what was begun there
	 */
	setRoom(room, draft) {
		const first = this.#room === "";
		const same = room.toLowerCase() === this.#room.toLowerCase(); // the node folds its case
		this.#room = room;
		this.close(this.#closed);
		if (same) return;
		const typed = first ? this.#field.value : "";
		this.#draft = draft;
		if (typed) this.#keepTyped(typed);
		else this.#show();
	}

	/**
	 * Closes the field, in which the draft stays; the bar says why. Slow mode leaves changes of messages.
	 * @param {import("../model/closed.js").Closed["code"]} [code] undefined opens it
	 */
	close(code) {
		this.#closed = code;
		const shut = this.#shut;
		this.#field.placeholder = code ? SHUT[code] : `Write to #${this.#room}`;
		if (shut === this.#field.readOnly || shut && this.#composes) return;
		this.#field.readOnly = shut;
		this.#field.setAttribute("aria-describedby", shut ? "bar-words counter" : "counter");
		this.#form.classList.toggle("closed", shut);
		this.#pick.disabled = shut;
		if (shut) this.#completer.close();
		this.#draw();
	}

	/** Whether one can't write now. */
	get #shut() {
		return !!this.#closed && !(this.#draft.edit && this.#closed === "slow_mode");
	}

	/**
	 * Keeps what was typed before this script ran, or what the browser restored: it stays,
	 * and what was begun earlier is put before it.
	 * @param {string} typed
	 */
	#keepTyped(typed) {
		const begun = this.#draft.edit?.text ?? this.#draft.text;
		if (begun && begun !== typed) {
			const { selectionStart, selectionEnd } = this.#field;
			this.#field.setRangeText(`${begun}\n`, 0, 0, "preserve");
			const by = begun.length + 1;
			this.#field.setSelectionRange(selectionStart + by, selectionEnd + by);
		}
		this.#wrote();
	}

	focus() {
		this.#field.focus({ preventScroll: true });
	}

	/**
	 * Lets one change a message. What was begun comes back afterwards.
	 * @param {Message} message
	 * @param {string} [text] what it shall be, as far as that is known
	 */
	edit({ id, text: was }, text = this.#left.get(id) ?? was) {
		this.#leave();
		this.#draft = { text: this.#draft.text, edit: { id, was, text } };
		this.#begin();
	}

	/**
	 * Begins an answer to a message.
	 * @param {Message} message
	 */
	quote({ id, user, text }) {
		const [first, ...more] = quoteOf(text, QUOTED).split("\n");
		const lines = first === "```" ? ["", first, ...more] : [` ${first}`, ...more]; // a fence begins its line
		this.#putBefore(`> @${user.name} #${id}:${lines.join("\n> ")}\n`);
	}

	/**
	 * Takes a text back that was not sent.
	 * @param {string} text
	 */
	take(text) {
		this.#putBefore(this.#draft.text ? `${text}\n` : text);
	}

	/**
	 * Puts words before what was begun.
	 * @param {string} words
	 */
	#putBefore(words) {
		if (this.#draft.edit) {
			this.#leave();
			this.#draft = { text: this.#draft.text };
			this.#show();
		}
		this.#field.readOnly = false; // what is put there stays, as any draft
		insertText(this.#field, words, 0, 0);
		this.#begin();
	}

	/** Keeps how far the change of a message came that another one takes the place of. */
	#leave() {
		const { edit } = this.#draft;
		if (!edit || edit.text === edit.was) return;
		this.#left.set(edit.id, edit.text);
		if (this.#left.size > LEFT_MOST) this.#left.delete(this.#left.keys().next().value ?? "");
	}

	#begin() {
		this.#show();
		this.#hooks.changed(this.#draft);
		this.focus();
		this.#field.setSelectionRange(this.#field.value.length, this.#field.value.length);
	}

	#endEdit() {
		this.#left.delete(this.#draft.edit?.id ?? "");
		this.#draft = { text: this.#draft.text };
		this.#begin();
	}

	/** @param {KeyboardEvent} e */
	#key(e) {
		if (this.#completer.key(e)) return;
		const bare = !e.shiftKey && !e.ctrlKey && !e.altKey && !e.metaKey;
		const breaks = e.shiftKey || byTouch() && bare; // no touch keyboard has Shift+Enter
		if (e.key === "Enter" && !breaks) this.#submit();
		else if (e.key === "Escape" && this.#draft.edit) this.#endEdit();
		else if (e.key === "ArrowUp" && bare && !this.#field.value && (!this.#shut || this.#closed === "slow_mode")) {
			const last = this.#hooks.last();
			if (!last) return;
			this.edit(last);
		} else return;
		e.preventDefault();
	}

	/** @param {string} letters of the names that are begun */
	#emoji(letters) {
		if (letters && !emojiNames.now) emojiNames.get().then(() => this.#completer.offer(), () => {}); // without them there is no list
		return emojiNames.now?.named(letters) ?? [];
	}

	/** Submits what is in the field, once the names of emoji that it may hold are known. */
	async #submit() {
		if (this.#waits || this.#shut) return;
		const draft = this.#draft;
		if (!emojiNames.now && shortcodes(this.#text()).length > 0) {
			this.#waits = true;
			const known = emojiNames.get().catch(() => {}); // it is sent as it is written
			await Promise.race([known, new Promise((resolve) => setTimeout(resolve, NAMES_MS))]);
			this.#waits = false;
		}
		if (this.#draft !== draft) return; // another room, or a change of a message
		const text = this.#text();
		return this.#enter(emojiNames.now ? withEmoji(text, emojiNames.now.emojiOf) : text);
	}

	/** @param {string} text is said, changes a message, or is a command */
	async #enter(text) {
		const { edit } = this.#draft;
		if (!text && edit) this.note("Write something, or delete the message.", true);
		if (!text || bytesOf(text) > this.#limit) return;
		if (edit) {
			if (text === edit.was || this.#hooks.edit(edit.id, text)) this.#endEdit();
			else this.#full();
			return;
		}
		const { say, name, about = "", wrong } = orderOf(text);
		if (wrong) return this.note(wrong, true);
		if (say !== undefined && !this.#hooks.say(say)) return this.#full();
		this.#draft = { text: "" };
		this.#begin();
		if (!name) return;
		try {
			this.note(await this.#hooks.command(name, about));
		} catch (refusal) {
			if (!this.#field.value) this.take(text);
			this.note(refusal instanceof Error ? sentence(refusal.message) : "", true);
		}
	}

	#full() {
		this.note("Too much waits to be sent already. Keep this until it is gone.", true);
	}

	/** Whether what is in the field is a message, as far as it goes: nobody is told of commands. */
	#says() {
		const text = this.#text();
		return text !== "/" && !!orderOf(text).say;
	}

	#text() {
		const text = withoutControls(this.#field.value).replace(/^\s*\n|\s+$/g, "");
		return isBlank(text) ? "" : text;
	}

	/**
	 * Removes control characters that were pasted or dropped, and says so.
	 * @param {InputEvent} e
	 * @returns {boolean} whether it did, and another event told of it
	 */
	#cleaned({ isComposing, inputType = "" }) {
		const { value, selectionEnd } = this.#field;
		const clean = withoutControls(value);
		if (clean === value || isComposing || inputType.startsWith("history")) return false;
		const caret = withoutControls(value.slice(0, selectionEnd)).length;
		insertText(this.#field, clean, 0, value.length);
		this.#field.setSelectionRange(caret, caret);
		const count = value.length - clean.length;
		if (count > 0) this.note(count === 1 ? "Removed a control character." : `Removed ${count} control characters.`);
		return true;
	}

	#wrote() {
		const { value } = this.#field;
		if (this.#draft.edit) this.#draft.edit.text = value;
		else this.#draft.text = value;
		this.#hooks.changed(this.#draft);
		this.#draw();
	}

	/** Puts what is being written into the field. */
	#show() {
		const { text, edit } = this.#draft;
		const value = edit?.text ?? text;
		if (this.#field.value !== value) this.#field.value = value; // another text, with nothing to undo
		this.#completer.close();
		this.note("");
		this.close(this.#closed);
		this.#draw();
	}

	/**
	 * Shows a sentence below the field, until one writes on.
	 * @param {string} words
	 * @param {boolean} [refused]
	 */
	note(words, refused = false) {
		this.#counter.hidden = words === "";
		this.#counter.classList.toggle("over", refused);
		setText(this.#counter, words);
	}

	#draw() {
		const { edit } = this.#draft;
		this.#editing.hidden = !edit;
		this.#send.setAttribute("aria-label", edit ? "Save the change" : "Send");
		const bytes = bytesOf(this.#text());
		const over = bytes > this.#limit;
		this.#send.disabled = bytes === 0 || over || this.#shut;
		if (bytes >= this.#limit * NEAR) {
			const count = `${bytes.toLocaleString()} of ${this.#limit.toLocaleString()} bytes`;
			this.note(over ? `Too long: ${count}` : count, over);
		}
		if (CSS.supports("field-sizing", "content")) return; // it grows by itself
		this.#field.style.height = "auto";
		this.#field.style.height = `${this.#field.scrollHeight}px`;
	}
}

/** Whether a touch keyboard is what one writes with, as far as a page can see it. */
const byTouch = () => matchMedia("(pointer: coarse)").matches;
