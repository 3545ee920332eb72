import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Chat } from "../assets/model/chat.js";
import { NodeNumbers } from "../assets/model/nodenumbers.js";
import { Refused, seqOf } from "../assets/net/wire.js";
import { until } from "./fakes.mjs";

globalThis.document ??= { hidden: false };

const ANN = { id: "a", name: "Ann" };
const id = (seq) => `${1000 + seq}-${seq}`;
const entry = (seq) => ({ id: id(seq), room: "r", key: `k${seq}`, user: ANN, text: `text ${seq}`, time: 1000 + seq, node: "node-1" });
const entries = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => entry(from + i));

/** What chat.js needs of a client, with a room whose log holds 1 to `last`. */
class FakeClient extends EventTarget {
	rooms = [];
	limits = { rooms: 100 };
	user = { id: "me", name: "Me" };
	nodes = [];
	asked = [];
	refuse = () => null;
	last = 5000;
	first = 1;

	join(room) {
		this.rooms.push(room);
	}
	leave() {}
	pending = () => [];

	async history(room, before, limit) {
		this.asked.push({ room, before: seqOf(before), limit, at: Date.now() });
		const refusal = this.refuse();
		if (refusal) throw new Refused(refusal);
		const to = seqOf(before) - 1;
		const from = Math.max(this.first, to - limit + 1);
		return { messages: entries(from, to), more: from > this.first };
	}

	tell(name, detail) {
		this.dispatchEvent(new CustomEvent(name, { detail }));
	}

	arrive() {
		this.tell("state", { state: "online" });
		const messages = entries(this.last - 49, this.last);
		this.tell("joined", { asked: "r", room: "r", messages, members: [], count: 1, again: false, gap: false, restarted: false });
	}
	listRooms = async () => [];
}

let client;
let chat;

beforeEach(() => {
	client = new FakeClient();
	chat = new Chat(client, new NodeNumbers([], () => {}));
	chat.open("r");
});

test("a message that a link leads to is looked for back to where it is", async () => {
	chat.past.find(id(4321)); // before the room is joined, as when the page opens
	assert.equal(chat.past.seeking, "looking");
	client.arrive();
	await until(() => chat.past.found, "it is found");
	assert.deepEqual([chat.past.found, chat.past.seeking], [id(4321), ""]);
	assert.deepEqual(client.asked.map(({ before }) => before), [4951, 4751, 4551, 4351]);
	assert.equal(chat.log.get(id(4321)).text, "text 4321");
});

test("a message that is there already is found without asking", async () => {
	client.arrive();
	await chat.past.find(id(4990));
	assert.deepEqual([chat.past.found, client.asked.length], [id(4990), 0]);
});

test("what the log no longer holds is said to be gone, as soon as that is certain", async () => {
	client.arrive();
	await chat.past.find(`999-${4700}`); // of another log
	assert.deepEqual([chat.past.found, chat.past.seeking, client.asked.length], ["", "gone", 2]);
	client.first = 4600;
	await chat.past.find(id(4000));
	assert.equal(chat.past.seeking, "gone");
	client.tell("joined", { asked: "r", room: "r", messages: [], members: [], count: 1, again: true, gap: false, restarted: false });
	assert.equal(client.asked.length, 3);
});

test("what is further back than can be kept is not looked for without end", async () => {
	client.last = 50_000;
	client.arrive();
	await chat.past.find(id(1));
	assert.equal(chat.past.seeking, "far");
	assert.ok(chat.log.entries.length < 13_000, `${chat.log.entries.length} are kept`);
});

test("a node that asks for patience gets it, and another room ends the search", async () => {
	client.arrive();
	client.refuse = () => ({ code: "rate_limited", message: "slower", retry_after: 1200 });
	chat.past.find(id(1));
	await until(() => client.asked.length === 2, "it is asked again");
	assert.ok(client.asked[1].at - client.asked[0].at >= 1190, "too early");
	chat.open("other");
	assert.equal(chat.past.seeking, "");
	client.refuse = () => null;
	await until(() => !chat.past.fetching, "the last answer is in");
	assert.equal(client.asked.length, 2);
});

test("a search goes further back for as long as that is wanted, fifty pages at most, and waits when asked to", async () => {
	client.last = 50_000;
	client.arrive();
	await chat.past.back(() => client.asked.length < 3);
	assert.equal(client.asked.length, 3);
	await chat.past.back(() => true);
	assert.equal(client.asked.length, 53);
	assert.ok(chat.past.more);
	client.asked = [];
	client.refuse = () => ({ code: "rate_limited", message: "slower", retry_after: 1200 });
	const over = chat.past.back(() => client.asked.length < 2);
	await over;
	assert.ok(client.asked[1].at - client.asked[0].at >= 1190, "too early");
	client.refuse = () => null;
	await chat.past.back(() => true);
	assert.ok(!chat.past.more, "as far as can be kept");
	assert.ok(chat.log.entries.length < 13_000, `${chat.log.entries.length} are kept`);
	client.tell("state", { state: "offline" });
	client.asked = [];
	await chat.past.back(() => true);
	assert.equal(client.asked.length, 0);
});

const gaps = () => [...chat.log.gaps].map(([seq, { open }]) => [seq, open]);
const messages = () => chat.log.entries.map(({ id }) => seqOf(id));

/** Is away until the room's log ends at `last`, which is more than is recovered. */
function missed(last) {
	client.last = last;
	const newest = entries(last - 49, last);
	client.tell("joined", { asked: "r", room: "r", messages: newest, members: [], count: 1, again: true, gap: true, restarted: false });
}

test("what was missed while away is got from history, and nothing is said to be lost", async () => {
	client.arrive();
	missed(7000);
	assert.deepEqual(gaps(), [[6951, true]]);
	await until(() => !chat.log.hole, "the hole is filled");
	assert.deepEqual(gaps(), []);
	assert.deepEqual(messages().slice(49), Array.from({ length: 2001 }, (_, i) => 5000 + i));
});

test("what the log has lost meanwhile is said to be gone, where it was", async () => {
	client.arrive();
	client.first = 6500;
	missed(7000);
	await until(() => !chat.log.hole, "all that is there is got");
	assert.deepEqual(gaps(), [[6500, false]]);
	assert.deepEqual(messages().slice(48, 52), [4999, 5000, 6500, 6501]);
});

test("a second gap while the first is open leaves no hole either", async () => {
	client.arrive();
	client.refuse = () => ({ code: "unavailable", message: "not now" });
	missed(7000);
	missed(8000);
	client.refuse = () => null;
	await until(() => !chat.log.hole, "both are filled");
	assert.deepEqual(gaps(), []);
	assert.equal(messages().length, 3050);
});

test("a hole that is larger than what is kept makes what was before it older messages", async () => {
	client.arrive();
	missed(50_000);
	await until(() => !chat.log.hole, "it is given up");
	const [first] = messages();
	assert.deepEqual([gaps(), chat.log.more, seqOf(chat.log.oldest)], [[], true, first]);
	assert.ok(first > 35_000 && messages().length < 13_300, `${first}, ${messages().length}`);
});
