import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./fakes.mjs";

const kept = new Map([["chat.recent", JSON.stringify(["r", "old", "older"])], ["chat.read", JSON.stringify([["old", "1001-1"]])]]);
globalThis.document ??= { hidden: false };
globalThis.localStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
const { Chat } = await import("../assets/model/chat.js");
const { NodeNumbers } = await import("../assets/model/nodenumbers.js");

class FakeClient extends EventTarget {
	rooms = [];
	limits = { rooms: 100 };
	user = { id: "me", name: "Me" };
	nodes = [];
	listRooms = async () => [];
	pending = () => [];
	leave(room) {
		this.rooms = this.rooms.filter((one) => one !== room);
	}
	tell(name, detail) {
		this.dispatchEvent(new CustomEvent(name, { detail }));
	}
	join(room) {
		if (!this.rooms.includes(room)) this.rooms.push(room);
	}
	arrive(room, messages) {
		const detail = { asked: room, room, messages, members: [], count: 1, again: false, gap: false, restarted: false };
		this.tell("joined", detail);
	}
}
const entry = (room, seq) => ({ id: `${1000 + seq}-${seq}`, room, key: `${seq}`, user: { id: "a", name: "Ann" }, text: "hi", time: 1, node: "n" });

test("the rooms of one's list are followed, and what came there since one read it is unread", () => {
	const client = new FakeClient();
	const chat = new Chat(client, new NodeNumbers([], () => {}));
	chat.open("r");
	assert.deepEqual(client.rooms, ["r"], "first the room that is looked at");
	client.arrive("r", []);
	assert.deepEqual(client.rooms, ["r", "old", "older"]);
	client.arrive("old", [entry("old", 1), entry("old", 2), entry("old", 3)]);
	client.arrive("older", [entry("older", 1)]);
	const unread = () => Object.fromEntries(chat.rows().own.map((row) => [row.room, row.unread]));
	assert.deepEqual(unread(), { r: 0, old: 2, older: 0 });
	chat.open("old");
	assert.deepEqual([unread().old, chat.log.newFrom, chat.log.landing], [2, 2, "opened"], "nothing was seen yet");
	chat.log.landing = ""; // the view shows the first unread one
	chat.reading.seen("1002-2");
	assert.equal(unread().old, 1);
	chat.reading.attended = () => false;
	chat.reading.read();
	assert.equal(unread().old, 1, "nobody looks");
	chat.reading.attended = () => true;
	chat.reading.read();
	assert.deepEqual(unread(), { r: 0, old: 0, older: 0 });
	chat.attention.save();
	assert.equal(JSON.parse(kept.get("chat.read")).at(-1)[1], "1003-3");
});

/** A chat with these rooms in its list, the last one looked at. */
function visiting(...rooms) {
	for (const key of ["chat.recent", "chat.read", "chat.muted"]) kept.set(key, "[]"); // merely cleared, the page's memory would stay
	const client = new FakeClient();
	const chat = new Chat(client, new NodeNumbers([], () => {}));
	for (const room of rooms) {
		chat.open(room);
		client.arrive(room, []);
	}
	return { chat, client, own: () => chat.rows().own.map(({ room }) => room) };
}

test("a room that is left is out of the list, and the one visited before is looked at", () => {
	const { chat, client, own } = visiting("a", "b", "c");
	chat.part("c");
	assert.equal(chat.current, "b");
	assert.deepEqual(own(), ["a", "b"]);
	assert.deepEqual(client.rooms, ["a", "b"]);
	assert.deepEqual(JSON.parse(kept.get("chat.recent")), ["b", "a"]);
	chat.part("a");
	assert.equal(chat.current, "b", "another one than that which is looked at");
	chat.part("b");
	assert.equal(chat.current, "lobby");
	chat.part("lobby");
	assert.equal(chat.current, "lobby");
	assert.ok(!chat.canPart("lobby"), "one is always somewhere");
	assert.deepEqual(client.rooms, ["lobby"]);
	chat.open("a");
	assert.deepEqual(own(), ["a", "lobby"], "one may come back");
});

test("what another tab left is left here too, unless it is looked at or only fell off the list", () => {
	const { chat, client, own } = visiting("a", "b", "c");
	const elsewhere = (...rooms) => (kept.set("chat.recent", JSON.stringify(rooms)), chat.listedElsewhere());
	assert.deepEqual(own(), ["a", "b", "c"]);
	elsewhere("c", "b");
	assert.deepEqual([own(), client.rooms], [["b", "c"], ["b", "c"]]);
	elsewhere("d", "c");
	assert.deepEqual(client.rooms, ["b", "c"], "as many as before: none was left");
	elsewhere("d");
	assert.deepEqual(own(), ["b", "c", "d"], "the one that is looked at stays");
});

test("of a muted room only mentions count, in all tabs", () => {
	const { chat, client } = visiting("a", "b");
	chat.mute("a", true);
	const say = (seq, text) => client.tell("message", { ...entry("a", seq), text });
	const a = () => chat.rows().own.find(({ room }) => room === "a");
	say(1, "hi");
	assert.deepEqual([a().muted, a().unread, a().mentions], [true, 0, 0]);
	say(2, "@me hi");
	assert.deepEqual([a().unread, a().mentions], [1, 1]);
	kept.set("chat.muted", "[]"); // as another tab does
	assert.deepEqual([a().muted, a().unread, a().mentions], [false, 2, 1]);
	for (let i = 0; i < 150; i++) chat.mute(`r${i}`, true);
	assert.equal(JSON.parse(kept.get("chat.muted")).length, 100);
});

test("unread messages that a join did not bring are got, count, and are not read before they are known", async () => {
	for (const key of ["chat.recent", "chat.muted"]) kept.set(key, "[]");
	kept.set("chat.read", JSON.stringify([["r", "1001-1"], ["far", "1001-1"]]));
	const client = new FakeClient();
	const asked = [];
	const texts = new Map([[7, "@Me, please"]]);
	const part = (room, from, to) => Array.from({ length: to - from + 1 }, (_, i) => ({ ...entry(room, from + i), text: texts.get(from + i) ?? "hi" }));
	let fails = 1;
	let give;
	const held = new Promise((resolve) => (give = resolve));
	client.history = async (room, before, limit) => {
		asked.push(room);
		await held;
		if (fails-- > 0) throw new Error("not now");
		const to = Number(before.split("-")[1]) - 1;
		return { messages: part(room, Math.max(1, to - limit + 1), to), more: to > limit };
	};
	const chat = new Chat(client, new NodeNumbers([], () => {}));
	chat.reading.looking = () => false;
	chat.open("r");
	client.tell("state", { state: "online" });
	client.arrive("r", part("r", 51, 100));
	const row = (room) => chat.rows().own.find((one) => one.room === room);
	assert.deepEqual([row("r").unread, row("r").more, row("r").mentions], [50, true, 0]);
	chat.reading.seen("1060-60");
	assert.equal(row("r").unread, 50, "what is before it was not seen");
	give();
	await until(() => !row("r").more, "the rest");
	assert.deepEqual([row("r").unread, row("r").mentions, chat.log.newFrom], [99, 1, 2]);
	chat.reading.seen("1060-60");
	assert.equal(row("r").unread, 99, "the first unread one was not shown yet");
	chat.log.landing = ""; // now it is
	chat.reading.seen("1010-10");
	assert.deepEqual([row("r").unread, row("r").mentions], [90, 0]);
	asked.length = 0;
	chat.open("far");
	client.arrive("far", part("far", 4951, 5000));
	await until(() => row("far").unread === 1050, "five pages");
	await new Promise((resolve) => setImmediate(resolve));
	assert.deepEqual([asked.length, row("far").more], [5, true]);
});
