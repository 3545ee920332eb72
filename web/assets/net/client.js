// @ts-check
import { Calls, pagesOf } from "./calls.js";
import { Emitter, listen } from "./events.js";
import { Following } from "./following.js";
import { Hello } from "./hello.js";
import { remembered } from "../store/identity.js";
import { Link } from "./link.js";
import { Outbox } from "../store/outbox.js";
import { entryOf, Sender } from "./sender.js";
import { bytesOf, FAULTS, foldEmoji, frameOf, HISTORY_MAX, Refused } from "./wire.js";

/** @import {Entry, User, Node, Limits, Welcome, Refusal, RoomCount} from "./wire.js" */
/** @import {IdentityStore} from "../store/identity.js" */
/** @import {Pending} from "../store/outbox.js" */
/** @typedef {import("./following.js").Arrival} Arrival */

/**
 * @typedef {object} State
 * @property {"connecting" | "online" | "offline" | "kicked" | "ask"} state
 * @property {number} [until] when the next try is
 * @property {string} [reason]
 * @property {Refusal} [refusal] of the hello, where the state is "ask"
 * @property {"" | "refused" | "blocked"} [why] why it can't connect, where that is known: the node
 *   refuses this page's Origin or Host; or it answers, but no WebSocket gets there
 *
 * @typedef {object} OwnEvents Events of the client itself; ClientEvents has those of the protocol, too.
 * @property {State} state
 * @property {Welcome & {from?: Node, lost?: Refusal}} welcome with the node before, where it changed, and why the chosen name was refused
 * @property {Entry} sent one's own, maybe ahead of its place
 * @property {{room: string}} outbox its unsent messages changed, maybe `kept` too
 * @typedef {OwnEvents & import("./following.js").FollowingEvents & import("./wire.js").PassedOn} ClientEvents
 */

/** In milliseconds. */
const TIMES = Object.freeze({ answerWithin: 8000, tryAgain: 1000 /* mean */, typingEvery: 3000 });

/** No second connection is looked for so soon after one was moved to, in milliseconds. */
const STAY_MS = 10_000;

/**
 * One user's session: it stays connected to some node, follows rooms without
 * gap or repeat, and sends what was written once. It knows no page.
 * @extends {Emitter<ClientEvents>}
 */
export class Client extends Emitter {
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
	#tries = 0;
	#typedAt = -Infinity;
	#movedAt = -Infinity;
	#reached = false; // by the present try to connect
	/** @type {State["why"]} */
	#why = "";
	#following;
	#hello;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#startTimer;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#lookTimer;
	#random;
	#reach;

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
	 * @param {() => Promise<State["why"]>} [options.reach] asks why there is no connection
	 */
	constructor({ url, identity = remembered(), outbox = new Outbox(), dial, timing, sending, times, random = Math.random, reach }) {
		super();
		this.#random = random;
		this.#reach = reach;
		this.#identity = identity;
		this.#outbox = outbox;
		this.#times = { ...TIMES, ...times };
		this.#link = new Link({ url, dial, timing, random });
		this.#calls = new Calls((command) => this.#send(command), this.#times.answerWithin);
		this.#sender = new Sender(outbox, (command) => this.#online && this.#send(command), sending, random);
		listen(this.#sender, "change", ({ room }) => {
			if (this.#following.isParting(room) && this.pending(room).length === 0) this.leave(room);
			this.emit("outbox", { room });
		});
		// A send has had no answer for long: another connection may do better.
		listen(this.#sender, "stalled", () => this.#following.loading || this.#look());
		const soon = (/** @type {Refusal} */ refusal) => this.#soon(refusal);
		this.#hello = new Hello({
			identity,
			calls: this.#calls,
			soon,
			welcome: (welcome) => this.#welcome(welcome),
			passing: ({ code }) => code === "unavailable" && this.emit("status", { broker: "down" }),
			leave: () => this.#link.again(),
			barred: (refusal) => this.#bar(refusal),
		});
		this.#following = new Following({
			ask: (command, done, refused) => this.#online && this.#calls.make(command, done, refused),
			emit: (name, detail) => this.emit(name, /** @type {any} */ (detail)),
			settle: (entry) => this.#settle(entry),
			soon,
			sender: this.#sender,
		});
		this.#listen();
	}

	/** @param {boolean} [quiet] the state stays as it is until something comes of it */
	start(quiet = false) {
		this.#barred = undefined;
		if (!quiet) this.emit("state", { state: "connecting" });
		this.#identity.turn?.(); // so that it has passed when the connection opens
		this.#link.start();
	}

	/** @returns {boolean} whether it was started and not ended by the node */
	stop() {
		const was = this.#link.stop();
		this.#parted();
		return was;
	}

	/** Something may have changed: try now, or see whether the node answers. */
	hurry() {
		this.#link.hurry();
	}

	/** @param {string} room */
	join(room) {
		this.#sender.part(room, false);
		if (this.#following.add(room)) this.#following.enter(room);
	}

	/**
	 * Leaves a room. What waits for it goes out first; what was refused there is dropped.
	 * @param {string} room
	 */
	leave(room) {
		const waits = this.#sender.part(room, true);
		if (!this.#following.part(room, waits)) return;
		this.#sender.parted(room);
		if (this.#online) this.#send({ type: "leave", room, ref: "-" });
	}

	/** The rooms that are followed. */
	get rooms() {
		return this.#following.rooms;
	}

	/**
	 * Whether entries that were missed are coming in.
	 * @param {string} room
	 */
	loading(room) {
		return this.#following.isLoading(room);
	}

	/**
	 * Says something; it is kept until it is in the log.
	 * @param {string} room
	 * @param {string} text
	 * @param {string} [key] its own for ever; one is made where none is given
	 */
	say(room, text, key) {
		this.#typedAt = -Infinity;
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
		return this.#sender.write(room, "", { kind: "react", target, emoji: foldEmoji(emoji), on });
	}

	/** @param {string} key */
	retry(key) {
		const room = this.#outbox.get(key)?.room;
		this.#sender.retry(key);
		if (room) this.join(room); // a no-op, but where it could not be joined
	}

	/** Takes back what waits or failed; a node may have it already if it was tried. @param {string} key */
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
		const now = performance.now();
		if (!this.#online || now - this.#typedAt < this.#times.typingEvery) return;
		this.#typedAt = now;
		this.#send({ type: "typing", room, ref: "-" });
	}

	/**
	 * @param {string} room
	 * @param {string} before an id
	 * @param {number} limit
	 * @returns {Promise<{messages: Entry[], more: boolean, head: string}>} messages as they stand at an
	 *   entry that is head, or newer
	 */
	async history(room, before, limit) {
		const head = this.#following.cursor(room);
		const { messages, more } = await this.request({ type: "history", room, before, limit: Math.min(limit, HISTORY_MAX) });
		return { messages, more, head };
	}

	/**
	 * All rooms that have users or entries, busiest first.
	 * @param {number} [pages] at most, of 500 rooms each
	 * @returns {Promise<RoomCount[]>}
	 */
	listRooms(pages) {
		return pagesOf((after) => this.request({ type: "rooms", ...(after && { after }) }), pages);
	}

	/**
	 * @param {string} name
	 * @returns {Promise<User>}
	 */
	async rename(name) {
		const { user } = await this.request({ type: "rename", name });
		this.#identity.save({ name: user.name });
		return user;
	}

	/**
	 * @param {object} command one that is answered at once or not at all
	 * @returns {Promise<any>} its reply, or a rejection with Refused
	 */
	request(command) {
		return new Promise((resolve, reject) => {
			const refuse = (/** @type {Refusal} */ refusal) => reject(new Refused(refusal));
			if (this.#online) this.#calls.make(command, resolve, refuse);
			else refuse({ code: "unavailable", message: "you are offline: try again when you are back" });
		});
	}

	#listen() {
		const link = this.#link;
		listen(link, "open", () => {
			this.#reached = true;
			this.#why = "";
			this.#hello.begin();
		});
		listen(link, "frame", (frame) => this.#frame(frame));
		listen(link, "moved", (welcome) => {
			this.#parted();
			this.#movedAt = performance.now();
			this.#welcome(welcome);
		});
		listen(link, "down", (closed) => this.#down(closed));
		listen(link, "waiting", ({ until, tries }) => {
			this.#tries = tries;
			this.#away(until);
			if (!this.#reached && tries >= 2) this.#ask(until);
		});
		listen(link, "trying", () => {
			this.#reached = false;
			if (this.#tries >= 2) this.#away(0);
		});
		listen(link, "stopped", (closing) => this.#stopped(closing));
	}

	/** @param {number} until the next try */
	#away(until) {
		this.emit("state", this.#tries < 2 ? { state: "connecting" } : { state: "offline", until, why: this.#why });
	}

	/**
	 * Finds out why there is no connection.
	 * @param {number} until the next try
	 */
	async #ask(until) {
		const why = await this.#reach?.();
		if (why === undefined || this.#online || this.#reached || why === this.#why) return;
		this.#why = why;
		this.#away(until);
	}

	/** @param {{code: number}} closed */
	#down({ code }) {
		const fault = FAULTS.includes(code);
		if (fault && this.#online) this.#sender.blame(code);
		else if (fault) this.#bar({ code: "too_long", message: "the server can't read who you are" });
		this.#parted();
		if (!this.#barred) this.emit("state", { state: "connecting" });
	}

	#parted() {
		this.#online = false;
		clearTimeout(this.#startTimer);
		clearTimeout(this.#lookTimer);
		this.#hello.end();
		this.#following.end();
		this.#sender.parted();
		this.#calls.end();
	}

	/** @param {string[]} [urls] of nodes; all others where none are named */
	#look(urls) {
		if (this.#online && performance.now() - this.#movedAt > STAY_MS) this.#link.look(this.#hello.command(!this.#hello.lostName), urls);
	}

	/**
	 * @param {object} command
	 * @returns {boolean} whether it is on its way, or refused here
	 */
	#send(command) {
		const frame = frameOf(command);
		const most = 6 * this.#sender.limit + 4096; // of a frame, as the protocol has it
		if (!(frame.length * 3 > most && bytesOf(frame) > most)) return this.#link.send(frame);
		const refusal = { ...command, type: "error", code: "too_long", message: `the command has ${bytesOf(frame)} bytes: ${most} at most` };
		queueMicrotask(() => this.#frame(refusal));
		return true;
	}

	/** @param {import("./link.js").Closing} closing */
	#stopped({ why, reason }) {
		if (why === "ask" && !this.#barred) { // no more than a slow hello
			this.#startTimer = setTimeout(() => this.#link.start(), this.#soon());
			return;
		}
		this.emit("state", { state: why, reason: this.#barred?.message ?? reason, refusal: this.#barred });
	}

	/** @param {Refusal} refusal of a hello, for good */
	#bar(refusal) {
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
		this.#sender.limit = welcome.limits.text;
		this.#sender.me = welcome.user.id;
		this.#identity.save({ token: welcome.token, user: welcome.user.id });
		this.#nodes(welcome.nodes);
		this.#online = true;
		this.#tries = 0;
		this.emit("status", { broker: "up" });
		this.emit("welcome", { ...welcome, from, lost: this.#hello.lostName });
		this.emit("state", { state: "online" });
		const { names } = this.#following;
		for (const room of this.#outbox.rooms()) if (!names.includes(room)) this.#following.add(room, this.#outbox.isLeft(room));
		for (const room of this.#following.names) this.#following.enter(room);
		this.#hello.renew();
	}

	/** @param {Node[]} nodes */
	#nodes(nodes) {
		this.nodes = nodes;
		this.#link.setNodes(nodes.map((node) => node.url));
	}

	/** @param {any} frame */
	#frame(frame) {
		this.#calls.answer(frame);
		switch (frame.type) {
			case "message":
				return this.#following.message(frame);
			case "sent":
				return this.#sent(frame);
			case "error":
				this.emit("error", frame);
				this.#sender.refused(frame, this.#calls.size === 0);
				if (frame.code === "not_joined" && frame.room) this.#following.enter(frame.room);
				return;
			case "reset":
				return this.#following.reset(frame.room);
			case "nodes":
				this.#nodes(frame.nodes);
				return this.emit("nodes", frame);
			case "renamed":
				if (frame.user.id === this.user?.id) this.user = frame.user;
				return this.emit("renamed", frame);
			case "status":
				this.emit("status", frame);
				if (frame.broker === "up") this.#sender.hurry();
				else if (frame.nodes) this.#leave(frame.nodes);
				return;
			case "presence":
			case "typing":
			case "moderated":
				return this.emit(frame.type, frame);
		}
	}

	/**
	 * What one said oneself and finds in the log needs no more sending.
	 * @param {Entry} entry
	 */
	#settle(entry) {
		if (entry.kind === "delete") this.#sender.gone(entry.room, entry.target);
		const { by } = this.#outbox.get(entry.key) ?? {};
		if (entry.user.id !== this.user?.id && entry.user.id !== by) return;
		if (this.#sender.seen(entry.key)) this.emit("sent", entry);
		this.#link.stay();
	}

	/** @param {{key: string, id: string, time: number}} sent */
	#sent({ key, id, time }) {
		const pending = this.#sender.seen(key);
		if (pending && this.user && this.node) this.emit("sent", entryOf(pending, id, time, this.user, this.node.id));
		this.#link.stay();
	}

	/**
	 * This node has lost Redis: others have it, so all go to one of them, not all at once.
	 * @param {Node[]} nodes
	 */
	#leave(nodes) {
		const urls = nodes.filter(({ id }) => id !== this.node?.id).map(({ url }) => url).sort(() => this.#random() - 0.5);
		clearTimeout(this.#lookTimer);
		if (urls.length > 0) this.#lookTimer = setTimeout(() => this.#look(urls), this.#random() * this.#times.tryAgain);
	}

	/**
	 * When to try again what was refused: never all clients at once.
	 * @param {Refusal} [refusal]
	 */
	#soon(refusal) {
		const { tryAgain } = this.#times;
		return (refusal?.retry_after ?? tryAgain / 2) + this.#random() * tryAgain;
	}
}
