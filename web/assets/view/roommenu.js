// @ts-check
import { byId, copyFrom, part, setText } from "./dom.js";
import { closes, shut } from "./menu.js";

/**
 * @typedef {object} Does What the menu does with the room that is looked at.
 * @property {(on: boolean) => void} mute
 * @property {() => void} leave
 * @property {() => string} address
 * @property {() => void} help opens the help, which has no place beside the field of a phone
 */

/** The menu at the room's name. */
export class RoomMenu {
	#menu = /** @type {HTMLDetailsElement} */ (byId("room-menu"));
	#mute = byId("room-mute");
	#muted = false;

	/** @param {Does} does */
	constructor(does) {
		closes(this.#menu);
		this.#mute.addEventListener("click", () => {
			does.mute(!this.#muted);
			shut(this.#menu);
		});
		byId("room-leave").addEventListener("click", () => {
			this.#menu.open = false;
			does.leave();
		});
		byId("room-help").addEventListener("click", () => {
			shut(this.#menu);
			does.help();
		});
		const link = byId("room-link");
		link.addEventListener("click", () => copyFrom(part(link, "span"), does.address()));
	}

	/**
	 * @param {boolean} muted
	 * @param {boolean} canLeave
	 */
	draw(muted, canLeave) {
		this.#muted = muted;
		setText(part(this.#mute, "span"), muted ? "Unmute this room" : "Mute this room");
		byId("room-leave").hidden = !canLeave;
	}
}
