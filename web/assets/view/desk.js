// @ts-check
// What moderators have besides all others: a menu about a person, and more in the room's menu.

import { doneWords, moderationOf, TIMES } from "../model/moderation.js";
import { byId, part, setText } from "./dom.js";
import { make } from "./make.js";

/** @typedef {import("../net/wire.js").User} User */
/** @typedef {import("../model/moderation.js").Order} Order */
/** @typedef {{element: HTMLElement, user: User}} Row */

/**
 * @typedef {object} Ground What the desk needs of the page.
 * @property {() => boolean} moderator
 * @property {() => string} room
 * @property {() => User | null} me
 * @property {() => User[]} users whom a command may name
 * @property {(room: string) => {locked: boolean, slow: number}} stands how a room is closed; slow in seconds
 * @property {(command: object) => Promise<import("../net/wire.js").Moderated>} request
 * @property {(words: string) => void} tell
 * @property {Uses} uses
 *
 * @typedef {Pick<typeof import("./dialog.js"), "show"> &
 *   Pick<typeof import("./menu.js"), "shut"> & Pick<typeof import("./row.js"), "sentence"> & Pick<typeof import("./times.js"), "saidTime">} Uses
 *   What others than the page seldom import: shared, each would be a script of its own at a first visit.
 */

/** The longest reason (protocol.MaxReasonLen), and the longest pause that is offered, in seconds. */
const REASON_MOST = 200;
const PAUSE_MOST = 86_400;

const DOTS = "M4.500 10h.1M10 10h.1M15.500 10h.1";
const CLOCK = "M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0zM10 6v4.300l2.800 1.700";
const LOCK = "M4.500 9h11v7.500h-11zM7 9V6.500a3 3 0 0 1 6 0V9";

/** The menus and commands of a moderator. */
export class Desk {
	#ground;
	#list = byId("people-list");
	#menu = /** @type {HTMLDetailsElement} */ (byId("room-menu"));
	#line = make("hr", {});
	#slow = item(CLOCK);
	#lock = item(LOCK);
	/** Of the buttons at people, the one in the tab order. @type {HTMLElement | undefined} */
	#roving;

	/** @param {Ground} ground */
	constructor(ground) {
		this.#ground = ground;
		part(this.#menu, ".menu").append(this.#line, this.#slow, this.#lock);
		this.#slow.id = "room-slow";
		this.#lock.id = "room-lock";
		setText(part(this.#slow, "span"), "Slow mode");
		this.#slow.addEventListener("click", () => {
			this.#ground.uses.shut(this.#menu);
			this.#openSlow();
		});
		this.#lock.addEventListener("click", async () => {
			this.#ground.uses.shut(this.#menu);
			const { room, stands, tell, uses } = this.#ground;
			const action = stands(room()).locked ? "unlock" : "lock";
			tell(await this.#do(room(), { action }).catch((refusal) => uses.sentence(refusal.message)));
		});
		this.#list.addEventListener("keydown", (e) => this.#key(e));
		this.draw();
	}

	/** Draws what the room's menu has more. */
	draw() {
		const { moderator, room, stands } = this.#ground;
		for (const element of [this.#line, this.#slow, this.#lock]) element.hidden = !moderator();
		setText(part(this.#lock, "span"), stands(room()).locked ? "Unlock this room" : "Lock this room");
	}

	/**
	 * Gives each person but oneself a button.
	 * @param {Row[]} rows
	 */
	people(rows) {
		const { moderator, me } = this.#ground;
		for (const { element, user } of rows) {
			const button = element.querySelector(".person-do");
			const has = moderator() && user.id !== me()?.id;
			if (!has) button?.remove();
			else (button ?? this.#add(element)).setAttribute("aria-label", `Kick, ban or mute ${user.name}`);
			element.onclick = has ? ({ target }) => target instanceof Element && target.closest(".person-do") && this.about(user) : null;
		}
		this.#rove(this.#roving?.isConnected ? this.#roving : this.#list.querySelector(".person-do"));
	}

	/**
	 * Opens the menu about a person.
	 * @param {User} user
	 */
	about(user) {
		const room = this.#ground.room();
		const reason = make("input", { id: "desk-reason", class: "desk-field", maxlength: `${REASON_MOST}`, dir: "auto", autocomplete: "off" });
		const time = make("select", { id: "desk-time", class: "desk-field" }, ...TIMES.map(([seconds, words]) => make("option", { value: `${seconds}` }, words)));
		const order = (/** @type {string} */ action) => {
			const seconds = action === "ban" || action === "mute" ? Number(value(time)) : 0;
			return { action, user: user.id, ...(seconds && { seconds }), ...(value(reason) && { reason: value(reason) }) };
		};
		const acts = (/** @type {[string, string][]} */ list, kind = "button") => list.map(([action, words]) => {
			const button = make("button", { class: kind, type: "button", "data-action": action }, words);
			button.onclick = () => panel.does(() => this.#do(room, order(action), user));
			return button;
		});
		const panel = this.#panel(["", user.name, ` in #${room}`], [
			make("label", { for: "desk-reason" }, "Reason, which they see"), reason,
			make("label", { for: "desk-time" }, "How long, to mute or ban"), time,
			make("p", { class: "desk-do" }, ...acts([["mute", "Mute"], ["kick", "Kick"]]), ...acts([["ban", "Ban"]], "button danger")),
			make("p", { class: "desk-do" }, ...acts([["unmute", "Unmute"], ["unban", "Unban"]], "as-link")),
		]);
	}

	/**
	 * Carries out a command.
	 * @param {string} action
	 * @param {string} about what followed it
	 */
	command(action, about) {
		return this.#do(this.#ground.room(), moderationOf(action, about, this.#ground.users(), this.#ground.me()?.id));
	}

	#openSlow() {
		const room = this.#ground.room();
		const { slow } = this.#ground.stands(room);
		const pause = make("input", { id: "desk-pause", class: "desk-field", type: "number", min: "1", max: `${PAUSE_MOST}`, required: "", value: `${slow || 30}`, inputmode: "numeric" });
		const off = make("button", { class: "button", type: "button", "data-action": "off" }, "Turn off");
		off.hidden = !slow;
		off.onclick = () => panel.does(() => this.#do(room, { action: "slow", seconds: 0 }));
		const panel = this.#panel(["Slow mode in ", `#${room}`, ""], [
			make("label", { for: "desk-pause" }, "Seconds between two messages of one person"), pause,
			make("p", { class: "desk-do" }, make("button", { class: "button", type: "submit", "data-action": "slow" }, "Set"), off),
		]);
		panel.form.onsubmit = (e) => {
			e.preventDefault();
			panel.does(() => this.#do(room, { action: "slow", seconds: Number(value(pause)) }));
		};
	}

	/**
	 * Opens a dialog, which closes once what it does was done, or says why it was not.
	 * @param {[string, string, string]} title a name, and what stands around it
	 * @param {HTMLElement[]} fields
	 */
	#panel([before, name, after], fields) {
		const wrong = make("p", { class: "desk-wrong", role: "alert" });
		const close = make("button", { class: "icon", type: "button", "aria-label": "Close", "data-shut": "" }, part(document.body, "[data-close] svg").cloneNode(true));
		const form = make("form", { autocomplete: "off" },
			make("header", { class: "side-head" }, make("h2", { id: "desk-title" }, before, make("bdi", {}, name), after), close),
			make("div", { class: "desk-in" }, ...fields, wrong));
		form.onsubmit = (e) => e.preventDefault();
		const dialog = /** @type {HTMLDialogElement} */ (make("dialog", { id: "desk", "aria-labelledby": "desk-title" }, form));
		document.body.append(dialog);
		dialog.onclose = () => dialog.remove();
		this.#ground.uses.show(dialog);
		// A touch keyboard would cover the buttons.
		const field = /** @type {HTMLInputElement} */ (part(dialog, "input"));
		if (!matchMedia("(pointer: coarse)").matches) {
			field.focus();
			field.select();
		}
		const does = async (/** @type {() => Promise<string>} */ act) => {
			setText(wrong, "");
			try {
				this.#ground.tell(await act());
				dialog.close();
			} catch (refusal) {
				setText(wrong, refusal instanceof Error ? this.#ground.uses.sentence(refusal.message) : "");
			}
		};
		return { form, does };
	}

	/**
	 * @param {string} room
	 * @param {Order} order
	 * @param {User} [user] whom it is about; the node may not know their name any more
	 * @returns {Promise<string>} what it came to
	 */
	async #do(room, order, user = this.#ground.users().find(({ id }) => id === order.user)) {
		const { request, uses } = this.#ground;
		const done = await request({ type: "moderate", room, ...order });
		return doneWords({ ...done, user: user ?? done.user }, uses.saidTime);
	}

	/** @param {HTMLElement} element a person's row */
	#add(element) {
		const button = make("button", { class: "icon person-do", type: "button", tabindex: "-1", title: "Kick, ban or mute" }, icon(DOTS));
		element.append(button);
		return button;
	}

	/** @param {HTMLElement | null} button */
	#rove(button) {
		if (this.#roving) this.#roving.tabIndex = -1;
		this.#roving = button ?? undefined;
		if (button) button.tabIndex = 0;
	}

	/** @param {KeyboardEvent} e in the list of people */
	#key(e) {
		const all = /** @type {HTMLElement[]} */ ([...this.#list.querySelectorAll(".person-do")]);
		const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
		const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[e.key];
		if (at < 0 || to === undefined) return;
		e.preventDefault();
		this.#rove(all[Math.max(0, Math.min(to, all.length - 1))]);
		this.#roving?.focus();
	}
}

/** @param {HTMLElement} field */
const value = (field) => /** @type {HTMLInputElement | HTMLSelectElement} */ (field).value.trim();

/** @param {string} path */
function icon(path) {
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	for (const [name, as] of Object.entries({ viewBox: "0 0 20 20", width: "18", height: "18", "aria-hidden": "true" })) svg.setAttribute(name, as);
	const line = document.createElementNS(svg.namespaceURI, "path");
	line.setAttribute("d", path);
	svg.append(line);
	return svg;
}

/** @param {string} path of its icon */
const item = (path) => make("button", { class: "item", type: "button" }, icon(path), make("span", {}));
