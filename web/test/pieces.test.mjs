import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Calls } from "../assets/net/calls.js";
import { Cluster, until } from "./fakes.mjs";

let cluster;
let clients;

beforeEach(() => {
	cluster = new Cluster();
	clients = [];
});
afterEach(() => clients.forEach((client) => client.stop()));

function begin(options) {
	const client = cluster.client(options);
	clients.push(client);
	client.loads = [];
	for (const name of ["standing", "loaded"]) client.addEventListener(name, ({ detail }) => client.loads.push([name, detail.id ?? detail.room]));
	client.join("lobby");
	client.start();
	return client;
}

const seqs = (entries) => entries.map(({ id }) => Number(id.split("-")[1]));
const told = (client) => seqs([...client.log.joined.flatMap(({ messages }) => messages), ...client.log.message]).sort((a, b) => a - b);

/** Joins answer with two entries, and then with so many more as events. */
function inPieces(more) {
	cluster.answer = (command, socket) => {
		if (command.type !== "join") return undefined;
		const joined = socket.join(command);
		const rest = joined.messages.splice(2);
		return [{ ...joined, more: rest.length > 0 }, ...rest.slice(0, more)];
	};
}

test("a join in pieces moves the cursor with each, and what came is not asked for again", async () => {
	for (let i = 0; i < 9; i++) cluster.say("lobby", `m${i}`);
	inPieces(3);
	const client = begin();
	await until(() => client.log.message.length === 3, "some of it came");
	assert.equal(client.loading("lobby"), true);
	cluster.fell("node-1", "dead");
	await until(() => told(client).length === 9, "all of it came");
	await until(() => !client.loading("lobby"), "it knows that it is all");
	assert.deepEqual(told(client), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
	assert.deepEqual(cluster.commands("join").map(({ after }) => after), [undefined, "1005-5"]);
	assert.deepEqual(client.log.joined.map(({ again, gap }) => [again, gap]), [[false, false], [true, false]]);
});

test("what is said while the rest is coming goes out, and is not taken for lost", async () => {
	for (let i = 0; i < 5; i++) cluster.say("lobby", `m${i}`);
	inPieces(0);
	const client = begin({ sending: { answerWithin: 60_000, stalledAfter: 10 } });
	await until(() => client.log.joined.length === 1, "the first piece came");
	cluster.answer = ({ type }) => (type === "send" ? null : undefined);
	client.say("lobby", "hello");
	await until(() => cluster.commands("send").length === 1, "it went out");
	await new Promise((resolve) => setTimeout(resolve, 40));
	assert.deepEqual(cluster.dials, ["node-1"], "its answer may be behind what is coming");
});

test("messages as they stand that were passed on before are told apart from new ones", async () => {
	for (let i = 0; i < 4; i++) cluster.say("lobby", `m${i}`);
	const client = begin();
	await until(() => client.log.joined.length === 1, "it is joined");
	cluster.say("lobby", "m4");
	cluster.say("lobby", "", { kind: "react", target: "1001-1", emoji: "👍", on: true });
	cluster.answer = (command, socket) => {
		if (command.type !== "join") return undefined;
		const joined = { ...socket.join(command), recovered: false, more: true };
		const all = cluster.room("lobby").entries.filter(({ kind }) => !kind);
		return [{ ...joined, messages: all.slice(0, 1) }, ...all.slice(1)];
	};
	await until(() => client.log.message.length === 2, "they came");
	cluster.fell("node-1", "dead");
	await until(() => client.loads.length === 4, "the rest came");
	assert.deepEqual(client.loads.map(([name, id]) => name + id), ["standing1002-2", "standing1003-3", "standing1004-4", "standing1005-5"]);
	const { messages, all, gap } = client.log.joined[1];
	assert.deepEqual([messages.length, all.length, gap], [0, 1, true]);
	cluster.say("lobby", "m5");
	await until(() => client.loads.at(-1)[0] === "loaded", "a newer one ends it");
	assert.deepEqual(seqs(client.log.message), [5, 6, 7]);
});

test("an empty room's head is a cursor: what came meanwhile, or a gap, is told", async () => {
	for (const entries of [1, 0]) {
		cluster = new Cluster();
		const client = begin();
		await until(() => client.log.joined.length === 1, "it is joined");
		cluster.answer = (command, socket) => (command.type === "join" ? { ...socket.join(command), recovered: entries > 0 } : undefined);
		cluster.fell("node-1", "dead");
		cluster.say("lobby", "one");
		await until(() => client.log.joined.length === 2, "it is joined again");
		assert.equal(cluster.commands("join").at(-1).after, "0-0");
		const { again, gap, restarted, messages } = client.log.joined[1];
		assert.deepEqual([again, gap, restarted, messages.length], [true, entries === 0, false, 1]);
	}
});

test("an answer is waited for as long as something comes, but not for ever", async (t) => {
	t.mock.timers.enable({ apis: ["setTimeout"] });
	let at = 1000;
	t.mock.method(performance, "now", () => at);
	const pass = (ms) => ((at += ms), t.mock.timers.tick(ms));
	const calls = new Calls(() => {}, 8000);
	const codes = [];
	calls.make({}, () => codes.push("done"), ({ code }) => codes.push(code));
	for (let i = 0; i < 6; i++) {
		pass(5000);
		calls.answer({ type: "message" });
	}
	assert.deepEqual(codes, []);
	pass(8000);
	assert.deepEqual(codes, ["late"]);
	calls.make({}, () => codes.push("done"), ({ code }) => codes.push(code));
	for (let i = 0; i < 100; i++) {
		pass(1000);
		calls.answer({ type: "message" });
	}
	assert.deepEqual(codes, ["late", "late"]);
});
