import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Link } from "../assets/net/link.js";
import { Cluster, memory, until } from "./fakes.mjs";

let cluster;
let clients;

beforeEach(() => {
	cluster = new Cluster();
	clients = [];
});
afterEach(() => clients.forEach((client) => client.stop()));

async function joined(options) {
	const client = cluster.client(options);
	clients.push(client);
	client.join("lobby");
	client.start();
	await until(() => client.log.joined.length > 0, "the room is joined");
	return client;
}

const states = (client) => client.log.state.map(({ state }) => state);
const QUICKLY = { answerWithin: 10_000, stalledAfter: 20 };

test("a send without an answer leads to another node, which is moved to when it welcomes", async () => {
	const client = await joined({ sending: QUICKLY });
	let seen;
	cluster.answer = (command) => {
		if (command.type === "hello") seen = cluster.sockets.size;
		return command.type === "send" && command.node === "node-1" ? null : undefined;
	};
	client.say("lobby", "hello");
	await until(() => client.pending("lobby").length === 0, "it is said");
	assert.deepEqual([client.node.id, client.log.welcome.at(-1).from.id, seen], ["node-2", "node-1", 2]);
	assert.deepEqual(states(client), ["connecting", "online", "online"], "it was never without a connection");
	assert.equal(cluster.sockets.size, 1);
	const [first, second] = cluster.commands("send");
	assert.equal(first.key, second.key);
	assert.equal(cluster.commands("join").at(-1).after, "0-0");
});

test("where no other node welcomes, the connection stays", async () => {
	const client = await joined({ sending: QUICKLY, identity: memory({ name: "Ann" }) });
	cluster.ill.set("node-2", "dead");
	cluster.answer = (command, socket) => {
		if (command.type === "send") return null;
		if (command.node === "node-3") return { type: "error", code: "unavailable", message: "no" };
		// The page's own node takes a second connection, but knows the user no more.
		return command.type === "hello" ? { ...socket.obey(command), renewed: true } : undefined;
	};
	client.say("lobby", "hello");
	await until(() => cluster.dials.length === 4 && cluster.sockets.size === 1, "all were tried");
	assert.deepEqual(cluster.dials.slice(1), ["node-2", "node-3", "node-1"]);
	assert.deepEqual([client.node.id, client.log.welcome.length], ["node-1", 1]);
});

test("an answer that comes meanwhile ends the search", async () => {
	const client = await joined({ sending: QUICKLY });
	let answer;
	cluster.answer = (command, socket) => {
		if (command.type === "hello") return null; // the other node takes its time
		if (command.type !== "send") return undefined;
		answer = () => socket.push({ ...socket.obey(command), ref: command.ref });
		return null;
	};
	client.say("lobby", "hello");
	await until(() => cluster.commands("hello").length === 2, "another is asked");
	answer();
	await until(() => client.pending("lobby").length === 0, "it is said");
	assert.deepEqual([client.node.id, cluster.sockets.size], ["node-1", 1]);
});

test("users of a node that has lost Redis go to one that has not, silently", async () => {
	const client = await joined();
	const down = { type: "status", broker: "down" };
	for (const socket of cluster.sockets) socket.push(down);
	await until(() => client.log.status.at(-1)?.broker === "down", "it is told");
	assert.deepEqual(cluster.dials, ["node-1"]);
	cluster.ill.set("node-2", "dead");
	for (const socket of cluster.sockets) socket.push({ ...down, nodes: cluster.nodes });
	await until(() => client.node.id === "node-3", "it is on the third");
	assert.deepEqual(states(client), ["connecting", "online", "online"]);
	assert.equal(client.log.status.at(-1).broker, "up");
});

test("where no other node has Redis they stay", async () => {
	const client = await joined();
	for (const nodes of [[], [cluster.nodes[0]]])
		for (const socket of cluster.sockets) socket.push({ type: "status", broker: "down", nodes });
	await until(() => client.log.status.filter(({ broker }) => broker === "down").length === 2, "it is told");
	await new Promise((resolve) => setTimeout(resolve, 20));
	assert.deepEqual(cluster.dials, ["node-1"]);
});

test("from https none goes to http, whatever nodes announce", () => {
	const dialled = [];
	const sockets = [];
	const dial = (url) => {
		dialled.push(url);
		const socket = { close() {}, send() {} };
		sockets.push(socket);
		return socket;
	};
	const fell = (link) => {
		sockets.at(-1).onclose({ code: 1006, reason: "" });
		link.hurry();
	};
	const announced = ["http://a", "ftp://b", "wss://c", "about:blank", "https://d", "http://e"];
	const secure = new Link({ url: "https://home", dial });
	secure.start();
	sockets.at(-1).onopen();
	secure.setNodes(announced);
	secure.look({}, ["http://a"]);
	for (let i = 0; i < 4; i++) fell(secure);
	secure.stop();
	assert.deepEqual(dialled, ["wss://home/ws", "wss://d/ws", "wss://home/ws", "wss://d/ws", "wss://home/ws"]);

	// Nor back to it, once it was left for https.
	dialled.length = 0;
	const plain = new Link({ url: "http://home", dial });
	plain.start();
	sockets.at(-1).onopen();
	plain.setNodes(["https://d", "http://e"]);
	fell(plain);
	sockets.at(-1).onopen();
	for (let i = 0; i < 3; i++) fell(plain);
	plain.setNodes(announced);
	for (let i = 0; i < 3; i++) fell(plain);
	plain.stop();
	assert.deepEqual(dialled, ["ws://home/ws", ...Array(7).fill("wss://d/ws")]);
});

test("stopped and started again it goes on where it was", async () => {
	const client = await joined();
	assert.equal(client.stop(), true);
	assert.equal(client.stop(), false);
	assert.equal(cluster.sockets.size, 0);
	cluster.say("lobby", "meanwhile");
	client.say("lobby", "mine");
	client.start();
	await until(() => client.pending("lobby").length === 0, "it is said");
	assert.deepEqual(client.log.joined[1].messages.map(({ text }) => text), ["meanwhile"]);
});

test("why there is no connection is asked, and told with the state", async () => {
	for (const { id } of cluster.nodes) cluster.ill.set(id, "dead");
	const client = cluster.client({ reach: async () => "refused" });
	clients.push(client);
	client.start();
	await until(() => client.log.state.at(-1).why === "refused", "it is told");
	assert.equal(client.log.state.at(-1).state, "offline");
	cluster.ill.clear();
	await until(() => client.log.state.at(-1).state === "online", "it is let in");
});

/** @param {number} left in milliseconds */
const jwt = (left, sub = "u") => `e30.${btoa(JSON.stringify({ sub, exp: (Date.now() + left) / 1000 }))}.x`;

test("a JWT that ends is renewed by a fresh one, if there is one", async () => {
	let auth = jwt(1500, "first");
	const identity = { ...memory(), load: () => ({ token: "", name: "", auth }) };
	const client = await joined({ identity });
	assert.equal(cluster.commands("hello").length, 1);
	auth = jwt(3600_000, "second");
	await until(() => cluster.commands("hello").length === 2, "it is renewed");
	assert.equal(cluster.commands("hello")[1].auth, auth);
	assert.deepEqual([cluster.dials.length, client.log.joined.length], [1, 1]);
});

test("a list of rooms is got page by page", async () => {
	const client = await joined();
	cluster.answer = ({ type, after = "0" }) => {
		if (type !== "rooms") return undefined;
		return { type: "rooms", rooms: [{ room: `r${after}`, count: 0, last: 1 }], next: String(Number(after) + 1) };
	};
	assert.deepEqual((await client.listRooms(3)).map(({ room }) => room), ["r0", "r1", "r2"]);
	assert.equal((await client.listRooms()).length, 10);
});
