// A cluster of nodes that is no more than what the client can see of one: it
// keeps rooms' logs, takes each key once, and fails in the ways nodes fail.

import { webcrypto } from "node:crypto";
import { Client } from "../assets/net/client.js";

// What every browser has, node 18 has not.
globalThis.crypto ??= webcrypto;
globalThis.CustomEvent ??= class extends Event {
	constructor(name, { detail } = {}) {
		super(name);
		this.detail = detail;
	}
};

/** Polls until the condition holds; the deadline is far beyond what is needed. */
export async function until(condition, what) {
	const deadline = Date.now() + 20_000;
	for (;;) {
		const value = condition();
		if (value) return value;
		if (Date.now() > deadline) throw new Error(`it never came to be: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 2));
	}
}

/** Waits that a test need not sit through. What a node may take stays as it is: a busy machine is no dead node. */
const QUICK = {
	timing: { firstRetry: 2, longestRetry: 10, drainSpread: 5, abuseWait: 5 },
	sending: { retryAfter: 5, longestRetry: 10 },
	times: { tryAgain: 5 },
};

const LIMITS = { text: 4000, rooms: 100, rate: 10, burst: 30 };

export class Cluster {
	/** Every command that came, in order: {node, type, …}. */
	heard = [];
	/** Node ids by what is wrong with them: "dead", "frozen", "hanging". */
	ill = new Map();
	/** Called with each command first; what it returns, if anything, is the answer. */
	answer = () => undefined;
	rooms = new Map();
	sockets = new Set();

	constructor(ids = ["node-1", "node-2", "node-3"]) {
		this.nodes = ids.map((id) => ({ id, url: `http://${id}` }));
	}

	room(name) {
		if (!this.rooms.has(name)) this.rooms.set(name, { entries: [], first: 1, next: 1 });
		return this.rooms.get(name);
	}

	/** Puts a message into a room's log and tells who joined it. */
	say(room, text, { key = "", user = { id: "u-other", name: "Other" }, node = "node-1", ...what } = {}) {
		const log = this.room(room);
		const taken = key && log.entries.find((entry) => entry.key === key && entry.user.id === user.id);
		if (taken) return { entry: taken, duplicate: true };
		const seq = log.next++;
		const entry = { type: "message", room, id: `${1000 + seq}-${seq}`, key, user, text, time: Date.now(), node, ...what };
		log.entries.push(entry);
		for (const socket of this.sockets) if (socket.joined.has(room)) socket.push(entry);
		return { entry, duplicate: false };
	}

	/** Ends all connections to a node; its kind of illness says what new ones meet. */
	fell(id, kind, code = 1006, reason = "") {
		if (kind) this.ill.set(id, kind);
		for (const socket of [...this.sockets]) if (socket.node === id) socket.end(code, reason);
	}

	client(options = {}) {
		const client = new Client({ url: "http://node-1", dial: fakeDial(this), random: () => 0.5, ...QUICK, ...options });
		client.log = record(client);
		return client;
	}

	commands(type) {
		return this.heard.filter((command) => command.type === type);
	}
}

/** Opens connections to a cluster's nodes. */
export function fakeDial(cluster) {
	return (url) => new FakeSocket(cluster, new URL(url).hostname);
}

/** What a client told, by event. */
function record(client) {
	const log = { state: [], welcome: [], joined: [], message: [], sent: [], reset: [], refused: [], status: [] };
	for (const name of Object.keys(log)) client.addEventListener(name, (e) => log[name].push(e.detail));
	return log;
}

/** An identity store in memory. */
export function memory(identity = {}) {
	let known = { token: "", name: "", ...identity };
	return { load: () => ({ ...known }), save: (change) => (known = { ...known, ...change }) };
}

class FakeSocket {
	joined = new Set();
	open = false;

	constructor(cluster, node) {
		this.cluster = cluster;
		this.node = node;
		cluster.dials = (cluster.dials ?? []).concat(node);
		setImmediate(() => {
			const ill = cluster.ill.get(node);
			if (ill === "dead") this.onclose?.({ code: 1006, reason: "" });
			if (ill) return; // a hanging one never opens
			this.open = true;
			cluster.sockets.add(this);
			this.onopen?.();
		});
	}

	push(frame) {
		setImmediate(() => {
			if (this.open && this.cluster.ill.get(this.node) !== "frozen") this.onmessage?.({ data: JSON.stringify(frame) });
		});
	}

	end(code, reason) {
		this.cluster.sockets.delete(this);
		this.open = false;
		setImmediate(() => this.onclose?.({ code, reason }));
	}

	close() {
		this.cluster.sockets.delete(this);
		this.open = false;
	}

	send(data) {
		if (this.cluster.ill.get(this.node) === "frozen") return;
		const command = { node: this.node, ...JSON.parse(data) };
		this.cluster.heard.push(command);
		const answer = this.cluster.answer(command, this);
		if (answer === null) return; // the answer is lost
		for (const frame of [answer ?? this.obey(command)].flat()) this.push({ ref: command.ref, ...frame });
	}

	obey(command) {
		switch (command.type) {
			case "hello": {
				const nodes = this.cluster.nodes.filter(({ id }) => !this.cluster.ill.has(id));
				const node = { id: this.node, url: `http://${this.node}` };
				this.user = { id: "u-me", name: command.name ?? "guest-1" };
				return { type: "welcome", user: this.user, token: "t-me", node, nodes: [node, ...nodes.filter(({ id }) => id !== this.node)], limits: LIMITS, version: 1 };
			}
			case "join":
				return this.join(command);
			case "leave":
				this.joined.delete(command.room);
				return { type: "left", room: command.room };
			case "send": {
				const { entry, duplicate } = this.cluster.say(command.room, command.text, { key: command.key, user: this.user, node: this.node });
				return { type: "sent", room: command.room, key: command.key, id: entry.id, time: entry.time, duplicate };
			}
			case "edit":
			case "delete":
			case "react": {
				const { type: kind, room, key, target, text = "", emoji, on } = command;
				const log = this.cluster.room(room).entries;
				if (!log.some(({ id, kind }) => id === target && !kind)) return { type: "error", code: "not_found", message: "there is no such message", room, key };
				const { entry, duplicate } = this.cluster.say(room, text, { key, user: this.user, node: this.node, kind, target, emoji, on });
				if (kind === "delete") log.splice(log.findIndex(({ id }) => id === target), 1);
				return { type: "sent", room, key, id: entry.id, time: entry.time, duplicate };
			}
			case "ping":
				return { type: "pong" };
		}
		return [];
	}

	join({ room: asked, after }) {
		const room = asked.toLowerCase();
		const log = this.cluster.room(room);
		this.joined.add(room);
		const at = log.entries.findIndex(({ id }) => id === after);
		const messages = at >= 0 ? log.entries.slice(at + 1) : log.entries.slice(-50);
		return {
			type: "joined", room, head: log.entries.at(-1)?.id ?? "0-0", recovered: at >= 0, messages, members: [this.user], count: 1,
		};
	}
}
