import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Check, Tally } from "../assets/cluster/check.js";
import { Cluster, until } from "./fakes.mjs";

const counts = ({ sent, delivered, lost, doubled }) => ({ sent, delivered, lost, doubled });

/** A tally of three in a room whose newest entry is the fifth. */
function ofThree() {
	const tally = new Tally();
	for (const who of ["a", "b", "c"]) tally.enter(who, "1005-5");
	return tally;
}

const entry = (seq, key = "") => ({ id: `${1000 + seq}-${seq}`, key });

test("what all saw once is sent and delivered, and nothing else", () => {
	const tally = ofThree();
	tally.say("k", 0);
	tally.see("a", entry(6, "k"));
	tally.acknowledge("k", "1006-6");
	for (const who of ["b", "c"]) tally.see(who, entry(6, "k"));
	assert.deepEqual(counts(tally), { sent: 1, delivered: 3, lost: 0, doubled: 0 });
	assert.equal(tally.open(), 0);
});

test("an acknowledged message that somebody went past is lost there, once", () => {
	const tally = ofThree();
	tally.say("k", 0);
	tally.acknowledge("k", "1006-6");
	for (const who of ["a", "b"]) tally.see(who, entry(6, "k"));
	assert.equal(tally.lost, 0, "nobody knows yet what c will get");
	assert.equal(tally.open(), 1);
	for (const seq of [7, 8]) for (const who of ["a", "b", "c"]) tally.see(who, entry(seq));
	assert.deepEqual(counts(tally), { sent: 1, delivered: 2, lost: 1, doubled: 0 });
	assert.equal(tally.open(), 0);
});

test("it counts as lost too where it was passed before it was acknowledged", () => {
	const seen = ofThree();
	seen.say("k", 0);
	seen.see("a", entry(6, "k"));
	seen.see("c", entry(7));
	assert.equal(seen.lost, 0, "without an acknowledgement nothing was promised");
	seen.acknowledge("k", "1006-6");
	assert.equal(seen.lost, 1);

	const unseen = ofThree();
	unseen.say("k", 0);
	for (const who of ["a", "b", "c"]) unseen.see(who, entry(7));
	unseen.acknowledge("k", "1006-6");
	assert.deepEqual(counts(unseen), { sent: 1, delivered: 0, lost: 3, doubled: 0 });
});

test("who came after it was said need not see it", () => {
	const tally = ofThree();
	tally.say("k", 0);
	tally.enter("d", "1005-5");
	tally.acknowledge("k", "1006-6");
	for (const who of ["a", "b", "c"]) tally.see(who, entry(6, "k"));
	tally.see("d", entry(7));
	assert.deepEqual(counts(tally), { sent: 1, delivered: 3, lost: 0, doubled: 0 });
	assert.equal(tally.open(), 0);
});

test("the same key under two ids is a double, and so is an id that comes again", () => {
	const tally = ofThree();
	tally.say("k", 0);
	tally.see("a", entry(6, "k"));
	tally.see("a", entry(7, "k"));
	assert.equal(tally.doubled, 1);
	tally.see("b", entry(8, "of another"));
	tally.see("b", entry(8, "of another"));
	assert.equal(tally.doubled, 2);
});

test("a room that began anew has lost what was acknowledged and not seen", () => {
	const tally = ofThree();
	tally.say("k", 0);
	tally.acknowledge("k", "1006-6");
	tally.see("a", entry(6, "k"));
	for (const who of ["a", "b", "c"]) tally.restart(who);
	assert.equal(tally.lost, 2);
	tally.say("l", 0);
	tally.see("a", entry(1, "l"));
	assert.deepEqual(counts(tally), { sent: 1, delivered: 2, lost: 2, doubled: 0 });
});

test("it forgets what all have seen, and nothing that is open", () => {
	const tally = ofThree();
	tally.say("open", 0);
	for (let i = 1; i <= 5000; i++) {
		tally.say(`k${i}`, i);
		tally.acknowledge(`k${i}`, entry(5 + i).id);
		for (const who of ["a", "b", "c"]) tally.see(who, entry(5 + i, `k${i}`));
	}
	assert.equal(tally.open(0), 1);
	// What it forgot it can't know for a double of the key; its id still is.
	const forgotten = tally.doubled;
	tally.see("a", entry(6000, "k1"));
	assert.equal(tally.doubled, forgotten);
	tally.see("a", entry(6001, "k5000"));
	assert.equal(tally.doubled, forgotten + 1);
	assert.deepEqual(counts(tally), { sent: 5000, delivered: 15_000, lost: 0, doubled: 1 });
});

let check;
let clients = [];
afterEach(() => {
	check?.talk(false);
	for (const client of clients) client.stop();
	clients = [];
});

/** A check of a cluster that talks. */
async function talking(cluster) {
	check = new Check("demo", (url) => clients[clients.push(cluster.client({ url })) - 1]);
	check.moves = [];
	check.addEventListener("move", (e) => check.moves.push(e.detail));
	check.at(cluster.nodes);
	check.talk(true);
	await until(() => cluster.nodes.every(({ id }) => check.count(id) === 1), "one is at each node");
	await until(() => check.tally.delivered > 3, "all hear each other");
	return check;
}

test("a killed node loses and doubles nothing, and its client goes on at another", async () => {
	const cluster = new Cluster();
	const { tally, moves } = await talking(cluster);
	cluster.fell("node-2", "dead");
	const [move] = await until(() => moves.length > 0 && moves, "somebody moved");
	assert.equal(move.from, "node-2");
	assert.notEqual(move.to, "node-2");
	const before = tally.sent;
	await until(() => tally.sent > before + 3 && tally.open(move.at) === 0, "all that was said before has come");
	assert.equal(tally.lost, 0);
	assert.equal(tally.doubled, 0);
	assert.equal(check.count(move.to), 2);
});

test("a client that leaves a node before the connection is lost has moved too", async () => {
	const cluster = new Cluster();
	const { moves } = await talking(cluster);
	const nodes = cluster.nodes.filter(({ id }) => id !== "node-2");
	for (const socket of cluster.sockets) if (socket.node === "node-2") socket.push({ type: "status", broker: "down", nodes });
	const [{ from, after }] = await until(() => moves.length > 0 && moves, "somebody moved");
	assert.deepEqual([from, after], ["node-2", 0]);
});

test("what a node swallows after it acknowledged it is seen to be lost", async () => {
	const cluster = new Cluster();
	const { tally } = await talking(cluster);
	let swallowed = false;
	cluster.answer = (command, socket) => {
		if (command.type !== "send" || swallowed) return undefined;
		swallowed = true;
		const log = cluster.room("demo");
		const seq = log.next++; // a place in the log for what nobody is given
		socket.push({ type: "sent", ref: command.ref, room: "demo", key: command.key, id: `${1000 + seq}-${seq}`, time: 0, duplicate: false });
		return null;
	};
	await until(() => tally.lost === 3, "all three went past it");
	assert.equal(tally.doubled, 0);
});

test("a message with a key of its own goes out under it", async () => {
	const cluster = new Cluster();
	await talking(cluster);
	const node = await until(() => check.say("Look", "trace-1"), "somebody is free to say it");
	await until(() => cluster.room("demo").entries.some(({ key, text }) => key === "trace-1" && text === "Look"), "it is in the log");
	assert.ok(cluster.nodes.some(({ id }) => id === node));
});

test("while it does not talk nothing is sent, and its clients stay", async () => {
	const cluster = new Cluster();
	await talking(cluster);
	check.talk(false);
	await until(() => check.tally.open() === 0, "what was on its way has come");
	const { sent } = check.tally;
	await new Promise((resolve) => setTimeout(resolve, 1200)); // a turn of each
	assert.equal(check.tally.sent, sent);
	assert.equal(check.count("node-1"), 1);
});
