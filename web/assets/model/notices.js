// @ts-check
import { mentions } from "../text/mention.js";

/** @typedef {import("../net/wire.js").Entry} Entry */
/** @typedef {import("../store/keep.js").Told} Told */
/** @typedef {import("../net/wire.js").User} User */

/** Tabs that aren't looked at wait so long for one that is, and as long again by chance, in milliseconds. */
const WAIT_MS = 300;

/** After a notice the next one waits so long; then the newest of each room follows. In milliseconds. */
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
 * @property {number} [quiet] in milliseconds
 */

/**
 * Who is told of what: somebody who is named, by another, in a room that is not
 * muted, while no tab of theirs is looked at; once, by one tab.
 */
export class Notices {
	#ground;
	/** The newest of each room that waits for the end of the quiet time. @type {Map<string, Entry>} */
	#waiting = new Map();
	/** The newest that was heard of each room. @type {Map<string, Entry>} */
	#newest = new Map();
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;

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
		this.#newest.set(entry.room, entry);
		if (!looked()) await new Promise((resolve) => setTimeout(resolve, wait * (1 + Math.random())));
		const left = await this.#first(entry);
		const newest = this.#newest.get(entry.room) ?? entry; // each waits for a time by chance
		if (left < 0 || looked() || !there(entry) || newest !== entry && there(newest)) return;
		if (left > 0) return this.#later(entry, left);
		this.#waiting.delete(entry.room);
		tell(entry);
	}

	/**
	 * @param {Entry} entry
	 * @param {number} left of the quiet time, in milliseconds
	 */
	#later(entry, left) {
		if (!this.#timer) this.#timer = setTimeout(() => this.#follow(), left);
		this.#waiting.set(entry.room, entry);
	}

	/** The quiet time is over, unless another tab began one. */
	async #follow() {
		const { load, save, looked, there, tell } = this.#ground;
		const left = await this.#locked(() => {
			const told = load();
			const now = Date.now();
			const quiet = this.#quietLeft(told, now);
			const keys = new Set([...this.#waiting.values()].map(keyOf));
			if (quiet === 0) save(told.map(([key, time]) => [key, keys.has(key) ? now : time]));
			return quiet;
		});
		this.#timer = undefined;
		if (left > 0 && this.#waiting.size > 0) return void (this.#timer = setTimeout(() => this.#follow(), left));
		const entries = [...this.#waiting.values()];
		this.#waiting.clear();
		for (const entry of entries) if (!looked() && there(entry) && this.names(entry)) tell(entry);
	}

	get #quiet() {
		return this.#ground.quiet ?? QUIET_MS;
	}

	/**
	 * @param {Told[]} told
	 * @param {number} now
	 * @returns {number} of the quiet time, in milliseconds
	 */
	#quietLeft(told, now) {
		return told.reduce((most, [, time]) => (time <= now ? Math.max(most, time + this.#quiet - now) : most), 0);
	}

	/**
	 * Calls act while no other tab does so. Where there are no locks there are no notifications either, at most a sound.
	 * @template T
	 * @param {() => T} act
	 * @returns {Promise<T>}
	 */
	async #locked(act) {
		const { locks } = this.#ground;
		return locks ? locks.request("chat.told", act) : act();
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
	 * Takes an entry on, unless a tab did so before.
	 * @param {Entry} entry
	 * @returns {Promise<number>} how long it has to wait, in milliseconds; -1 where it is another tab's
	 */
	#first(entry) {
		const { load, save } = this.#ground;
		return this.#locked(() => {
			const told = load();
			const key = keyOf(entry);
			if (told.some(([known]) => known === key)) return -1;
			const now = Date.now();
			const left = this.#quietLeft(told, now);
			save([...told, /** @type {Told} */ ([key, left > 0 ? 0 : now])].slice(-TOLD_MOST));
			return left;
		});
	}
}

/** @param {Entry} entry */
const keyOf = ({ room, id }) => `${room}#${id}`;
