// @ts-check
import { arrange, byId, part, setText, stamp } from "./dom.js";

/** @typedef {import("../wire.js").RoomCount} RoomCount */

/** How many rooms of others are listed. */
const OTHERS_MOST = 100;

/**
 * @typedef {object} Row
 * @property {string} room
 * @property {number} count of users online; 0 when not known
 * @property {number} unread
 */

/** @param {string} room */
export function pathOf(room) {
	return `/r/${encodeURIComponent(room)}`;
}

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
		byId("rooms-dot").hidden = !own.some(({ unread }) => unread > 0);
		setText(byId("room-name"), current);
	}

	/**
	 * @param {Row} row
	 * @param {boolean} isCurrent
	 */
	#drawRow({ room, count, unread }, isCurrent) {
		const element = this.#drawn.get(room) ?? stamp("t-room");
		const link = /** @type {HTMLAnchorElement} */ (part(element, "a"));
		link.href = pathOf(room);
		link.classList.toggle("unread", unread > 0);
		if (isCurrent) link.setAttribute("aria-current", "page");
		else link.removeAttribute("aria-current");
		setText(part(element, ".room-label"), room);
		const badge = part(element, ".room-unread");
		badge.hidden = unread === 0;
		setText(badge, unread > 99 ? "99+" : String(unread));
		badge.title = `${unread} unread`;
		const people = part(element, ".room-count");
		setText(people, count && !unread ? count.toLocaleString() : "");
		people.title = count === 1 ? "1 person online" : `${count} people online`;
		return element;
	}
}
