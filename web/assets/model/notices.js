// @ts-check
import { mentions } from "../text/mention.js";

/** @typedef {import("../net/wire.js").Entry} Entry */
/** @typedef {import("../store/keep.js").Told} Told */
/** @typedef {import("../net/wire.js").User} User */

/** Tabs that aren't looked at wait so long for one that is, and as long again by chance, in milliseconds. */
const WAIT_MS = 300;

/** Somebody who was just told is not told again: they look, or they don't. In milliseconds. */
const QUIET_MS = 3000;

/** So many notices all tabs know of. */
const TOLD_MOST = 20;

/**
 * @typedef {object} Ground What notices are judged by, and where tabs see each other's.
 * @property {() => User | null} me
 * @property {(room: string) => boolean} muted
 * @property {(room: string) => import("../text/names.js").Names | undefined} [known] names of those in a room
 * @property {() => boolean} looked this page is looked at
 * @property {(entry: Entry) => boolean} there the message was not deleted meanwhile
 * @property {(entry: Entry) => void} tell
 * @property {() => Told[]} load
 * @property {(told: Told[]) => void} save
 * @property {LockManager} [locks]
 * @property {number} [wait] in milliseconds
 */

/**
 * Who is told of what: somebody who is named, by another, in a room that is not
 * muted, while no tab of theirs is looked at; once, by one tab.
 */
export class Notices {
	#ground;

	/** @param {Ground} ground */
	constructor(ground) {
		this.#ground = ground;
	}

	/**
	 * Entries came, maybe many at once after a time without net: of the newest one is told.
	 * @param {Entry[]} entries
	 */
	async heard(entries) {
		const { looked, there, tell, wait = WAIT_MS } = this.#ground;
		const entry = entries.filter((one) => this.names(one)).at(-1);
		if (!entry) return;
		if (!looked()) await new Promise((resolve) => setTimeout(resolve, wait * (1 + Math.random())));
		if ((await this.#first(entry)) && !looked() && there(entry)) tell(entry);
	}

	/**
	 * Whether a message names oneself, in a room that is not muted, and is another's.
	 * @param {Pick<Entry, "kind" | "user" | "text" | "room">} entry
	 */
	names({ kind, user, text, room }) {
		const me = this.#ground.me();
		return !kind && !!me && user.id !== me.id && mentions(text, me.name, this.#ground.known?.(room)) && !this.#ground.muted(room);
	}

	/**
	 * Whether no tab has seen to it, nor to another one just now.
	 * @param {Entry} entry
	 * @returns {Promise<boolean>}
	 */
	async #first({ room, id }) {
		const { load, save, locks } = this.#ground;
		const key = `${room}#${id}`;
		const note = () => {
			const told = load();
			if (told.some(([known]) => known === key)) return false;
			const now = Date.now();
			const quiet = told.some(([, time]) => time <= now && now - time < QUIET_MS);
			save([...told, /** @type {Told} */ ([key, now])].slice(-TOLD_MOST));
			return !quiet;
		};
		// Where there are no locks there are no notifications either, at most a sound.
		return locks ? locks.request("chat.told", note) : note();
	}
}
