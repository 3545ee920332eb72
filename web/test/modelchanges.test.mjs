import assert from "node:assert/strict";
import { test } from "node:test";
import { Changes } from "../assets/model/changes.js";
import { RoomLog } from "../assets/model/roomlog.js";
import { Layout } from "../assets/view/layout.js";
import { namesOf } from "../assets/view/row.js";
import { foldEmoji, seqOf } from "../assets/net/wire.js";

const ANN = { id: "a", name: "Ann" };
const BOB = { id: "b", name: "Bob" };
const id = (seq) => `${1000 + seq}-${seq}`;
const entry = (seq, more = {}) => ({ id: id(seq), room: "r", key: `k${seq}`, user: ANN, text: `text ${seq}`, time: 1000 + seq, node: "node-1", ...more });
const edit = (seq, target, text) => entry(seq, { kind: "edit", target: id(target), text });
const erase = (seq, target) => entry(seq, { kind: "delete", target: id(target), text: "" });
const react = (seq, target, emoji, on = true, user = ANN) => entry(seq, { kind: "react", target: id(target), emoji, on, user, text: "" });
const shown = (log) => log.entries.map(({ id, text, edited, reactions = [] }) => [
	seqOf(id), text, edited ?? 0, reactions.map(({ emoji, users }) => emoji + users.map(({ name }) => name)).join(" "),
]);

/** Every order of a few things. */
function orders(things) {
	if (things.length < 2) return [things];
	return things.flatMap((one, i) => orders(things.filter((_, j) => j !== i)).map((rest) => [one, ...rest]));
}

test("a message stands as its changes make it, whatever the order in which they come, and twice", () => {
	const all = [entry(1), edit(2, 1, "better"), edit(3, 1, "best"), react(4, 1, "👍"), react(5, 1, "👍", false), react(6, 1, "🎉", true, BOB)];
	for (const order of orders(all)) {
		const log = new RoomLog("r");
		log.add(order);
		log.add([...order].reverse());
		assert.deepEqual(shown(log), [[1, "best", 1003, "🎉Bob"]]);
	}
});

test("a deleted message is gone, and what is said about it later is not kept", () => {
	for (const order of orders([entry(1), entry(2), edit(3, 1, "better"), erase(4, 1), react(5, 1, "👍")])) {
		const log = new RoomLog("r");
		log.add(order);
		assert.deepEqual(shown(log), [[2, "text 2", 0, ""]]);
		assert.equal(log.get(id(1)), undefined);
	}
});

test("a second reaction of the same user changes nothing", () => {
	const log = new RoomLog("r");
	log.add([entry(1), react(2, 1, "👍")]);
	const before = log.entries[0];
	log.add([react(3, 1, "👍")]);
	assert.equal(log.entries[0], before);
	assert.deepEqual(shown(log), [[1, "text 1", 0, "👍Ann"]]);
});

test("reactions stand in the order of their first use, and none is empty", () => {
	const log = new RoomLog("r");
	log.add([entry(1), react(2, 1, "🎉"), react(3, 1, "👍", true, BOB), react(4, 1, "🎉", true, BOB), react(5, 1, "👍"), react(6, 1, "👀"), react(7, 1, "👀", false)]);
	assert.deepEqual(shown(log), [[1, "text 1", 0, "🎉Ann,Bob 👍Bob,Ann"]]);
});

test("messages that were forgotten and come again are as they were", () => {
	const log = new RoomLog("r");
	log.add([entry(1), react(2, 1, "👍"), entry(3), entry(4), entry(5), edit(6, 1, "better")]);
	log.trim(2);
	assert.deepEqual([shown(log).length, log.oldest], [2, id(4)]);
	log.addOlder([entry(1), react(2, 1, "👍"), entry(3)], false);
	assert.deepEqual(shown(log)[0], [1, "better", 1006, "👍Ann"]);
	assert.equal(log.oldest, id(1));
});

test("older ones are asked for before the oldest entry, even if that is no message", () => {
	const log = new RoomLog("r");
	const arrival = { asked: "r", room: "r", members: [], count: 0, again: false, gap: false, restarted: false };
	log.arrive({ ...arrival, messages: [react(7, 1, "👍"), entry(8)] });
	assert.deepEqual([log.oldest, log.more], [id(7), true]);
	log.addOlder([react(5, 1, "👍"), react(6, 1, "👍")], true);
	assert.deepEqual([log.oldest, log.more, log.entries.length], [id(5), true, 1]);
});

test("changes are bounded: what is about the message named longest ago goes first", () => {
	const changes = new Changes(100);
	for (let seq = 1; seq < 1000; seq++) changes.take(react(seq, seq, "👍"));
	assert.ok(changes.size <= 100, `${changes.size}`);
	assert.equal(changes.fold(entry(1)).reactions, undefined);
	assert.equal(changes.fold(entry(999)).reactions.length, 1);
	for (let seq = 1; seq < 1000; seq++) changes.take(react(2000 + seq, 5000, "👍", true, { id: `u${seq}`, name: "U" }));
	assert.ok(changes.size <= 100, `${changes.size}`);
	changes.take(edit(4000, 6000, "x"));
	changes.forget(10_000);
	assert.equal(changes.size, 0);
});

const pending = (more) => ({ key: "p", room: "r", text: "", written: Date.now(), tried: 1, failed: "", ...more });

test("a change on its way is shown at once, and taken back when it is refused", () => {
	const log = new RoomLog("r");
	log.add([entry(1), react(2, 1, "👍", true, BOB)]);
	const item = (...changes) => new Layout(log, changes, ANN).item(0);
	const edited = pending({ kind: "edit", target: id(1), text: "better" });
	assert.deepEqual([item(edited).text, item(edited).waiting], ["better", true]);
	assert.deepEqual([item({ ...edited, failed: "locked" }).text, item({ ...edited, failed: "locked" }).waiting], ["text 1", false]);
	assert.equal(item(pending({ kind: "delete", target: id(1) })).waiting, true);
	const on = pending({ kind: "react", target: id(1), emoji: "👍", on: true });
	assert.deepEqual(item(on).reactions, [{ emoji: "👍", count: 2, names: ["Bob", "you"], mine: true, waiting: true }]);
	assert.deepEqual(item(on, { ...on, on: false }).reactions, [{ emoji: "👍", count: 1, names: ["Bob"], mine: false, waiting: true }]);
	assert.deepEqual(item({ ...on, failed: "no" }).reactions, [{ emoji: "👍", count: 1, names: ["Bob"], mine: false, waiting: false }]);
	assert.equal(new Layout(log, [edited, on], ANN).count, 1);
});

test("many names are counted", () => {
	const names = (n) => Array.from({ length: n }, (_, i) => `n${i + 1}`);
	assert.equal(namesOf(names(1)), "n1");
	assert.equal(namesOf(names(3)), "n1, n2 and n3");
	assert.match(namesOf(names(11)), /n10 and n11$/);
	assert.match(namesOf(names(1000)), /n10 and 990 others$/);
});

test("variation selectors split no reactions", () => {
	for (const [emoji, ...others] of [["❤\ufe0f", "❤"], ["👍", "👍\ufe0f"], ["❤\ufe0f\u200d🔥", "❤\u200d🔥"], ["1\ufe0f\u20e3"], ["✌🏽"], ["🇩🇪"], ["🧑🏻\u200d❤\u200d💋\u200d🧑🏼"]]) {
		for (const other of [emoji, ...others]) {
			assert.equal(foldEmoji(other), emoji);
			const log = new RoomLog("r");
			log.add([entry(1), react(2, 1, emoji), react(3, 1, other, true, BOB)]);
			assert.deepEqual(shown(log), [[1, "text 1", 0, `${emoji}Ann,Bob`]]);
			log.add([react(4, 1, other, false)]);
			assert.deepEqual(shown(log), [[1, "text 1", 0, `${emoji}Bob`]]);
		}
	}
	const log = new RoomLog("r");
	const reactions = [{ emoji: "❤", count: 2, users: ["a", "b"] }, { emoji: "👍", count: 1, users: ["a"] }, { emoji: "❤\ufe0f", count: 2, users: ["b", "c"] }];
	log.arrive({ messages: [entry(1, { reactions })], members: [], count: 0, again: false, gap: false, restarted: false });
	assert.deepEqual(log.entries[0].reactions.map(({ emoji, count, users }) => [emoji, count, users.length]), [["❤\ufe0f", 3, 3], ["👍", 1, 1]]);
});
