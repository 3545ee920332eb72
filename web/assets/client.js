// @ts-check
import { Calls, GONE, LATE } from "./calls.js";
import { remembered } from "./identity.js";
import { Link } from "./link.js";
import { Outbox } from "./outbox.js";
import { entryOf, Sender } from "./sender.js";
import { HISTORY_MAX, Refused, seqOf } from "./wire.js";

/** @import {Entry, User, Node, Limits, Welcome, Joined, Refusal, RoomCount} from "./wire.js" */
/** @import {IdentityStore} from "./identity.js" */
/** @import {Pending} from "./outbox.js" */

/**
 * @typedef {object} State
 * @property {"connecting" | "online" | "offline" | "kicked" | "ask"} state
 * @property {number} [until] when the next try is
 * @property {string} [reason]
 *
 * @typedef {object} Arrival A room was joined, for the first time or again.
 * @property {string} asked the name that join was called with
 * @property {string} room the name that the node knows it by
 * @property {Entry[]} messages those not passed on before
 * @property {User[]} members
 * @property {number} count
 * @property {boolean} again it was joined before, and this is the recovery
 * @property {boolean} gap some entries could not be recovered
 * @property {boolean} restarted the room's log began anew
 *
 * @typedef {object} Followed
 * @property {string} cursor the newest id that was passed on; ""
 * @property {ReturnType<typeof setTimeout>} [timer] of the next try to join
 */

/** In milliseconds. */
const TIMES = Object.freeze({ answerWithin: 8000, tryAgain: 1000 /* mean */, typingEvery: 3000 });

/** Refusals of join and hello that pass by themselves. */
const PASSING = new Set(["unavailable", "rate_limited", "internal", LATE]);

/** So many times hello is said to a node that can't answer it now. */
const HELLOS = 3;

/**
 * One user's session: it stays connected to some node, follows rooms without
 * gap or repeat, and sends what was written once. It knows no page.
 *
 * Events (with their detail): `state` (State), `welcome` (Welcome and {from?:
 * Node} where the node changed, {lost?: Refusal} where the chosen name could not
 * be had), `joined` (Arrival), `refused` ({room, refusal}: a join that won't
 * work), `message` (Entry), `sent` (Entry, one's own, maybe ahead of its
 * place), `outbox` ({room}: what waits for it changed, maybe `kept` too), `presence`, `typing`, `renamed`, `reset`,
 * `moderated`, `nodes` and `status` (the protocol's events).
 */
export class Client extends EventTarget {
	/** @type {User | null} */
	user = null;
	/** @type {Node | null} */
	node = null;
	/** @type {Node[]} */
	nodes = [];
	/** @type {Limits} */
	limits = { text: 4000, rooms: 100, rate: 0, burst: 0 };

	#identity;
	#link;
	#outbox;
	#sender;
	#calls;
	#times;
	#online = false;
	/** @type {Refusal | undefined} why a hello is not going to work */
	#barred;
	/** @type {Refusal | undefined} why the chosen name could not be had */
	#lostName;
	#tries = 0;
	#hellos = 0; // refused by the node that is talked to
	#typedAt = 0;
	/** @type {Map<string, Followed>} */
	#rooms = new Map();
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#helloTimer;
	#random;

	/**
	 * @param {object} options
	 * @param {string} options.url base URL of the first node
	 * @param {IdentityStore} [options.identity]
	 * @param {Outbox} [options.outbox]
	 * @param {import("./link.js").Dial} [options.dial]
	 * @param {object} [options.timing] of the link
	 * @param {object} [options.sending] times of the sender
	 * @param {Partial<typeof TIMES>} [options.times]
	 * @param {() => number} [options.random]
	 */
	constructor({ url, identity = remembered(), outbox = new Outbox(), dial, timing, sending, times, random = Math.random }) {
		super();
		this.#random = random;
		this.#identity = identity;
		this.#outbox = outbox;
		this.#times = { ...TIMES, ...times };
		this.#link = new Link({ url, dial, timing, random });
		this.#calls = new Calls((command) => this.#link.send(command), this.#times.answerWithin);
		this.#sender = new Sender(outbox, (command) => this.#online && this.#link.send(command), sending, random);
		this.#sender.addEventListener("change", (e) => this.#emit("outbox", detailOf(e)));
		this.#listen();
	}

	start() {
		this.#barred = undefined;
		this.#emit("state", { state: "connecting" });
		this.#link.start();
	}

	stop() {
		this.#link.stop();
		this.#parted();
		for (const room of this.#rooms.values()) clearTimeout(room.timer);
	}

	/** Something may have changed: try now, or see whether the node answers. */
	hurry() {
		this.#link.hurry();
	}

	/** @param {string} room */
	join(room) {
		if (this.#rooms.has(room)) return;
		this.#rooms.set(room, { cursor: "" });
		if (this.#online) this.#enter(room);
	}

	/** @param {string} room */
	leave(room) {
		clearTimeout(this.#rooms.get(room)?.timer);
		if (!this.#rooms.delete(room)) return;
		this.#sender.parted(room);
		if (this.#online) this.#link.send({ type: "leave", room });
	}

	/** The rooms that are followed, in the order in which they were joined. */
	get rooms() {
		return [...this.#rooms.keys()];
	}

	/**
	 * Says something; it is kept until it is in the log.
	 * @param {string} room
	 * @param {string} text
	 * @param {string} [key] its own for ever; one is made where none is given
	 */
	say(room, text, key) {
		this.#typedAt = 0;
		return this.#sender.write(room, text, key ? { kind: "", key } : undefined);
	}

	/**
	 * @param {string} room
	 * @param {string} target the id of a message of one's own
	 * @param {string} text
	 */
	edit(room, target, text) {
		return this.#sender.write(room, text, { kind: "edit", target });
	}

	/**
	 * @param {string} room
	 * @param {string} target the id of a message of one's own
	 */
	remove(room, target) {
		return this.#sender.write(room, "", { kind: "delete", target });
	}

	/**
	 * Where the opposite still waits, they take back each other.
	 * @param {string} room
	 * @param {string} target a message's id
	 * @param {string} emoji
	 * @param {boolean} on
	 */
	react(room, target, emoji, on) {
		return this.#sender.write(room, "", { kind: "react", target, emoji, on });
	}

	/** @param {string} key */
	retry(key) {
		const room = this.#outbox.get(key)?.room;
		this.#sender.retry(key);
		if (room) this.join(room); // a no-op, but where it could not be joined
	}

	/**
	 * Takes back what waits or failed. A node may have it already if it was tried.
	 * @param {string} key
	 */
	cancel(key) {
		this.#sender.cancel(key);
	}

	/** Whether what waits would outlive the page. */
	get kept() {
		return this.#outbox.kept;
	}

	/**
	 * @param {string} room
	 * @returns {Pending[]} what is on its way to it
	 */
	pending(room) {
		return this.#outbox.of(room);
	}

	/** @param {string} room */
	typing(room) {
		const now = Date.now();
		if (!this.#online || now - this.#typedAt < this.#times.typingEvery) return;
		this.#typedAt = now;
		this.#link.send({ type: "typing", room });
	}

	/**
	 * @param {string} room
	 * @param {string} before an id
	 * @param {number} limit
	 * @returns {Promise<{messages: Entry[], more: boolean}>}
	 */
	history(room, before, limit) {
		return this.#request({ type: "history", room, before, limit: Math.min(limit, HISTORY_MAX) });
	}

	/** @returns {Promise<RoomCount[]>} */
	async listRooms() {
		return (await this.#request({ type: "rooms" })).rooms;
	}

	/**
	 * @param {string} name
	 * @returns {Promise<User>}
	 */
	async rename(name) {
		const { user } = await this.#request({ type: "rename", name });
		this.#identity.save({ name: user.name });
		return user;
	}

	#listen() {
		const link = this.#link;
		link.addEventListener("open", () => {
			this.#hellos = 0;
			this.#hello(true);
		});
		link.addEventListener("frame", (e) => this.#frame(detailOf(e)));
		link.addEventListener("down", () => this.#down());
		link.addEventListener("waiting", (e) => {
			const { until, tries } = detailOf(e);
			this.#tries = tries;
			this.#emit("state", tries < 2 ? { state: "connecting" } : { state: "offline", until });
		});
		link.addEventListener("trying", () => {
			if (this.#tries >= 2) this.#emit("state", { state: "offline", until: 0 });
		});
		link.addEventListener("stopped", (e) => this.#stopped(detailOf(e)));
	}

	#down() {
		this.#parted();
		this.#emit("state", { state: "connecting" });
	}

	#parted() {
		this.#online = false;
		clearTimeout(this.#helloTimer);
		this.#sender.parted();
		this.#calls.end();
	}

	/** @param {import("./link.js").Closing} closing */
	#stopped({ why, reason }) {
		if (why === "ask" && !this.#barred) { // no more than a slow hello
			this.#helloTimer = setTimeout(() => this.#link.start(), this.#soon());
			return;
		}
		this.#emit("state", { state: why, reason: this.#barred?.message ?? reason });
	}

	/** @param {boolean} named whether to ask for the chosen name */
	#hello(named) {
		const { token, name, auth } = this.#identity.load();
		if (named) this.#lostName = undefined;
		const hello = { type: "hello", ...(token && { token }), ...(auth && { auth }), ...(named && name && { name }) };
		this.#calls.make(hello, (welcome) => this.#welcome(welcome), (refusal) => {
			if (refusal.code === "unauthorized" && token) {
				if (this.#identity.load().token === token) this.#identity.save({ token: "" });
				this.#hello(named);
			} else if (named && name && (refusal.code === "name_taken" || refusal.code === "bad_name")) {
				this.#lostName = refusal;
				this.#hello(false);
			} else this.#helloRefused(refusal);
		});
	}

	/** @param {Refusal} refusal */
	#helloRefused(refusal) {
		if (refusal.code === GONE) return;
		if (PASSING.has(refusal.code)) {
			if (refusal.code === "unavailable") this.#emit("status", { broker: "down" });
			// Another node may do better.
			if (refusal.code === LATE || ++this.#hellos >= HELLOS) return this.#link.again();
			this.#helloTimer = setTimeout(() => this.#hello(true), this.#soon(refusal));
			return;
		}
		this.#barred = refusal;
		this.#link.stop();
		this.#parted();
		this.#stopped({ why: "ask", reason: refusal.message });
	}

	/** @param {Welcome} welcome */
	#welcome(welcome) {
		const from = this.node && this.node.id !== welcome.node.id ? this.node : undefined;
		this.user = welcome.user;
		this.node = welcome.node;
		this.limits = welcome.limits;
		this.#identity.save({ token: welcome.token });
		this.#nodes(welcome.nodes);
		this.#online = true;
		this.#tries = 0;
		this.#emit("status", { broker: "up" });
		this.#emit("welcome", { ...welcome, from, lost: this.#lostName });
		this.#emit("state", { state: "online" });
		for (const room of new Set([...this.#rooms.keys(), ...this.#outbox.rooms()])) {
			if (!this.#rooms.has(room)) this.#rooms.set(room, { cursor: "" });
			this.#enter(room);
		}
	}

	/** @param {Node[]} nodes */
	#nodes(nodes) {
		this.nodes = nodes;
		this.#link.setNodes(nodes.map((node) => node.url));
	}

	/** @param {string} room */
	#enter(room) {
		const followed = this.#rooms.get(room);
		if (!followed || !this.#online) return;
		clearTimeout(followed.timer);
		const after = followed.cursor;
		this.#calls.make(
			{ type: "join", room, ...(after && { after }) },
			(joined) => this.#joined(room, after, joined),
			(refusal) => this.#joinRefused(room, refusal),
		);
	}

	/**
	 * @param {string} asked
	 * @param {string} after
	 * @param {Joined} joined
	 */
	#joined(asked, after, joined) {
		const { room, head, recovered, members, count } = joined;
		const followed = this.#rooms.get(asked);
		if (!followed) return; // left meanwhile
		this.#rooms.delete(asked);
		this.#rooms.set(room, followed);
		const restarted = !recovered && seqOf(head) < seqOf(after);
		if (restarted) followed.cursor = "";
		const messages = joined.messages.filter((entry) => seqOf(entry.id) > seqOf(followed.cursor));
		const gap = after !== "" && !recovered && !restarted;
		// With more, the rest up to the head follows as messages.
		const upTo = joined.more ? (joined.messages.at(-1)?.id ?? followed.cursor) : head;
		if (seqOf(upTo) > seqOf(followed.cursor)) followed.cursor = upTo;
		for (const entry of joined.messages) this.#settle(entry);
		this.#emit("joined", { asked, room, messages, members, count, again: after !== "", gap, restarted });
		this.#sender.joined(room, recovered);
	}

	/**
	 * @param {string} room
	 * @param {Refusal} refusal
	 */
	#joinRefused(room, refusal) {
		const followed = this.#rooms.get(room);
		if (!followed || refusal.code === GONE) return;
		if (PASSING.has(refusal.code)) {
			followed.timer = setTimeout(() => this.#enter(room), this.#soon(refusal));
			return;
		}
		this.#rooms.delete(room);
		this.#sender.barred(room, refusal.message);
		this.#emit("refused", { room, refusal });
	}

	/** @param {any} frame */
	#frame(frame) {
		this.#calls.answer(frame);
		this.#event(frame);
	}

	/** @param {any} frame */
	#event(frame) {
		switch (frame.type) {
			case "message":
				return this.#message(frame);
			case "sent":
				return this.#sent(frame);
			case "error":
				// A node that doesn't know the command, as an older one, names no key.
				this.#sender.refused({ ...frame, key: frame.key ?? frame.ref });
				if (frame.code === "not_joined" && frame.room) this.#enter(frame.room);
				return;
			case "reset":
				return this.#reset(frame);
			case "nodes":
				this.#nodes(frame.nodes);
				return this.#emit("nodes", frame);
			case "renamed":
				if (frame.user.id === this.user?.id) this.user = frame.user;
				return this.#emit("renamed", frame);
			case "status":
				this.#emit("status", frame);
				if (frame.broker === "up") this.#sender.hurry();
				return;
			case "presence":
			case "typing":
			case "moderated":
				return this.#emit(frame.type, frame);
		}
	}

	/** @param {Entry} entry */
	#message(entry) {
		const followed = this.#rooms.get(entry.room);
		if (!followed || seqOf(entry.id) <= seqOf(followed.cursor)) return;
		followed.cursor = entry.id;
		this.#settle(entry);
		this.#emit("message", entry);
	}

	/**
	 * What one said oneself and finds in the log needs no more sending.
	 * @param {Entry} entry
	 */
	#settle(entry) {
		if (entry.user.id === this.user?.id && entry.key) this.#sender.seen(entry.key);
	}

	/** @param {{key: string, id: string, time: number}} sent */
	#sent({ key, id, time }) {
		const pending = this.#outbox.get(key);
		if (!pending || !this.user || !this.node) return;
		if (id) this.#emit("sent", entryOf(pending, id, time, this.user, this.node.id));
		this.#sender.seen(key);
	}

	/** @param {{room: string}} reset */
	#reset({ room }) {
		const followed = this.#rooms.get(room);
		if (!followed) return;
		followed.cursor = "";
		this.#sender.parted(room);
		this.#emit("reset", { room });
		this.#enter(room);
	}

	/**
	 * @param {object} command
	 * @returns {Promise<any>}
	 */
	#request(command) {
		return new Promise((resolve, reject) => {
			const refuse = (/** @type {Refusal} */ refusal) => reject(new Refused(refusal));
			if (this.#online) this.#calls.make(command, resolve, refuse);
			else refuse({ code: "unavailable", message: "you are offline: try again when you are back" });
		});
	}

	/**
	 * When to try again what was refused: never all clients at once.
	 * @param {Refusal} [refusal]
	 */
	#soon(refusal) {
		const { tryAgain } = this.#times;
		return (refusal?.retry_after ?? tryAgain / 2) + this.#random() * tryAgain;
	}

	/**
	 * @param {string} name
	 * @param {unknown} detail
	 */
	#emit(name, detail) {
		this.dispatchEvent(new CustomEvent(name, { detail }));
	}
}

/**
 * @param {Event} e
 * @returns {any}
 */
function detailOf(e) {
	return /** @type {CustomEvent} */ (e).detail;
}
