// @ts-check
import { Client } from "../net/client.js";
import { Emitter, listen } from "../net/events.js";
import { Outbox } from "../store/outbox.js";
import { seqOf } from "../net/wire.js";
import { now } from "./watch.js";

/** @typedef {import("../net/wire.js").Entry} Entry */
/** @typedef {import("../net/client.js").Arrival} Arrival */

/**
 * @typedef {object} Said
 * @property {number} at
 * @property {boolean} acked
 * @property {number} seq 0 until it is acknowledged
 * @property {Set<string>} due who has yet to see it
 * @property {Set<string>} seen
 */

/** Of so many messages the keys are remembered, all longer than a node may double one: ten minutes at three a second. */
const KEYS_MOST = 2000;

/** While so many are on their way, nothing more is said. */
const OPEN_MOST = 200;

/** So many nodes get a client. */
const MEMBERS_MOST = 8;

/** Each says one message so often, in milliseconds. */
const EVERY_MS = 1000;

/**
 * Counts what was acknowledged, what was seen of it, and what was not. A message is
 * lost where it was acknowledged and somebody, who was there before it was said, saw a
 * later one of the room without it.
 */
export class Tally {
	sent = 0;
	delivered = 0;
	lost = 0;
	doubled = 0;

	/** @type {Map<string, Said>} by key, the oldest first */
	#said = new Map();
	/** @type {Map<string, number>} how far each has seen the room */
	#passed = new Map();

	/**
	 * @param {string} who joined for the first time
	 * @param {string} head the newest that there is
	 */
	enter(who, head) {
		this.#passed.set(who, seqOf(head));
	}

	/**
	 * @param {string} key
	 * @param {number} at
	 */
	say(key, at) {
		this.#said.set(key, { at, seq: 0, acked: false, due: new Set(this.#passed.keys()), seen: new Set() });
		for (const [old, said] of this.#said) {
			if (this.#said.size <= KEYS_MOST) return;
			if (isDone(said)) this.#said.delete(old);
		}
	}

	/**
	 * @param {string} key
	 * @param {string} id
	 */
	acknowledge(key, id) {
		const said = this.#said.get(key);
		if (!said || said.acked) return;
		said.acked = true;
		this.sent++;
		said.seq = seqOf(id);
		for (const [who, passed] of this.#passed) if (passed >= said.seq) this.#miss(said, who);
	}

	/**
	 * @param {string} who
	 * @param {Pick<Entry, "id" | "key">} entry
	 */
	see(who, { id, key }) {
		const seq = seqOf(id);
		const passed = this.#passed.get(who) ?? 0;
		const own = this.#said.get(key);
		if (own ? own.seen.has(who) : seq <= passed) this.doubled++;
		own?.seen.add(who);
		if (own?.due.delete(who)) this.delivered++;
		if (seq <= passed) return;
		this.#passed.set(who, seq);
		for (const said of this.#said.values()) if (said.seq < seq) this.#miss(said, who);
	}

	/** @param {string} who the room began anew for: what was there before can't be seen any more */
	restart(who) {
		for (const said of this.#said.values()) this.#miss(said, who);
		this.#passed.set(who, 0);
	}

	/**
	 * @param {number} before
	 * @returns {number} how many that were said until then are on their way still
	 */
	open(before = Infinity) {
		let count = 0;
		for (const said of this.#said.values()) if (said.at <= before && !isDone(said)) count++;
		return count;
	}

	/**
	 * Nothing was promised before it was acknowledged.
	 * @param {Said} said
	 * @param {string} who is past it
	 */
	#miss({ acked, due }, who) {
		if (acked && due.delete(who)) this.lost++;
	}
}

/** @param {Said} said */
function isDone({ acked, due }) {
	return acked && due.size === 0;
}

/**
 * @typedef {object} Member One client, which began at a node of its own.
 * @property {string} home the node's id
 * @property {Client} client
 * @property {string} node where it is, or was last; "" before it was anywhere
 * @property {boolean} there
 * @property {number} left when it was cut off
 *
 * @typedef {object} Move
 * @property {string} from a node's id
 * @property {string} to
 * @property {number} after milliseconds without a node
 * @property {number} caught how many messages were missed and recovered
 * @property {number} at when
 *
 * @typedef {object} CheckEvents
 * @property {Entry} pass a message, once
 * @property {{node: string, entry: Entry, own: boolean}} see each copy
 * @property {Move} move a client is connected again
 */

/**
 * A client for each node, all in one room. While it talks each says one message a
 * second.
 * @extends {Emitter<CheckEvents>}
 */
export class Check extends Emitter {
	tally = new Tally();

	/** @type {Map<string, Member>} by the id of the node that each began at */
	#members = new Map();
	#room;
	#make;
	#newest = 0;
	#turn = 0;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;

	/**
	 * @param {string} room
	 * @param {(url: string) => Client} [make]
	 */
	constructor(room, make = (url) => new Client({ url, outbox: new Outbox() })) {
		super();
		this.#room = room;
		this.#make = make;
	}

	/**
	 * Each node that was not known gets a client.
	 * @param {{id: string, url: string}[]} nodes
	 */
	at(nodes) {
		for (const { id, url } of nodes) if (url && !this.#members.has(id) && this.#members.size < MEMBERS_MOST) this.#begin(id, url);
	}

	/** How many are connected, to one node or to any. */
	count(node = "") {
		return [...this.#members.values()].filter((member) => member.there && (!node || member.node === node)).length;
	}

	/** @param {boolean} on */
	talk(on) {
		if (on === (this.#timer !== undefined)) return;
		clearTimeout(this.#timer);
		this.#timer = undefined;
		if (on) this.#next();
	}

	/**
	 * Says one message at once, through someone who is connected and has nothing before it.
	 * @param {string} text
	 * @param {string} key
	 * @returns {string} the id of the node it goes to; "" where nobody can
	 */
	say(text, key) {
		const free = [...this.#members].find(([, m]) => m.there && m.client.pending(this.#room).length === 0);
		if (!free) return "";
		this.#say(free[1], text, key);
		return free[1].node;
	}

	#next() {
		const members = [...this.#members.values()];
		this.#timer = setTimeout(() => this.#next(), EVERY_MS / Math.max(1, members.length));
		const member = members[this.#turn++ % members.length];
		// One that has not been in the room yet can't be asked for what is said there.
		if (!member?.node || this.tally.open() >= OPEN_MOST) return;
		this.#say(member, `Check ${this.#turn}`);
	}

	/**
	 * @param {Member} member
	 * @param {string} text
	 * @param {string} [key]
	 */
	#say({ client }, text, key) {
		const said = client.say(this.#room, text, key);
		if (!said.failed) this.tally.say(said.key, now());
	}

	/**
	 * @param {string} home
	 * @param {string} url
	 */
	#begin(home, url) {
		const client = this.#make(url);
		/** @type {Member} */
		const member = { home, client, node: "", there: false, left: 0 };
		this.#members.set(home, member);
		listen(client, "joined", (arrival) => this.#joined(member, arrival));
		listen(client, "message", (entry) => this.#saw(member, entry));
		listen(client, "sent", ({ key, id }) => this.tally.acknowledge(key, id));
		listen(client, "reset", () => this.#restart(home));
		listen(client, "state", ({ state }) => {
			if (member.there && state !== "online") member.left = now();
			if (state !== "online") member.there = false;
		});
		client.join(this.#room);
		client.start();
	}

	/** @param {string} home */
	#restart(home) {
		this.#newest = 0;
		this.tally.restart(home);
	}

	/**
	 * @param {Member} member
	 * @param {Arrival} arrival
	 */
	#joined(member, { messages, restarted }) {
		const to = member.client.node?.id ?? "";
		const { node: from, left, there } = member;
		member.node = to;
		member.there = true;
		if (!from) return this.tally.enter(member.home, messages.at(-1)?.id ?? "");
		if (restarted) this.#restart(member.home);
		for (const entry of messages) this.#saw(member, entry);
		const at = now();
		// It may have moved before it lost the other node.
		if (!there || from !== to) this.emit("move", { from, to, after: there ? 0 : at - left, caught: messages.length, at });
	}

	/**
	 * @param {Member} member
	 * @param {Entry} entry
	 */
	#saw({ home, client, node }, entry) {
		this.tally.see(home, entry);
		// Where the message is faster than the answer, there is no event for that.
		const own = entry.user.id === client.user?.id;
		if (own) this.tally.acknowledge(entry.key, entry.id);
		this.emit("see", { node, entry, own });
		if (seqOf(entry.id) <= this.#newest) return;
		this.#newest = seqOf(entry.id);
		this.emit("pass", entry);
	}
}
