import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeNumbers } from "../assets/model/nodenumbers.js";
import { RoomLog } from "../assets/model/roomlog.js";
import { Layout } from "../assets/view/layout.js";
import { wordsFor } from "../assets/view/words.js";
import { bytesOf, seqOf } from "../assets/net/wire.js";

const NOON = new Date(2026, 10, 24, 12).getTime();

const entry = (seq, more = {}) => ({
	id: `${NOON + seq}-${seq}`, room: "r", key: `k${seq}`, user: { id: "u", name: "U" }, text: `text ${seq}`, time: NOON + seq * 1000,
	node: "node-1", ...more,
});
const items = (log, pending = [], me = null) => {
	const layout = new Layout(log, pending, me);
	return Array.from({ length: layout.count }, (_, i) => layout.item(i));
};
const kinds = (log) => items(log).map(({ lines }) => lines.map(({ kind }) => kind).join(" "));
const seqs = (log) => log.entries.map(({ id }) => seqOf(id));

test("entries stand by seq, each once, however they come", () => {
	const log = new RoomLog("r");
	log.add([entry(3), entry(1)]);
	log.add([entry(2), entry(3), entry(1)]);
	assert.deepEqual(seqs(log), [1, 2, 3]);
});

test("the oldest are forgotten and can be had again", () => {
	const log = new RoomLog("r");
	log.add([1, 2, 3, 4].map((seq) => entry(seq)));
	log.trim(2);
	assert.deepEqual([seqs(log), log.more], [[3, 4], true]);
	log.addOlder([entry(1), entry(2)], false);
	assert.deepEqual([seqs(log), log.more], [[1, 2, 3, 4], false]);
});

test("a gap stands before the first entry after it", () => {
	const log = new RoomLog("r");
	const arrival = { asked: "r", room: "r", members: [], count: 0, again: false, gap: false, restarted: false };
	log.arrive({ ...arrival, messages: [entry(1)] });
	log.arrive({ ...arrival, messages: [entry(900)], again: true, gap: true });
	assert.deepEqual(kinds(log), ["day", "gap"]);
	log.arrive({ ...arrival, messages: [entry(2)], again: true, restarted: true });
	assert.deepEqual(kinds(log), ["restart day"]);
});

test("one person's messages within five minutes are one group", () => {
	const log = new RoomLog("r");
	const other = { id: "v", name: "V" };
	log.add([entry(1), entry(2), entry(3, { node: "node-2" }), entry(4, { user: other }), entry(5, { user: other, time: NOON + 400e3 })]);
	assert.deepEqual(items(log).map(({ first }) => first), [true, false, false, true, true]);
	assert.deepEqual(items(log).map(({ last }) => last), [false, false, true, true, true]);
	assert.deepEqual(items(log).map(({ crossed }) => crossed), [true, false, true, true, true]);
});

test("a pending message comes last and becomes the entry with its key", () => {
	const log = new RoomLog("r");
	log.add([entry(1)]);
	const pending = { key: "k2", room: "r", text: "t", written: NOON, tried: 0, failed: "" };
	assert.equal(items(log, [pending]).at(-1).key, "k2");
	log.add([entry(2)]);
	assert.equal(items(log).at(-1).was, "k2");
});

test("the line above what is new moves on when its message is deleted", () => {
	const log = new RoomLog("r");
	log.add([entry(1), entry(2), entry(3)]);
	log.newFrom = 2;
	assert.deepEqual(kinds(log), ["day", "new", ""]);
	log.add([entry(4, { kind: "delete", target: entry(2).id })]);
	assert.deepEqual(kinds(log), ["day", "new"]);
});

test("what one says of oneself stands apart from what one says", () => {
	const log = new RoomLog("r");
	log.add([entry(1), entry(2, { text: "/me waves" }), entry(3), entry(4, { text: "/me" })]);
	assert.deepEqual(items(log).map(({ action, first }) => [action, first]), [[false, true], [true, false], [false, true], [false, false]]);
});

test("nodes keep their numbers when others die", () => {
	const kept = [];
	const numbers = new NodeNumbers([], (ids) => kept.push(ids));
	numbers.see(["b", "c", "a"]);
	assert.equal(numbers.see(["c"]), false);
	assert.deepEqual(["a", "b", "c", "d"].map((id) => numbers.of(id)), [1, 2, 3, 0]);
	assert.deepEqual(kept, [["a", "b", "c"]]);
});

test("nodes with numbers of their own have those", () => {
	const numbers = new NodeNumbers([], () => {});
	numbers.see(["node-3", "node-10"]);
	assert.deepEqual(["node-3", "node-10", "node-2"].map((id) => numbers.of(id)), [3, 10, 2]);
	assert.equal(numbers.colour("node-10"), "node-2");
	numbers.see(["elsewhere-3"]);
	assert.deepEqual(["elsewhere-3", "node-3", "node-10"].map((id) => numbers.of(id)), [1, 2, 3]);
});

test("a text's length is that of its bytes", () => {
	assert.equal(bytesOf("aé€😀"), 1 + 2 + 3 + 4);
});

test("the bar says the gravest thing, word for word", () => {
	const calm = { state: { state: "online" }, broker: "up", moved: null, moderated: null, lostName: "", alone: false, elsewhere: null };
	const words = (change) => wordsFor({ ...calm, ...change })?.text ?? null;
	assert.equal(words({}), null);
	assert.equal(words({ alone: true }), "You are the only one here.");
	assert.equal(words({ moved: { from: 2, to: 3, whole: true }, alone: true }), "Node 2 went away. You are on node 3 now; nothing was lost.");
	assert.equal(words({ broker: "down", alone: true }), "The servers can't reach each other right now. What you write is kept.");
	assert.equal(words({ broker: "lost", alone: true }), "This server can't reach the others right now. What you write is kept.");
	assert.equal(words({ state: { state: "connecting" }, broker: "down" }), "Connecting…");
	assert.equal(words({ loading: true, alone: true }), "Loading what you missed…");
	assert.equal(words({ moved: { from: 0, to: 0, whole: true }, alone: true }), "You are the only one here.", "where nodes are not shown");
	const offline = (why) => words({ state: { state: "offline", why }, address: { origin: "https://c.example", hostname: "c.example" } });
	assert.equal(offline(""), "Offline. What you write is kept and goes out when you are back.");
	assert.match(offline("refused"), /does not let this page connect.*--origin https:\/\/c\.example, or with --host c\.example\./);
	assert.match(offline("blocked"), /WebSockets don't get to it.*upgrades on \/ws\./);
	assert.match(words({ state: { state: "ask", reason: "this node wants a valid JWT in auth", refusal: { code: "unauthorized", message: "" } } }), /^You can't come in without signing in\. Open this chat from /);
	const moderated = { action: "ban", by: { id: "m", name: "Mo" }, reason: "spam" };
	assert.equal(words({ state: { state: "kicked", reason: "" }, moderated }), "Mo banned you: spam.");
});
