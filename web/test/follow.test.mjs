import assert from "node:assert/strict";
import { test } from "node:test";

const kept = new Map([["chat.recent", JSON.stringify(["r", "old", "older"])], ["chat.read", JSON.stringify([["old", "1001-1"]])]]);
globalThis.document ??= { hidden: false };
globalThis.localStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
const { Chat } = await import("../assets/chat.js");
const { NodeNumbers } = await import("../assets/nodenumbers.js");

class FakeClient extends EventTarget {
	rooms = [];
	limits = { rooms: 100 };
	user = { id: "me", name: "Me" };
	nodes = [];
	pending = () => [];
	listRooms = async () => [];
	join(room) {
		if (!this.rooms.includes(room)) this.rooms.push(room);
	}
	arrive(room, messages) {
		const detail = { asked: room, room, messages, members: [], count: 1, again: false, gap: false, restarted: false };
		this.dispatchEvent(new CustomEvent("joined", { detail }));
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
	assert.deepEqual(unread(), { r: 0, old: 0, older: 0 });
	assert.equal(chat.log.newFrom, 2);
	chat.attention.save();
	assert.equal(JSON.parse(kept.get("chat.read")).at(-1)[1], "1003-3");
});
