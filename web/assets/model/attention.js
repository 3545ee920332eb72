// @ts-check
import * as keep from "../store/keep.js";
import { mentions } from "../text/mention.js";
import { seqOf } from "../net/wire.js";

/** @typedef {import("./roomlog.js").RoomLog} RoomLog */
/** @typedef {import("../net/wire.js").User} User */

/** Read positions are written down no more often, in milliseconds: in a flood all is read at once. */
const SAVE_MS = 500;

/** What is unread: counted from the read position of each room, which all tabs share. */
export class Attention {
	/** The last id read, by room. @type {Map<string, string>} */
	#read = new Map();
	/**
	 * How far was counted, and how many names began with one's own then.
	 * @type {WeakMap<RoomLog, {read: string, moves: number, upTo: number, version: number, names: number}>}
	 */
	#counted = new WeakMap();
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;
	/** Read here, and not written down yet. @type {Map<string, string>} */
	#unsaved = new Map();

	constructor() {
		this.reload();
	}

	/** Another tab read: its position counts where it is the newer one. */
	reload() {
		for (const [room, id] of keep.readPositions()) if (!this.#read.has(room) || isAfter(id, this.#read.get(room) ?? "")) this.#read.set(room, id);
	}

	/**
	 * Counts what is unread in a room. Of one that was never read, all is old.
	 * @param {RoomLog} log
	 * @param {User | null} me
	 */
	count(log, me) {
		const known = this.#read.get(log.name);
		if (known === undefined) return this.read(log);
		const last = log.entries.at(-1)?.id ?? "";
		const read = isAnew(last, known) ? "" : known;
		let counted = this.#counted.get(log);
		const { version } = log.known;
		const names = counted?.version === version ? counted.names : log.known.beginning(me?.name ?? "");
		const others = log.mentions > 0 && counted?.names !== names; // some that counted may mean one of them
		if (!counted || counted.moves !== log.moves || others || seqOf(read) < seqOf(counted.read)) {
			counted = { read, moves: log.moves, upTo: seqOf(read), version, names };
			log.unread = log.mentions = 0;
			this.#counted.set(log, counted);
		} else if (counted.read !== read) {
			this.#tally(log, me, seqOf(counted.read), Math.min(seqOf(read), counted.upTo), -1);
			counted.read = read;
			counted.upTo = Math.max(counted.upTo, seqOf(read));
		}
		this.#tally(log, me, counted.upTo, Infinity, 1);
		counted.upTo = Math.max(counted.upTo, seqOf(last));
		counted.version = version;
		counted.names = names;
		log.unreadMore = log.unread > 0 && log.more && seqOf(read) + 1 < seqOf(log.oldest);
	}

	/**
	 * @param {RoomLog} log
	 * @param {User | null} me
	 * @param {number} after the seq before the first message
	 * @param {number} upTo the seq of the last one
	 * @param {1 | -1} by what each adds
	 */
	#tally(log, me, after, upTo, by) {
		for (let i = log.indexOf(after + 1); i < log.entries.length && seqOf(log.entries[i].id) <= upTo; i++) {
			const { user, text } = log.entries[i];
			if (!me || user.id === me.id) continue;
			log.unread = Math.max(0, log.unread + by);
			if (mentions(text, me.name, log.known)) log.mentions = Math.max(0, log.mentions + by);
		}
	}

	/**
	 * A room is opened or returned to: from where it is new.
	 * @param {RoomLog} log
	 * @param {User | null} me
	 */
	opened(log, me) {
		this.count(log, me);
		const { read = "" } = this.#counted.get(log) ?? {};
		log.newAfter = log.unread > 0 ? seqOf(read) : -1;
		this.place(log, me);
	}

	/**
	 * Puts the line above the first message that is new, of those that are known by now.
	 * @param {RoomLog} log
	 * @param {User | null} me
	 * @returns {boolean} whether it moved further back
	 */
	place(log, me) {
		const before = log.newFrom;
		const first = log.newAfter >= 0 && log.entries.slice(log.indexOf(log.newAfter + 1)).find(({ user }) => user.id !== me?.id);
		log.newFrom = first ? seqOf(first.id) : 0;
		return log.newFrom > 0 && log.newFrom < before;
	}

	/**
	 * Everything is read that came.
	 * @param {RoomLog} log
	 */
	read(log) {
		log.unread = log.mentions = 0;
		log.unreadMore = false;
		const last = log.entries.at(-1)?.id ?? "";
		this.#note(log, last);
		const read = this.#read.get(log.name);
		if (read !== undefined) this.#counted.set(log, { read, moves: log.moves, upTo: Math.max(seqOf(read), seqOf(last)), version: 0, names: 0 });
	}

	/**
	 * A message was seen, and so those before it.
	 * @param {RoomLog} log
	 * @param {User | null} me
	 * @param {string} id
	 */
	seen(log, me, id) {
		this.#note(log, id);
		this.count(log, me);
	}

	/**
	 * @param {RoomLog} log
	 * @param {string} id of the last message that was read
	 */
	#note(log, id) {
		// An empty room is known as read too, so that its first message is new.
		if (!log.loaded || this.#read.has(log.name) && !isAfter(id, this.#read.get(log.name) ?? "")) return;
		this.#read.set(log.name, id);
		this.#unsaved.set(log.name, id);
		this.#timer ??= setTimeout(() => this.save(), SAVE_MS);
	}

	/**
	 * @param {string} room
	 * @param {string} id of a message
	 */
	isRead(room, id) {
		return !isAfter(id, this.#read.get(room) ?? "");
	}

	/** Writes down what was read. */
	save() {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		const kept = new Map(keep.readPositions());
		for (const [room, id] of this.#unsaved) {
			if (kept.has(room) && !isAfter(id, kept.get(room) ?? "")) continue;
			kept.delete(room); // the last one is the one read last
			kept.set(room, id);
		}
		this.#unsaved.clear();
		keep.saveReadPositions([...kept]);
	}
}

/**
 * @param {string} id
 * @param {string} other ""
 */
function isAfter(id, other) {
	return seqOf(id) > seqOf(other) || isAnew(id, other);
}

/**
 * Whether the room began anew between two entries: it counts from 1 again.
 * @param {string} id
 * @param {string} before ""
 */
function isAnew(id, before) {
	return id !== "" && seqOf(id) < seqOf(before) && parseInt(id) > parseInt(before);
}
