import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Outbox } from "../assets/store/outbox.js";
import { RoomLog } from "../assets/model/roomlog.js";
import { Layout } from "../assets/view/layout.js";
import { Cluster, until } from "./fakes.mjs";

let cluster;
let clients;

beforeEach(() => {
	cluster = new Cluster();
	clients = [];
});
afterEach(() => clients.forEach((client) => client.stop()));

/** What an outbox keeps, as a reload finds it. */
function shelf(list = []) {
	const kept = { list };
	return { kept, load: () => structuredClone(kept.list), save: (all) => ((kept.list = structuredClone(all)), true) };
}

async function joined(options, rooms = ["lobby"]) {
	const client = cluster.client(options);
	clients.push(client);
	for (const room of rooms) client.join(room);
	client.start();
	await until(() => client.log.joined.length >= rooms.length, "the rooms are joined");
	return client;
}

const refuse = (code, ...types) => {
	cluster.answer = ({ type, room, key }) => (types.includes(type) ? { type: "error", code, message: "no", room, key } : undefined);
};
const left = () => cluster.commands("leave").map(({ room }) => room);
const waits = (client, room = "lobby") => client.pending(room).map(({ kind = "", failed }) => [kind, failed]);

test("a reaction to a message that is gone, and a deletion of it, are dropped; the text of an edit stays", async () => {
	const client = await joined();
	const gone = "1009-9";
	client.react("lobby", gone, "👍", true);
	client.remove("lobby", gone);
	client.edit("lobby", gone, "better");
	await until(() => cluster.commands("edit").length === 1 && client.pending("lobby").every(({ failed }) => failed), "all are answered");
	assert.deepEqual(waits(client).map(([kind]) => kind), ["edit"]);
});

test("what was refused about a message is dropped when the message is deleted", async () => {
	const { entry } = cluster.say("lobby", "hi");
	const client = await joined();
	refuse("muted", "react", "delete");
	client.react("lobby", entry.id, "👍", true);
	client.remove("lobby", entry.id);
	await until(() => client.pending("lobby").filter(({ failed }) => failed).length === 2, "both are refused");
	cluster.say("lobby", "", { kind: "delete", target: entry.id });
	await until(() => client.pending("lobby").length === 0, "both are dropped");
});

test("what an earlier version kept about messages that are gone is dropped", async () => {
	const old = { key: "k", room: "lobby", text: "", kind: "react", target: "1-1", emoji: "👍", on: true, written: 1, tried: 0, failed: "no", code: "not_found" };
	const client = await joined({ outbox: new Outbox(shelf([old])) });
	assert.deepEqual(client.pending("lobby"), []);
});

test("what was refused about a message that is not among those shown has a row of its own", () => {
	const log = new RoomLog("lobby");
	const one = { key: "k", room: "lobby", text: "", target: "1009-9", written: 1, tried: 0 };
	const react = { ...one, kind: "react", emoji: "👍", on: true };
	const layout = new Layout(log, [{ ...react, failed: "no" }, { ...one, key: "d", kind: "delete", failed: "no" }, react], { id: "u-me", name: "Ann" });
	assert.equal(layout.count, 2, "one that is on its way has none");
	assert.deepEqual([layout.item(0).text, layout.item(0).pending.failed], ["👍", "no"]);
});

test("a room with refused entries is left at once, and after a reload", async () => {
	refuse("muted", "send");
	const kept = shelf();
	const client = await joined({ outbox: new Outbox(kept) }, ["lobby", "other"]);
	client.say("other", "hi");
	await until(() => waits(client, "other").some(([, failed]) => failed), "it is refused");
	client.leave("other");
	assert.deepEqual([client.rooms, client.pending("other")], [["lobby"], []]);
	await until(() => left().includes("other"), "the node knows");
	client.stop();
	const again = await joined({ outbox: new Outbox(kept) });
	assert.deepEqual(again.rooms, ["lobby"]);
	assert.equal(cluster.commands("join").filter(({ room }) => room === "other").length, 1);
});

test("what waits for a room that is left goes out first, also after a reload, and then the room is left", async () => {
	const kept = shelf();
	const client = await joined({ outbox: new Outbox(kept) }, ["lobby", "other"]);
	refuse("unavailable", "send");
	client.say("other", "bye");
	client.leave("other");
	assert.deepEqual([client.rooms, client.pending("other").length], [["lobby"], 1]);
	cluster.say("other", "not for those who left");
	client.stop();
	const again = cluster.client({ outbox: new Outbox(kept) });
	clients.push(again);
	again.join("lobby");
	again.start();
	cluster.answer = () => undefined;
	await until(() => left().includes("other"), "it is left");
	assert.deepEqual(cluster.room("other").entries.map(({ text }) => text), ["not for those who left", "bye"]);
	assert.deepEqual(again.rooms, ["lobby"]);
	assert.deepEqual(again.log.joined.map(({ room }) => room), ["lobby"], "of a room that was left nothing is reported");
});

test("what is refused in a room that was left is dropped, and the room is left", async () => {
	const client = await joined({}, ["lobby", "other"]);
	refuse("unavailable", "send");
	client.say("other", "bye");
	client.leave("other");
	refuse("muted", "send");
	await until(() => left().includes("other"), "it is left");
	assert.deepEqual(client.pending("other"), []);
});

test("who returns to a room before what waited has gone out gets it as a whole", async () => {
	cluster.say("other", "before");
	const client = await joined({}, ["lobby", "other"]);
	refuse("unavailable", "send");
	client.say("other", "hi");
	client.leave("other");
	client.join("other");
	await until(() => client.log.joined.length === 3, "it is joined again");
	assert.deepEqual(client.log.joined[2].messages.map(({ text }) => text), ["before"]);
	cluster.answer = () => undefined;
	await until(() => client.pending("other").length === 0, "it is said");
	assert.deepEqual([left(), client.rooms.includes("other")], [[], true]);
});
