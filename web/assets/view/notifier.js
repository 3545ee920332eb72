// @ts-check
import { plainOf } from "../text/excerpt.js";
import { isolated } from "../text/names.js";
import { byId, setText } from "./dom.js";

/** @typedef {import("../net/wire.js").Entry} Entry */

/**
 * @typedef {object} Switches Where it is kept what is switched on.
 * @property {(what: "notify" | "sound") => boolean} switched
 * @property {(what: "notify" | "sound", on: boolean) => void} saveSwitched
 */

/** So much of a message is shown, in letters. */
const BODY_MOST = 200;

/** A sound that can't be heard by then is not made, in milliseconds. */
const LATE_MS = 500;

/** Tells of a message outside of the page, by the browser's notifications and by a sound. */
export class Notifier {
	#notify = /** @type {HTMLInputElement} */ (byId("notify"));
	#sound = /** @type {HTMLInputElement} */ (byId("sound"));
	#switches;
	#open;
	/** @type {AudioContext | undefined} */
	#audio;
	/** What is shown, until the page is looked at or its reason is gone. @type {Map<Notification, Entry>} */
	#shown = new Map();

	/**
	 * @param {Switches} switches
	 * @param {(entry: Entry) => void} open
	 */
	constructor(switches, open) {
		this.#switches = switches;
		this.#open = open;
		this.#notify.addEventListener("change", () => this.#switchNotify());
		this.#sound.addEventListener("change", () => {
			switches.saveSwitched("sound", this.#sound.checked);
			if (this.#sound.checked) this.#tick();
		});
		byId("room-menu").addEventListener("toggle", () => this.#draw());
		addEventListener("focus", () => {
			this.keep(() => false);
		});
		this.#draw();
	}

	/** @param {Entry} entry */
	tell(entry) {
		if (this.#switches.switched("notify") && hindrance() === "" && Notification.permission === "granted") this.#show(entry);
		if (this.#switches.switched("sound")) this.#tick();
	}

	/**
	 * Closes the notifications of all messages but these.
	 * @param {(entry: Entry) => boolean} wanted
	 */
	keep(wanted) {
		for (const [shown, entry] of this.#shown) {
			if (wanted(entry)) continue;
			this.#shown.delete(shown);
			shown.close();
		}
	}

	/** @param {Entry} entry */
	#show(entry) {
		const { user, room, text, id } = entry;
		this.keep((other) => other.room !== room); // the newest takes its place
		try {
			const shown = new Notification(`${isolated(user.name)} in #${room}`, {
				body: plainOf(text, user.name, BODY_MOST), tag: `${room}#${id}`, icon: "/assets/icon.svg", silent: true, // the sound is a switch of its own
			});
			this.#shown.set(shown, entry);
			shown.onclick = () => {
				focus();
				shown.close();
				this.#open(entry);
			};
			shown.onclose = () => this.#shown.delete(shown);
		} catch {
			// A phone's browser shows none of a page's; the counts are there.
		}
	}

	async #switchNotify() {
		const on = this.#notify.checked;
		if (on && Notification.permission !== "granted") await Notification.requestPermission();
		this.#switches.saveSwitched("notify", on && Notification.permission === "granted");
		this.#draw();
	}

	#draw() {
		const words = hindrance();
		this.#notify.disabled = words !== "";
		this.#notify.checked = words === "" && this.#switches.switched("notify") && Notification.permission === "granted";
		this.#sound.checked = this.#switches.switched("sound");
		setText(byId("notify-note"), words);
		byId("notify-note").hidden = words === "";
	}

	async #tick() {
		this.#audio ??= new AudioContext();
		const audio = this.#audio;
		const asked = performance.now();
		await audio.resume(); // of a page that was never touched, not before it is
		if (performance.now() - asked > LATE_MS) return;
		const [tone, loud] = [audio.createOscillator(), audio.createGain()];
		const now = audio.currentTime;
		tone.frequency.setValueAtTime(880, now);
		tone.frequency.exponentialRampToValueAtTime(590, now + 0.12);
		loud.gain.setValueAtTime(0.0001, now);
		loud.gain.exponentialRampToValueAtTime(0.08, now + 0.01);
		loud.gain.exponentialRampToValueAtTime(0.0001, now + 0.2);
		tone.connect(loud).connect(audio.destination);
		tone.start(now);
		tone.stop(now + 0.2);
	}
}

/** @returns {string} why the browser shows no notifications; "" */
function hindrance() {
	if (!isSecureContext) return "Your browser allows notifications only over https.";
	if (!("Notification" in globalThis)) return "Your browser shows no notifications of pages.";
	return Notification.permission === "denied" ? "Your browser keeps this page from showing notifications." : "";
}
