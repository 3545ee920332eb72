import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Outbox } from "../assets/store/outbox.js";
import { bytesOf } from "../assets/net/wire.js";
import { Cluster, until } from "./fakes.mjs";

let cluster;
let clients;

beforeEach(() => {
	cluster = new Cluster();
	clients = [];
});
afterEach(() => clients.forEach((client) => client.stop()));

async function joined(options, rooms = ["lobby"]) {
	const client = cluster.client(options);
	clients.push(client);
	for (const room of rooms) client.join(room);
	client.start();
	await until(() => client.log.joined.length >= rooms.length, "the rooms are joined");
	return client;
}

const texts = (room = "lobby") => cluster.room(room).entries.map(({ text }) => text);
const failed = (client, room = "lobby") => client.pending(room).map(({ text, code }) => [text.slice(0, 5), code]);

test("a text over the limit is refused before it is sent, and what follows goes out", async () => {
	const client = await joined();
	const { failed: words, code } = client.say("lobby", "é".repeat(2001));
	assert.deepEqual([words, code], ["the text has 4002 bytes: 4000 at most", "too_long"]);
	client.say("lobby", "é".repeat(2000));
	client.say("lobby", "hi");
	await until(() => texts().length === 2, "the others are said");
	client.edit("lobby", cluster.room("lobby").entries[1].id, "x".repeat(40_000));
	await until(() => client.pending("lobby").length === 2, "the others are acknowledged");
	assert.deepEqual(failed(client), [["ééééé", "too_long"], ["xxxxx", "too_long"]]);
	assert.deepEqual([cluster.commands("send").length, cluster.commands("edit").length, cluster.dials.length], [2, 0, 1]);
});

test("what was written before the limit was known is judged by it", async () => {
	const client = cluster.client();
	clients.push(client);
	client.say("lobby", "x".repeat(4001));
	client.say("lobby", "hi");
	assert.deepEqual(client.pending("lobby").map(({ failed }) => failed), ["", ""]);
	client.start();
	await until(() => texts().length === 1 && client.pending("lobby").length === 1, "the other is said and acknowledged");
	assert.deepEqual(failed(client), [["xxxxx", "too_long"]]);
});

test("half a surrogate pair becomes a replacement character, wherever it is", async () => {
	const client = await joined();
	cluster.answer = (command) => (command.type === "rename" ? { type: "renamed", user: { id: "u-me", name: command.name } } : undefined);
	client.say("lobby", "🙂🙂".slice(0, 3));
	await until(() => texts().length === 1, "it is said");
	client.edit("lobby", cluster.room("lobby").entries[0].id, "\udc00b");
	client.react("lobby", cluster.room("lobby").entries[0].id, "\ud83d", true);
	await client.rename("a\ud800");
	await until(() => client.pending("lobby").length === 0, "all is said");
	assert.deepEqual(cluster.room("lobby").entries.map(({ text, emoji }) => emoji ?? text), ["🙂\ufffd", "\ufffdb", "\ufffd"]);
	assert.equal(cluster.commands("rename")[0].name, "a\ufffd");
	assert.ok(cluster.heard.every((command) => JSON.stringify(command).isWellFormed?.() ?? true));
});

test("no command is larger than a frame may be: it is refused here, and the connection stays", async () => {
	const client = await joined();
	const huge = "x".repeat(30_000);
	await assert.rejects(client.rename(huge), { code: "too_long" });
	await assert.rejects(client.history("lobby", huge, 50), { code: "too_long" });
	client.join(huge);
	client.typing(huge);
	client.react("lobby", huge, "👍", true);
	client.remove("lobby", huge);
	client.say("lobby", "hi", huge);
	client.say("lobby", "hello");
	await until(() => texts().includes("hello") && client.pending("lobby").length === 3, "what follows is said");
	await until(() => client.log.refused.length === 1, "the room is refused");
	assert.equal(client.log.refused[0].refusal.code, "too_long");
	assert.deepEqual(client.pending("lobby").map(({ code }) => code), ["too_long", "too_long", "too_long"]);
	assert.equal(cluster.dials.length, 1);
	assert.ok(cluster.heard.every((command) => bytesOf(JSON.stringify(command)) < 28_096));
});

for (const code of [1009, 1007, 1003]) {
	test(`what a connection was closed for with ${code} fails, alone, and is not sent again`, async () => {
		const client = await joined();
		let closed = 0;
		cluster.answer = ({ type, text }, socket) => {
			if (type !== "send" || text !== "bad") return undefined;
			closed++;
			setImmediate(() => socket.end(code, ""));
			return null;
		};
		client.say("lobby", "good");
		client.say("lobby", "bad");
		client.say("lobby", "better");
		await until(() => client.pending("lobby").length === 1 && texts().length === 2, "the others are said");
		assert.deepEqual([texts(), client.pending("lobby").map(({ text }) => text), closed], [["good", "better"], ["bad"], 1]);
		assert.notEqual(client.pending("lobby")[0].failed, "");
	});
}

test("of sends to several rooms the last one is to blame, or the largest where it was too large", async () => {
	const client = await joined({}, ["a", "b"]);
	let small = 0;
	cluster.answer = ({ type, text }, socket) => {
		if (type !== "send") return undefined;
		if (text === "bad") setImmediate(() => socket.end(1007, ""));
		if (text === "small" && !small++) setImmediate(() => socket.end(1009, ""));
		return null;
	};
	client.say("a", "good");
	client.say("b", "bad");
	await until(() => client.pending("b")[0].failed, "one failed");
	assert.equal(client.pending("a")[0].failed, "");
	client.cancel(client.pending("b")[0].key);
	client.cancel(client.pending("a")[0].key);
	await until(() => client.log.state.at(-1).state === "online", "it is back");
	await until(() => client.log.joined.length >= 4, "the rooms are joined again");
	client.say("a", "x".repeat(3000));
	client.say("b", "small");
	await until(() => client.pending("a")[0].failed, "the large one failed");
	assert.equal(client.pending("b")[0].failed, "");
});

test("a hello that can't be read is not said for ever", async () => {
	cluster.answer = ({ type }, socket) => {
		if (type === "hello") setImmediate(() => socket.end(1009, ""));
		return null;
	};
	const client = cluster.client();
	clients.push(client);
	client.start();
	await until(() => client.log.state.at(-1)?.state === "ask", "it asks");
	assert.equal(cluster.commands("hello").length, 1);
});

test("an error that names only the room, or nothing, fails what is under way there", async () => {
	for (const named of [{ ref: undefined }, { ref: undefined, room: "lobby" }]) {
		cluster = new Cluster();
		const client = await joined();
		cluster.answer = ({ type, text }) =>
			type === "send" && text === "bad" ? { type: "error", code: "bad_json", message: "no JSON", ...named } : undefined;
		client.say("lobby", "bad");
		client.say("lobby", "good");
		await until(() => texts().length === 1 && client.pending("lobby").length === 1, "the other is said");
		assert.deepEqual(client.pending("lobby").map(({ text, failed }) => [text, failed]), [["bad", "no JSON"]]);
	}
});

test("an error that may be about one of several fails the one that gets it each time", async () => {
	const client = await joined({ sending: { answerWithin: 30, retryAfter: 5, longestRetry: 10 } }, ["a", "b"]);
	const slow = [];
	cluster.answer = (command, socket) => {
		if (command.type !== "send") return undefined;
		if (command.text === "bad") return { type: "error", code: "bad_json", message: "no JSON", ref: undefined };
		slow.push(() => socket.push({ ...socket.obey(command), ref: command.ref }));
		return null;
	};
	client.say("a", "good");
	client.say("b", "bad");
	await until(() => slow.length > 0, "the good one came");
	setTimeout(() => slow[0](), 10); // its answer is late, and not lost
	await until(() => client.pending("b")[0].failed && client.pending("a").length === 0, "one failed, the other is said");
	assert.deepEqual([texts("a"), texts("b")], [["good"], []]);
});

test("an error about what is no send fails none", async () => {
	const client = await joined();
	let answer;
	cluster.answer = (command, socket) => {
		if (command.type === "typing") return { type: "error", code: "unknown_type", message: "no" };
		if (command.type !== "send") return undefined;
		answer = () => socket.push({ ...socket.obey(command), ref: command.ref });
		return null;
	};
	client.say("lobby", "hello");
	client.typing("lobby");
	await until(() => cluster.commands("typing").length === 1 && answer, "both came");
	await new Promise((resolve) => setTimeout(resolve, 20));
	answer();
	await until(() => client.pending("lobby").length === 0, "it is said");
});

test("coming back whole does not begin the time anew after which a send is given up", async () => {
	const client = await joined({ sending: { answerWithin: 20, stalledAfter: 1000, certainFor: 100, retryAfter: 5, longestRetry: 10 } });
	cluster.say("lobby", "before");
	cluster.answer = ({ type, text }) => (type === "send" && text === "bad" ? null : undefined);
	client.say("lobby", "bad");
	client.say("lobby", "good");
	const again = setInterval(() => cluster.fell(client.node.id, ""), 35);
	await until(() => texts().includes("good"), "the other is said");
	clearInterval(again);
	assert.match(client.pending("lobby")[0].failed, /ten minutes without an answer/);
});

test("a new guest says nothing twice that the old one may have said", async () => {
	cluster.say("lobby", "before");
	const client = await joined();
	await until(() => client.log.joined.length === 1, "it is joined");
	// Taken, but nobody hears of it; then the node restarts, and the token holds no more.
	cluster.answer = (command, socket) => {
		if (command.type !== "send") return undefined;
		if (command.text !== "lost") socket.obey(command);
		setImmediate(() => socket.end(1006, ""));
		return null;
	};
	client.say("lobby", "taken");
	await until(() => cluster.commands("send").length === 1, "it is under way");
	renew();
	await until(() => client.log.joined.length === 2 && client.pending("lobby").length === 0, "it is found");
	assert.deepEqual([client.user.id, texts()], ["u-new1", ["before", "taken"]]);

	// Not taken: recovery says so, and it goes out.
	cluster.answer = (command, socket) => {
		if (command.type !== "send") return undefined;
		setImmediate(() => socket.end(1006, ""));
		return null;
	};
	client.say("lobby", "lost");
	await until(() => cluster.commands("send").length === 2, "it is under way");
	renew();
	await until(() => client.pending("lobby").length === 0, "it is said");
	assert.deepEqual(texts(), ["before", "taken", "lost"]);

	// Nobody can tell: its author is asked.
	cluster.answer = (command, socket) => {
		if (command.type !== "send") return undefined;
		setImmediate(() => socket.end(1006, ""));
		return null;
	};
	client.say("lobby", "unknown");
	await until(() => cluster.commands("send").length === 4, "it is under way");
	cluster.room("lobby").entries = [];
	cluster.say("lobby", "much later");
	renew();
	await until(() => client.pending("lobby")[0]?.failed, "it is not said by itself");
	assert.match(client.pending("lobby")[0].failed, /made you a new guest/);
	client.say("lobby", "next");
	await until(() => texts().at(-1) === "next", "what follows is");
});

let renewals = 0;
function renew() {
	const id = `u-new${++renewals}`;
	cluster.answer = (command, socket) => {
		if (command.type !== "hello") return undefined;
		const welcome = socket.obey(command);
		socket.user = { id, name: command.name ?? "guest-2" };
		return { ...welcome, user: socket.user, token: id, renewed: true };
	};
}

test("what an earlier page had under way as another guest is not said twice either", async () => {
	const old = (key, room) => ({ key, room, text: "old", written: 1, tried: Date.now(), by: "u-old", failed: "" });
	cluster.say("other", "old", { key: "k", user: { id: "u-old", name: "Old" } });
	const client = await joined({ outbox: new Outbox({ load: () => [old("k", "other"), old("l", "third")], save: () => true }) });
	await until(() => client.pending("other").length === 0 && client.pending("third")[0].failed, "one is found, the other asked about");
	assert.equal(cluster.commands("send").length, 0);
});

test("a room that one is banned from is tried again, and what was written there is refused where it can be seen", async () => {
	let banned = true;
	cluster.answer = ({ type, room }) =>
		banned && type === "join" ? { type: "error", code: "forbidden", message: "you are banned here: rude", room, retry_after: 5 } : undefined;
	const client = cluster.client();
	clients.push(client);
	client.join("lobby");
	client.say("lobby", "let me in");
	client.start();
	await until(() => client.log.refused.length > 1, "it is tried again");
	const [pending] = client.pending("lobby");
	assert.deepEqual([pending.text, pending.failed], ["let me in", "you are banned here: rude"]);
	banned = false;
	await until(() => client.log.joined.length === 1, "it is joined");
	assert.deepEqual(texts(), [], "nothing that was refused goes out by itself");
	client.retry(pending.key);
	await until(() => texts().length === 1, "it is said");
});

test("who leaves a room that they may not join does not try it again", async () => {
	let asked = 0;
	cluster.answer = ({ type, room }) =>
		type === "join" && room === "out" ? (asked++, { type: "error", code: "forbidden", message: "no", room, retry_after: 5 }) : undefined;
	const client = await joined({}, ["lobby"]);
	client.join("out");
	await until(() => asked > 1, "it is tried again");
	client.leave("out");
	const before = asked;
	client.join("other");
	await until(() => client.log.joined.length === 2, "another room is joined");
	assert.ok(asked <= before + 1, "no more than what was on its way");
	assert.deepEqual(client.rooms, ["lobby", "other"]);
});
