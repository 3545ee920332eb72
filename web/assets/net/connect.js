// @ts-check
import { Client } from "./client.js";
import { keptIdentity, remembered } from "../store/identity.js";
import { Outbox } from "../store/outbox.js";
import { listen } from "./events.js";
import { reach } from "./reach.js";
import { claimShelf } from "../store/shelf.js";
import { local } from "../store/store.js";

/** @import {Entry} from "./wire.js" */

/**
 * @typedef {object} Options
 * @property {string} [url] of a node, "https://host:port"; the one that this module came from
 * @property {string} [room]
 * @property {string[]} [rooms] where it is more than one; the first is the one meant where none is named
 * @property {string} [name] wished for; a guest's otherwise
 * @property {string} [token] of a user known already; else the one kept from last time
 * @property {string | (() => string)} [auth] a JWT where nodes demand one, or what gives it for each hello; never kept
 * @property {string | false} [storage] what names in localStorage and sessionStorage begin with;
 *   false to keep nothing
 * @property {import("./link.js").Dial} [dial] opens a WebSocket
 */

const PREFIX = "chat.client.";

/** Events of the client that are passed on as they are. */
const EVENTS = /** @type {const} */ ([
	"state", "welcome", "refused", "sent", "outbox", "presence", "typing", "renamed", "reset", "moderated", "nodes", "status",
]);

/**
 * Comes back at once, before there is a connection: what is said waits for it.
 * @param {Options} [options]
 */
export async function connect(options = {}) {
	const { storage = PREFIX } = options;
	return new Session(options, storage === false ? null : await claimShelf(storage));
}

/** One user's connection for as long as it is wanted. */
class Session {
	/** How the connection stands. @type {import("./client.js").State | {state: "closed"}} */
	state = { state: "connecting" };

	#client;
	#identity;
	#room;
	#shelf;
	#events = new EventTarget();
	#end = new AbortController();

	/**
	 * @param {Options} options
	 * @param {import("../store/outbox.js").Shelf | null} shelf
	 */
	constructor({ url = new URL(import.meta.url).origin, room, rooms = [], name, token, auth, storage = PREFIX, dial }, shelf) {
		this.#shelf = shelf;
		const outbox = new Outbox(shelf);
		this.#identity = identityIn(storage, { name, token, auth });
		const client = new Client({ url, identity: this.#identity, outbox, dial, reach: dial ? undefined : () => reach(url) });
		this.#client = client;
		const all = room === undefined ? rooms : [room, ...rooms];
		this.#room = all[0] ?? "";
		this.#hear("state", (state) => (this.state = state));
		for (const event of EVENTS) this.#hear(event, (detail) => this.#emit(event, detail));
		this.#hear("message", (entry) => this.#emit("message", entry));
		this.#hear("joined", (arrival) => {
			if (this.#room === arrival.asked) this.#room = arrival.room;
			this.#emit("joined", arrival);
			for (const entry of arrival.messages) this.#emit("message", entry);
		});
		for (const one of all) client.join(one);
		// Where there is a page, it knows when the net may be gone or back.
		const { signal } = this.#end;
		const page = (/** @type {string} */ name, /** @type {() => void} */ hear) => globalThis.addEventListener?.(name, hear, { signal });
		for (const event of ["online", "offline"]) page(event, () => client.hurry());
		let paused = false;
		page("pagehide", () => (paused = client.stop())); // a page that is kept for "back" would stay online
		page("pageshow", () => paused && client.start());
		client.start();
	}

	/**
	 * @param {string} event
	 * @param {(detail: any) => void} listener
	 * @returns {() => void} stops listening
	 */
	on(event, listener) {
		if (event !== "message" && event !== "joined" && !EVENTS.some((one) => one === event)) throw new TypeError(`there is no event "${event}"`);
		const hear = (/** @type {Event} */ e) => listener(/** @type {CustomEvent} */ (e).detail);
		this.#events.addEventListener(event, hear);
		return () => this.#events.removeEventListener(event, hear);
	}

	get user() {
		return this.#client.user;
	}

	get node() {
		return this.#client.node;
	}

	get nodes() {
		return this.#client.nodes;
	}

	get limits() {
		return this.#client.limits;
	}

	get rooms() {
		return this.#client.rooms;
	}

	/** Whether what waits would outlive the page. */
	get kept() {
		return this.#client.kept;
	}

	/** @param {string} text */
	say(text, room = this.#room) {
		return this.#client.say(room, text);
	}

	/**
	 * @param {string} id
	 * @param {string} text
	 */
	edit(id, text, room = this.#room) {
		return this.#client.edit(room, id, text);
	}

	/** @param {string} id */
	remove(id, room = this.#room) {
		return this.#client.remove(room, id);
	}

	/**
	 * @param {string} id
	 * @param {string} emoji
	 */
	react(id, emoji, on = true, room = this.#room) {
		return this.#client.react(room, id, emoji, on);
	}

	pending(room = this.#room) {
		return this.#client.pending(room);
	}

	/** @param {string} key */
	retry(key) {
		this.#client.retry(key);
	}

	/** @param {string} key */
	cancel(key) {
		this.#client.cancel(key);
	}

	typing(room = this.#room) {
		this.#client.typing(room);
	}

	/**
	 * @param {string} before an id
	 * @returns {Promise<{messages: Entry[], more: boolean}>}
	 */
	history(before, limit = 50, room = this.#room) {
		return this.#client.history(room, before, limit);
	}

	/** @param {string} room */
	join(room) {
		this.#room ||= room;
		this.#client.join(room);
	}

	/** @param {string} room */
	leave(room) {
		this.#client.leave(room);
	}

	listRooms() {
		return this.#client.listRooms();
	}

	/** @param {string} name */
	rename(name) {
		return this.#client.rename(name);
	}

	/** Tries at once; after a kick or a refused hello too. */
	hurry() {
		if (this.#end.signal.aborted) return;
		if (this.state.state === "kicked" || this.state.state === "ask") this.#client.start();
		else this.#client.hurry();
	}

	/** Ends the connection for good. What waits stays where it is kept, for who connects next. */
	close() {
		this.#end.abort();
		this.#client.stop();
		this.#shelf?.end?.();
		this.#identity.end?.();
		this.state = { state: "closed" };
		this.#emit("state", this.state);
	}

	/**
	 * @template {keyof import("./client.js").ClientEvents} Name
	 * @param {Name} event
	 * @param {(detail: import("./client.js").ClientEvents[Name]) => void} listener
	 */
	#hear(event, listener) {
		listen(this.#client, event, listener);
	}

	/**
	 * @param {string} event
	 * @param {unknown} detail
	 */
	#emit(event, detail) {
		this.#events.dispatchEvent(new CustomEvent(event, { detail }));
	}
}

/**
 * @param {string | false} storage
 * @param {Pick<Options, "name" | "token" | "auth">} given
 * @returns {import("../store/identity.js").IdentityStore}
 */
function identityIn(storage, { name, token, auth }) {
	const known = storage === false ? remembered({ token: token ?? "", name: name ?? "" }) : keptIdentity(local, storage + "identity", { name, token });
	return { ...known, turn: auth ? undefined : known.turn, load: () => ({ ...known.load(), auth: typeof auth === "function" ? auth() : auth }) };
}
