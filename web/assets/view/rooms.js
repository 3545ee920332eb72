// @ts-check
import { badgeOf, pathOf, totalOf, unreadWords } from "../model/roomlist.js";
import { arrange, byId, part, setText, stamp } from "./dom.js";

/** @typedef {import("../model/roomlist.js").Row} Row */

/** How many rooms of others are listed. */
const OTHERS_MOST = 100;

/** The rooms one may go to. */
export class RoomsView {
	/** @type {Map<string, HTMLElement>} */
	#drawn = new Map();

	/** @param {(room: string) => void} open */
	constructor(open) {
		const field = /** @type {HTMLInputElement} */ (byId("open-room-name"));
		byId("open-room").addEventListener("submit", (e) => {
			e.preventDefault();
			const room = field.value.trim().replace(/^#/, "");
			if (!room) return field.focus();
			field.value = "";
			open(room);
		});
	}

	/**
	 * @param {string} current
	 * @param {Row[]} own visited or joined
	 * @param {Row[]} others
	 */
	draw(current, own, others) {
		const drawn = new Map();
		const list = (/** @type {Row[]} */ rows) =>
			rows.map((row) => {
				const element = this.#drawRow(row, row.room === current);
				drawn.set(row.room, element);
				return element;
			});
		arrange(byId("rooms-own"), list(own));
		arrange(byId("rooms-other"), list(others.slice(0, OTHERS_MOST)));
		this.#drawn = drawn;
		byId("rooms-other-label").hidden = others.length === 0;
		const total = totalOf(own.filter(({ room }) => room !== current));
		const dot = byId("rooms-dot");
		dot.hidden = total.unread === 0;
		dot.classList.toggle("named", total.mentions > 0);
		byId("rooms-toggle").setAttribute("aria-label", ["Rooms", unreadWords(total)].filter(Boolean).join(": "));
	}

	/**
	 * @param {Row} row
	 * @param {boolean} isCurrent
	 */
	#drawRow(row, isCurrent) {
		const { room, count, unread, mentions, muted } = row;
		const element = this.#drawn.get(room) ?? stamp("t-room");
		const link = /** @type {HTMLAnchorElement} */ (part(element, "a"));
		link.href = pathOf(room);
		link.classList.toggle("unread", unread > 0);
		link.classList.toggle("muted", muted);
		if (isCurrent) link.setAttribute("aria-current", "page");
		else link.removeAttribute("aria-current");
		setText(part(element, ".room-title"), room);
		const badge = part(element, ".room-unread");
		const words = [muted ? "muted" : "", unreadWords(row)].filter(Boolean).join(", ");
		badge.hidden = unread === 0;
		badge.classList.toggle("named", mentions > 0);
		setText(badge, badgeOf(row));
		badge.title = words;
		setText(part(element, ".room-says"), words && `, ${words}`);
		const people = part(element, ".room-count");
		setText(people, count && !unread ? count.toLocaleString() : "");
		people.title = count === 1 ? "1 person online" : `${count} people online`;
		return element;
	}
}
