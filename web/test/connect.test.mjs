import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { connect } from "../client.js";
import { Cluster, fakeDial, until } from "./fakes.mjs";

let cluster;
let chats;

beforeEach(() => {
	cluster = new Cluster();
	chats = [];
});
afterEach(() => chats.forEach((chat) => chat.close()));

/** A chat with what it told, by event. */
async function open(options) {
	const chat = await connect({ url: "http://node-1", dial: fakeDial(cluster), storage: false, ...options });
	chats.push(chat);
	chat.told = [];
	for (const name of ["state", "joined", "message"]) chat.on(name, (detail) => chat.told.push([name, detail]));
	return chat;
}

const texts = (chat) => chat.told.filter(([name]) => name === "message").map(([, { text }]) => text);

test("what the room holds and what comes is told as messages, each once and in order", async () => {
	cluster.say("lobby", "before");
	const chat = await open({ room: "lobby", name: "Ann" });
	chat.say("hello"); // there is no connection yet
	await until(() => texts(chat).length === 2, "both are told");
	assert.deepEqual(texts(chat), ["before", "hello"]);
	assert.deepEqual([chat.user.name, chat.state.state, chat.pending().length], ["Ann", "online", 0]);
});

test("when its node dies it goes on at another, and nothing is told twice", async () => {
	const chat = await open({ room: "lobby" });
	chat.say("one");
	await until(() => texts(chat).length === 1, "it is said");
	cluster.fell("node-1", "dead");
	cluster.say("lobby", "meanwhile");
	chat.say("two");
	await until(() => texts(chat).length === 3, "all is told");
	assert.deepEqual(texts(chat), ["one", "meanwhile", "two"]);
	assert.equal(chat.node.id, "node-2");
});

test("where storage is forbidden it works and says that it keeps nothing", async () => {
	const chat = await open({ room: "lobby", storage: undefined }); // node has no localStorage
	chat.say("hello");
	await until(() => texts(chat).length === 1, "it is said");
	assert.equal(chat.kept, false);
});

test("closed, it leaves what waits to who connects next, and touches it no more", async (t) => {
	const kept = { local: {}, session: {} };
	for (const [name, of] of Object.entries(kept)) {
		Object.defineProperties(of, {
			getItem: { value: (key) => of[key] ?? null },
			setItem: { value: (key, value) => (of[key] = value) },
			removeItem: { value: (key) => delete of[key] },
		});
		globalThis[`${name}Storage`] = of;
		t.after(() => delete globalThis[`${name}Storage`]);
	}
	for (const { id } of cluster.nodes) cluster.ill.set(id, "hanging");
	const first = await open({ room: "lobby", storage: "mine." });
	first.say("wait for me");
	assert.equal(first.kept, true);
	first.close();
	cluster.ill.clear();
	const next = await open({ room: "lobby", storage: "mine." });
	assert.deepEqual(next.pending().map(({ text }) => text), ["wait for me"]);
	first.say("too late");
	assert.equal(first.kept, false);
	await until(() => texts(next).length === 1, "it is said");
	assert.deepEqual(texts(next), ["wait for me"]);
	assert.ok(Object.keys({ ...kept.local, ...kept.session }).every((key) => key.startsWith("mine.")));
});

test("when the browser says that the net is gone or back, it looks at once, and closed no more", async (t) => {
	const page = new EventTarget();
	globalThis.addEventListener = page.addEventListener.bind(page);
	t.after(() => delete globalThis.addEventListener);
	const chat = await open({ room: "lobby" });
	await until(() => chat.state.state === "online", "it is there");
	page.dispatchEvent(new Event("offline"));
	assert.equal(cluster.commands("ping").length, 1);
	cluster.nodes.forEach(({ id }) => cluster.ill.set(id, "dead"));
	cluster.fell("node-1", "dead");
	await until(() => chat.state.state === "offline" && chat.state.until > 0, "it waits for the next try");
	const dials = cluster.dials.length;
	page.dispatchEvent(new Event("online"));
	assert.equal(cluster.dials.length, dials + 1);
	chat.close();
	page.dispatchEvent(new Event("online"));
	assert.equal(cluster.dials.length, dials + 1);
});

test("where nodes demand a JWT it brings the present one, and asks when that is out of date", async () => {
	cluster.answer = ({ type, auth }, socket) => {
		if (type !== "hello" || auth === "good") return undefined;
		setImmediate(() => setImmediate(() => socket.end(4001, "bring another")));
		return { type: "error", code: "unauthorized", message: "this node wants a valid JWT" };
	};
	let jwt = "old";
	const chat = await open({ room: "lobby", auth: () => jwt });
	await until(() => chat.state.state === "ask", "it asks");
	assert.equal(chat.state.reason, "this node wants a valid JWT");
	chat.say("hello");
	jwt = "good";
	chat.hurry();
	await until(() => texts(chat).length === 1, "it is let in and says what waited");
});

test("several rooms, the first of them where none is named", async () => {
	const chat = await open({ rooms: ["One", "two"] });
	await until(() => chat.rooms.length === 2 && chat.rooms.includes("one"), "both are joined");
	chat.say("a");
	chat.say("b", "two");
	await until(() => texts(chat).length === 2, "both are said");
	assert.deepEqual(["one", "two"].map((room) => cluster.room(room).entries[0].text), ["a", "b"]);
});

test("a listener can stop listening, and an event that isn't there is refused", async () => {
	const chat = await open({ room: "lobby" });
	const heard = [];
	const stop = chat.on("message", ({ text }) => heard.push(text));
	chat.say("one");
	await until(() => heard.length === 1, "it is heard");
	stop();
	chat.say("two");
	await until(() => texts(chat).length === 2, "the other hears on");
	assert.deepEqual(heard, ["one"]);
	assert.throws(() => chat.on("mesage", () => {}), /no event "mesage"/);
});

test("closed, it connects no more", async () => {
	const chat = await open({ room: "lobby" });
	await until(() => chat.state.state === "online", "it is there");
	const dials = cluster.dials.length;
	chat.close();
	cluster.fell("node-1", "dead");
	await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
	assert.deepEqual([cluster.sockets.size, cluster.dials.length], [0, dials]);
});
