import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Outbox } from "../assets/store/outbox.js";
import { KEY_KEPT_MS } from "../assets/net/wire.js";
import { Cluster, memory, until } from "./fakes.mjs";

let cluster;
let clients = [];

beforeEach(() => (cluster = new Cluster()));
afterEach(() => {
	for (const client of clients) client.stop();
	clients = [];
});

/** A client that joined the lobby, if it can. */
async function joined(options) {
	const client = cluster.client(options);
	clients.push(client);
	client.join("lobby");
	client.start();
	await until(() => client.log.joined.length > 0, "the room is joined");
	return client;
}

const refusal = (code, more) => ({ type: "error", code, message: code, ...more });

test("a message is in the log once and off the outbox", async () => {
	const outbox = new Outbox();
	const client = await joined({ outbox });
	client.say("lobby", "hello");
	await until(() => outbox.size === 0 && client.log.message.length === 1, "it is said");
	assert.equal(client.log.message[0].text, "hello");
	assert.equal(cluster.commands("send").length, 1);
});

test("what was said while away goes out, in order, after the return", async () => {
	const client = await joined();
	for (const { id } of cluster.nodes) cluster.fell(id, "dead");
	await until(() => client.log.state.at(-1).state === "offline", "it knows that it is offline");
	for (const text of ["one", "two", "three"]) client.say("lobby", text);
	cluster.ill.clear();
	await until(() => client.pending("lobby").length === 0, "all is said");
	assert.deepEqual(cluster.room("lobby").entries.map(({ text }) => text), ["one", "two", "three"]);
});

test("a send without an answer is sent again under its key through another node", async () => {
	const client = await joined();
	let lost = false;
	cluster.answer = (command, socket) => {
		if (command.type !== "send" || lost) return undefined;
		lost = true;
		socket.obey(command); // it is taken, but nobody hears of it
		cluster.fell("node-1", "dead");
		return null;
	};
	client.say("lobby", "hello");
	await until(() => client.pending("lobby").length === 0, "it is settled");
	assert.deepEqual(cluster.room("lobby").entries.map(({ text }) => text), ["hello"]);
	assert.equal(client.node.id, "node-2");
	assert.equal(client.log.welcome.at(-1).from.id, "node-1");
});

test("a send that a living node leaves unanswered is sent again", async () => {
	const client = await joined({ sending: { answerWithin: 20 } });
	let times = 0;
	cluster.answer = (command) => (command.type === "send" && ++times === 1 ? null : undefined);
	client.say("lobby", "hello");
	await until(() => client.pending("lobby").length === 0, "it is said");
	const [first, second] = cluster.commands("send");
	assert.equal(first.key, second.key);
});

test("a room is recovered after the last id, each entry once", async () => {
	const client = await joined();
	cluster.say("lobby", "one");
	await until(() => client.log.message.length === 1, "it is heard");
	const last = client.log.message[0].id;
	cluster.fell("node-1", "dead");
	cluster.say("lobby", "two");
	await until(() => client.log.joined.length === 2, "the room is joined again");
	assert.equal(cluster.commands("join").at(-1).after, last);
	const { messages, again, gap } = client.log.joined[1];
	assert.deepEqual([messages.map(({ text }) => text), again, gap], [["two"], true, false]);
	const twice = { ...messages[0] };
	for (const socket of cluster.sockets) socket.push(twice);
	cluster.say("lobby", "three");
	await until(() => client.log.message.at(-1).text === "three", "the next is heard");
	assert.equal(client.log.message.filter(({ text }) => text === "two").length, 0);
});

test("what the log no longer holds is told as a gap", async () => {
	const client = await joined();
	cluster.say("lobby", "one");
	await until(() => client.log.message.length === 1, "it is heard");
	cluster.room("lobby").entries = [];
	cluster.fell("node-1", "dead");
	cluster.say("lobby", "nine");
	await until(() => client.log.joined.length === 2, "the room is joined again");
	const { gap, restarted, messages } = client.log.joined[1];
	assert.deepEqual([gap, restarted, messages.length], [true, false, 1]);
});

test("a log that began anew while away is told as restarted", async () => {
	const client = await joined();
	for (const text of ["one", "two"]) cluster.say("lobby", text);
	await until(() => client.log.message.length === 2, "they are heard");
	cluster.rooms.clear();
	cluster.fell("node-1", "dead");
	cluster.say("lobby", "new");
	await until(() => client.log.joined.length === 2, "the room is joined again");
	const { restarted, gap, messages } = client.log.joined[1];
	assert.deepEqual([restarted, gap, messages.map(({ text }) => text)], [true, false, ["new"]]);
});

test("after a reset the room is joined without a cursor", async () => {
	const client = await joined();
	cluster.say("lobby", "one");
	await until(() => client.log.message.length === 1, "it is heard");
	for (const socket of cluster.sockets) socket.push({ type: "reset", room: "lobby", head: "" });
	await until(() => client.log.joined.length === 2, "the room is joined again");
	assert.equal(client.log.reset.length, 1);
	assert.equal("after" in cluster.commands("join").at(-1), false);
});

test("a token that does not hold is dropped, the name kept", async () => {
	cluster.answer = (command) => (command.type === "hello" && command.token === "old" ? refusal("unauthorized") : undefined);
	const identity = memory({ token: "old", name: "Ana" });
	const client = await joined({ identity });
	assert.equal(client.user.name, "Ana");
	assert.deepEqual(identity.load(), { token: "t-me", name: "Ana", user: "u-me" });
});

test("a name that is taken by now gives way to a guest's", async () => {
	cluster.answer = (command) => (command.type === "hello" && command.name ? refusal("name_taken") : undefined);
	const client = await joined({ identity: memory({ token: "t-me", name: "Ana" }) });
	assert.equal(client.user.name, "guest-1");
	assert.equal(client.log.welcome[0].lost.code, "name_taken");
	assert.equal(cluster.commands("hello").at(-1).token, "t-me");
});

test("a hello that the servers can't answer is said again", async () => {
	let times = 0;
	cluster.answer = (command) => (command.type === "hello" && ++times < 3 ? refusal("unavailable") : undefined);
	const client = await joined();
	assert.deepEqual(client.log.status.map(({ broker }) => broker), ["down", "down", "up"]);
});

test("a hello that one node can't answer for long is said to another", async () => {
	const client = await joined();
	cluster.answer = (command) => (command.type === "hello" && command.node === "node-2" ? refusal("unavailable") : undefined);
	cluster.fell("node-1", "dead");
	await until(() => client.node.id === "node-3", "it is on the third node");
});

test("a hello that is refused for good asks the user", async () => {
	cluster.answer = (command) => (command.type === "hello" ? refusal("unauthorized") : undefined);
	const client = cluster.client();
	clients.push(client);
	client.start();
	await until(() => client.log.state.at(-1)?.state === "ask", "it asks");
	cluster.answer = () => undefined;
	client.start();
	await until(() => client.log.state.at(-1)?.state === "online", "it is let in");
});

test("a frozen node is left for another", async () => {
	const client = await joined({ timing: { silence: 20, pongWithin: 20, tick: 5, firstRetry: 2 } });
	cluster.ill.set("node-1", "frozen");
	client.say("lobby", "hello");
	await until(() => client.pending("lobby").length === 0, "it is said elsewhere");
	assert.equal(client.node.id, "node-2");
});

test("a node that takes no connection is passed over", async () => {
	const client = await joined({ timing: { connectWithin: 200, firstRetry: 2 } });
	cluster.ill.set("node-2", "hanging");
	cluster.fell("node-1", "dead");
	await until(() => client.node.id === "node-3", "the third one is reached");
	assert.deepEqual(cluster.dials.slice(0, 3), ["node-1", "node-2", "node-3"]);
});

for (const [code, what, node] of [
	[1012, "draining", "node-2"],
	[1013, "full", "node-2"],
	[4008, "too slow", "node-1"],
	[4009, "abuse", "node-1"],
]) {
	test(`close code ${code} (${what}) leads to ${node}`, async () => {
		const client = await joined();
		cluster.fell("node-1", "", code);
		await until(() => client.log.joined.length === 2, "the room is joined again");
		assert.equal(client.node.id, node);
	});
}

test("who is kicked is told and stays out", async () => {
	const client = await joined();
	cluster.fell("node-1", "", 4003, "spam");
	await until(() => client.log.state.at(-1).state === "kicked", "it is told");
	assert.equal(client.log.state.at(-1).reason, "spam");
	assert.equal(cluster.dials.length, 1);
});

test("a hello that came too late is said on a new connection", async () => {
	const client = await joined();
	cluster.fell("node-1", "", 4001, "no hello in time");
	await until(() => client.log.joined.length === 2, "the room is joined again");
});

test("what is refused for its rate keeps its place before what follows", async () => {
	const client = await joined();
	let times = 0;
	cluster.answer = (command) =>
		command.type === "send" && ++times === 1 ? refusal("rate_limited", { key: command.key, retry_after: 15 }) : undefined;
	for (const text of ["one", "two"]) client.say("lobby", text);
	await until(() => client.pending("lobby").length === 0, "both are said");
	assert.deepEqual(cluster.room("lobby").entries.map(({ text }) => text), ["one", "two"]);
});

test("what is refused for good waits for its author, and goes out under its old key", async () => {
	const client = await joined();
	cluster.answer = (command) => (command.type === "send" ? refusal("locked", { key: command.key }) : undefined);
	client.say("lobby", "one");
	client.say("lobby", "two");
	await until(() => client.pending("lobby").every(({ failed }) => failed), "both failed");
	const [one, two] = client.pending("lobby");
	cluster.answer = () => undefined;
	client.cancel(one.key);
	client.retry(two.key);
	await until(() => client.pending("lobby").length === 0, "none is left");
	assert.deepEqual(cluster.room("lobby").entries.map(({ key }) => key), [two.key]);
});

test("what may have been said before its key was forgotten is not said by itself", async () => {
	const old = { key: "k", room: "other", text: "old", written: 1, tried: Date.now() - KEY_KEPT_MS, failed: "" };
	const client = await joined({ outbox: new Outbox({ load: () => [old], save: () => true }) });
	await until(() => client.pending("other")[0].failed, "its author is asked");
	assert.equal(cluster.commands("send").length, 0);
});

test("what is found in the log needs no sending", async () => {
	const user = { id: "u-me", name: "guest-1" };
	cluster.say("other", "old", { key: "k", user });
	const old = { key: "k", room: "other", text: "old", written: 1, tried: 1, failed: "" };
	const client = await joined({ outbox: new Outbox({ load: () => [old], save: () => true }) });
	await until(() => client.pending("other").length === 0, "it is settled");
	assert.equal(cluster.commands("send").length, 0);
});

test("a room is known by the name that the node gives it", async () => {
	const client = await joined();
	client.join("LoBBy2");
	await until(() => client.log.joined.length === 2, "the room is joined");
	const { asked, room } = client.log.joined[1];
	assert.deepEqual([asked, room], ["LoBBy2", "lobby2"]);
	client.say("lobby2", "hello");
	await until(() => client.pending("lobby2").length === 0, "it is said");
});

test("a name that can't be has its reason, and the old one stays", async () => {
	cluster.answer = (command) => (command.type === "rename" ? refusal("bad_name") : undefined);
	const identity = memory();
	const client = await joined({ identity });
	await assert.rejects(client.rename("\u202e"), { code: "bad_name" });
	assert.equal(identity.load().name, "");
});

/** A client in a room that holds one message of its own. */
async function withOwn() {
	const client = await joined();
	client.say("lobby", "hello");
	await until(() => client.log.message.length === 1, "it is said");
	return { client, target: client.log.message[0].id };
}

const brief = ({ kind, target, text, emoji, on }) => JSON.stringify([kind ?? "", target ?? "", text, emoji, on]);

test("edits, reactions, messages and deletions go out in the order in which they were made", async () => {
	const { client, target } = await withOwn();
	for (const { id } of cluster.nodes) cluster.fell(id, "dead");
	await until(() => client.log.state.at(-1).state === "offline", "it is offline");
	client.edit("lobby", target, "hello there");
	client.say("lobby", "more");
	client.react("lobby", target, "🎉", true);
	client.remove("lobby", target);
	assert.deepEqual(client.pending("lobby").map(({ kind }) => kind ?? ""), ["edit", "", "react", "delete"]);
	cluster.ill.clear();
	await until(() => client.pending("lobby").length === 0, "all is out");
	const wanted = [["edit", target, "hello there"], ["", "", "more"], ["react", target, "", "🎉", true], ["delete", target, ""]];
	const said = cluster.room("lobby").entries.map(brief);
	assert.deepEqual(said, wanted.map(([kind, target, text, emoji, on]) => brief({ kind, target, text, emoji, on })));
});

test("a reaction that waits is taken back by its opposite; one under way is followed by it", async () => {
	const { client, target } = await withOwn();
	cluster.answer = (command) => (command.type === "react" ? null : undefined);
	const first = client.react("lobby", target, "👍", true);
	assert.equal(client.react("lobby", target, "👍", true), first, "said once");
	client.react("lobby", target, "👍", false);
	assert.deepEqual(client.pending("lobby").map(({ on }) => on), [true, false]);
	client.react("lobby", target, "👍", true);
	assert.deepEqual(client.pending("lobby").map(({ on }) => on), [true]);
});

test("what waits can be cancelled, and what is behind it goes on", async () => {
	const client = await joined();
	cluster.answer = (command) => (command.text === "one" ? null : undefined);
	const { key } = client.say("lobby", "one");
	client.say("lobby", "two");
	client.cancel(key);
	await until(() => client.pending("lobby").length === 0, "the rest is said");
	assert.deepEqual(cluster.room("lobby").entries.map(({ text }) => text), ["two"]);
});

test("what is refused says why and can be taken back and said otherwise", async () => {
	const client = await joined();
	client.edit("lobby", "9-9", "no such");
	await until(() => client.pending("lobby")[0]?.failed, "it failed");
	assert.equal(client.pending("lobby")[0].failed, "there is no such message");
	client.cancel(client.pending("lobby")[0].key);
	client.say("lobby", "so then");
	await until(() => client.log.message.at(-1)?.text === "so then", "it is said");
});

test("an outbox is written down before anything is sent, and says when it can't be", async () => {
	let shelf = [];
	let room = true;
	const save = (list) => room && ((shelf = structuredClone(list)), true);
	const outbox = new Outbox({ load: () => [], save });
	const client = cluster.client({ outbox }); // never started: as if the page had crashed
	client.say("lobby", "one");
	assert.deepEqual(shelf.map(({ text }) => text), ["one"]);
	assert.equal(client.kept, true);
	room = false;
	client.say("lobby", "two");
	assert.equal(client.kept, false);
	assert.deepEqual(client.pending("lobby").map(({ text }) => text), ["one", "two"]);
});

test("what waits is bounded: one more comes back failed", () => {
	const outbox = new Outbox();
	while (!outbox.full) outbox.write("lobby", "x");
	const { size } = outbox;
	assert.match(outbox.write("lobby", "y").failed, /Too much/);
	assert.equal(outbox.size, size);
});

test("the same entry sent by two tabs is in the log once", async () => {
	const entry = () => ({ key: "k", room: "lobby", text: "once", written: 1, tried: 0, failed: "" });
	const tabs = [1, 2].map(() => cluster.client({ outbox: new Outbox({ load: () => [entry()], save: () => true }) }));
	clients.push(...tabs);
	for (const tab of tabs) tab.start();
	await until(() => tabs.every((tab) => tab.pending("lobby").length === 0), "both are done");
	assert.deepEqual(cluster.room("lobby").entries.map(({ text }) => text), ["once"]);
});

test("a node that doesn't know a command holds nothing up", async () => {
	const { client, target } = await withOwn();
	cluster.answer = (command) => (command.type === "edit" ? refusal("unknown_type") : undefined);
	client.edit("lobby", target, "hello there");
	client.say("lobby", "more");
	await until(() => client.pending("lobby").length === 1 && client.pending("lobby")[0].failed, "only the edit failed");
	assert.equal(client.log.message.at(-1).text, "more");
});

test("what was sent is told with its kind, even ahead of its place in the log", async () => {
	const { client, target } = await withOwn();
	cluster.answer = ({ type, room, key }) => (type === "react" ? { type: "sent", room, key, id: "1009-9", time: 1, duplicate: false } : undefined);
	const { key } = client.react("lobby", target, "👍", true);
	await until(() => client.log.sent.at(-1)?.key === key, "it is told");
	const { kind, target: about, emoji, on } = client.log.sent.at(-1);
	assert.deepEqual([kind, about, emoji, on, client.pending("lobby").length], ["react", target, "👍", true, 0]);
});

test("after a night without net all that was said goes out once, in order, also what was under way", async (t) => {
	const cluster = new Cluster();
	const { now } = Date;
	t.after(() => (Date.now = now));
	const client = cluster.client();
	t.after(() => client.stop());
	client.join("lobby");
	client.start();
	cluster.say("lobby", "before");
	await until(() => client.log.message.length + (client.log.joined[0]?.messages.length ?? 0) === 1, "it is there");
	cluster.answer = (command) => (command.type === "send" ? null : undefined);
	client.say("lobby", "one");
	await until(() => cluster.commands("send").length === 1, "it is under way");
	for (const { id } of cluster.nodes) cluster.fell(id, "dead");
	for (const text of ["two", "three"]) client.say("lobby", text);
	Date.now = () => now() + 8 * 3600_000;
	const dials = cluster.dials.length;
	await until(() => cluster.dials.length > dials + 10, "it goes on trying");
	cluster.answer = () => undefined;
	cluster.ill.clear();
	await until(() => client.pending("lobby").length === 0, "all is said");
	assert.deepEqual(cluster.room("lobby").entries.map(({ text }) => text), ["before", "one", "two", "three"]);
});
