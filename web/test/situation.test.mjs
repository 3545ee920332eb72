import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document ??= { hidden: false };
globalThis.localStorage ??= { getItem: () => null, setItem: () => {} };
globalThis.location ??= { origin: "http://n1", hostname: "n1" };
const { Chat } = await import("../assets/model/chat.js");
const { NodeNumbers } = await import("../assets/model/nodenumbers.js");
const { wordsFor } = await import("../assets/view/words.js");

const node = (id) => ({ id, url: `http://${id}` });

/** A chat in a room on node-1 of some nodes, with a clock of its own. */
function open(t, nodes = ["node-1", "node-2"]) {
	t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_764_000_000_000 });
	t.mock.method(performance, "now", () => Date.now());
	const client = Object.assign(new EventTarget(), {
		rooms: [], limits: { rooms: 100 }, user: { id: "me", name: "Me" }, node: node("node-1"), nodes: nodes.map(node), kept: true,
		listRooms: async () => [], pending: () => [], loading: () => false, join: () => {}, leave: () => {},
		starts: 0, start: () => client.starts++,
	});
	const tell = (name, detail) => client.dispatchEvent(new CustomEvent(name, { detail }));
	const chat = new Chat(client, new NodeNumbers([], () => {}), true);
	chat.open("r");
	let last;
	const welcome = (id) => {
		tell("welcome", { node: node(id), nodes: client.nodes, from: last && last !== id ? node(last) : undefined });
		last = id;
		tell("state", { state: "online" });
		tell("joined", { asked: "r", room: "r", messages: [], members: [], count: 2, again: true, gap: false, restarted: false });
	};
	welcome("node-1");
	return { tell, welcome, chat, client, says: () => wordsFor(chat.situation()), pass: (ms) => t.mock.timers.tick(ms) };
}

test("another node is spoken of only where one was without any for two seconds", (t) => {
	const { tell, welcome, says, pass } = open(t);
	tell("state", { state: "connecting" });
	pass(1900);
	tell("state", { state: "offline", until: 0 });
	const { late, since } = says();
	assert.equal(since + late - Date.now(), 100, "what is shown later");
	welcome("node-2");
	assert.equal(says(), null);
	tell("state", { state: "connecting" });
	pass(2100);
	welcome("node-1");
	assert.equal(says().text, "Node 2 went away. You are on node 1 now; nothing was lost.");
	pass(5000);
	assert.equal(says(), null);
});

test("the servers can't reach each other where all that is known says so, and else one can't", (t) => {
	const one = "This server can't reach the others right now. What you write is kept.";
	const all = "The servers can't reach each other right now. What you write is kept.";
	const { tell, says, pass } = open(t);
	const down = (nodes) => tell("status", { broker: "down", nodes });
	down();
	assert.equal(says().text, one);
	down([node("node-2")]);
	pass(10_000);
	assert.equal(says().text, one);
	tell("status", { broker: "up" });
	assert.equal(says(), null);
	down();
	pass(6900);
	assert.equal(says().text, one);
	pass(200);
	assert.equal(says().text, all);
	tell("status", { broker: "up" });
	down([]);
	assert.equal(says().text, all);
});

test("a server that knows no other is not one of many", (t) => {
	const { tell, says } = open(t, ["node-1"]);
	tell("status", { broker: "down" });
	assert.match(says().text, /^The servers can't reach each other/);
});

test("no node went away where the page did, or its device's net", (t) => {
	const { tell, welcome, says, pass, chat } = open(t);
	chat.leaves();
	tell("state", { state: "connecting" });
	pass(60_000);
	welcome("node-2");
	assert.equal(says(), null);
	tell("state", { state: "connecting" });
	pass(3000);
	welcome("node-1");
	assert.match(says().text, /^Node 2 went away/, "the next one did");
});

test("who was banned comes back without a reload, after bounded pauses; who was kicked does not", (t) => {
	const { tell, client, chat, says, pass } = open(t);
	const out = (action, until) => {
		tell("moderated", { action, user: { id: "me", name: "Me" }, by: { id: "m", name: "Mo" }, until, reason: "rude" });
		tell("state", { state: "kicked", reason: "rude" });
	};
	out("kick");
	pass(60_000);
	assert.equal(client.starts, 0);
	assert.equal(chat.situation().closed?.code, "barred", "nothing can be written there");
	out("ban");
	pass(11_001);
	assert.equal(client.starts, 1);
	out("ban", Date.now() + 2000);
	pass(3001);
	assert.equal(client.starts, 2, "when the ban ends");
	tell("state", { state: "ask", reason: "you are banned here: rude", refusal: { code: "forbidden", message: "you are banned here: rude", retry_after: 3_600_000 } });
	assert.match(says().text, /^You can't come in: you are banned here: rude, until .*\.$/);
	pass(11_001);
	assert.equal(client.starts, 3);
	tell("state", { state: "ask", reason: "no", refusal: { code: "unauthorized", message: "no" } });
	pass(60_000);
	assert.equal(client.starts, 3, "another JWT is needed");
});
