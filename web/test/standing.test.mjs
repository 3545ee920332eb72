import assert from "node:assert/strict";
import { test } from "node:test";
import { RoomLog } from "../assets/model/roomlog.js";
import { Layout } from "../assets/view/layout.js";
import { namesOf } from "../assets/view/row.js";
import { seqOf } from "../assets/net/wire.js";

const ANN = { id: "a", name: "Ann" };
const BOB = { id: "b", name: "Bob" };
const id = (seq) => `${1000 + seq}-${seq}`;
const entry = (seq, more = {}) => ({ id: id(seq), room: "r", key: `k${seq}`, user: ANN, text: `text ${seq}`, time: 1000 + seq, node: "node-1", ...more });
const react = (seq, target, count, on = true, user = ANN, emoji = "👍") => entry(seq, { kind: "react", target: id(target), emoji, on, user, count });
const edit = (seq, target, text) => entry(seq, { kind: "edit", target: id(target), text });
const erase = (seq, target) => entry(seq, { kind: "delete", target: id(target), text: "" });
const thumbs = (count, ...users) => ({ reactions: [{ emoji: "👍", count, users }] });
const arrival = (all, head, more = {}) => ({ asked: "r", room: "r", messages: all, all, head: id(head), members: [ANN], count: 1, again: false, gap: false, restarted: false, more: false, ...more });
const gap = { again: true, gap: true };
const shown = (log) => log.entries.map(({ id, text, edited, reactions = [] }) =>
	[seqOf(id), text, edited ?? 0, reactions.map(({ emoji, count, users }) => `${emoji}${count}${users.map(({ id }) => id).join("")}`).join(" ")]);

/** Every order of a few things. */
function orders(things) {
	if (things.length < 2) return [things];
	return things.flatMap((one, i) => orders(things.filter((_, j) => j !== i)).map((rest) => [one, ...rest]));
}

test("a message as it stands takes what came after it, and nothing that is in it already", () => {
	const base = entry(1, { text: "better", edited: 1004, ...thumbs(2, "a", "b") });
	const before = [edit(3, 1, "worse"), edit(4, 1, "better"), react(5, 1, 1), react(6, 1, 2, true, BOB)];
	const after = [react(8, 1, 1, false), edit(9, 1, "best")];
	for (const order of orders([...before.slice(1, 3), ...after])) {
		const log = new RoomLog("r");
		log.add(before.slice(0, 1));
		log.arrive(arrival([base], 6));
		log.add(order);
		assert.deepEqual(shown(log), [[1, "best", 1009, "👍1b"]]);
	}
});

test("counts are right though only some of the users are listed", () => {
	const log = new RoomLog("r");
	const users = Array.from({ length: 20 }, (_, i) => `u${i}`);
	log.arrive(arrival([entry(1, thumbs(1500, ...users))], 1501));
	const count = () => log.entries[0].reactions?.[0].count;
	assert.equal(count(), 1500);
	log.add([react(1502, 1, 1501, true, BOB)]);
	assert.equal(count(), 1501);
	log.add([react(1503, 1, 1500, false, { id: "nobody known", name: "N" })]);
	assert.equal(count(), 1500);
	// One's own, as the answer tells it before the log's entry does.
	log.add([react(1504, 1, undefined, true, ANN)]);
	assert.equal(count(), 1501);
	log.add([react(1504, 1, 1501, true, ANN)]);
	assert.equal(count(), 1501);
	const mine = () => new Layout(log, [], ANN).item(0).reactions[0].mine;
	assert.equal(mine(), true);
	// A new copy lists others; one's own is remembered.
	log.arrive(arrival([entry(1, thumbs(1501, ...users))], 1600, gap));
	assert.deepEqual([count(), mine()], [1501, true]);
	log.add([react(1601, 1, 0, false, ANN)]);
	assert.equal(count(), undefined);
});

test("changes of an older node, which counts nothing, are folded into messages as they were said", () => {
	const all = [entry(1), react(2, 1, undefined), react(3, 1, undefined, true, BOB), react(4, 1, undefined, false), edit(5, 1, "better")];
	const log = new RoomLog("r");
	log.arrive(arrival(all, 5));
	assert.deepEqual(shown(log), [[1, "better", 1005, "👍1b"]]);
	const other = new RoomLog("r");
	other.add(all.slice(1));
	other.addOlder(all.slice(0, 1), false, 9);
	assert.deepEqual(shown(other), [[1, "better", 1005, "👍1b"]]);
});

test("reactions of users who are not here have a number, and names where they are known", () => {
	const log = new RoomLog("r");
	log.arrive(arrival([entry(1, thumbs(12, "a", "x"))], 2));
	const [{ names, count, mine }] = new Layout(log, [], BOB).item(0).reactions;
	assert.deepEqual([names, count, mine], [["Ann"], 12, false]);
	assert.equal(namesOf(names, count), "Ann and 11 others");
	assert.equal(namesOf([], 1), "1 other");
	assert.equal(namesOf(["Ann"], 1), "Ann");
	const pending = { key: "k", room: "r", text: "", kind: "react", target: id(1), emoji: "👍", on: true, written: 1, tried: 0, failed: "" };
	const [own] = new Layout(log, [pending], BOB).item(0).reactions;
	assert.deepEqual([own.count, own.names, own.mine], [13, ["Ann", "you"], true]);
});

test("what was changed or deleted in a gap is so, as far as the new copy goes", () => {
	const log = new RoomLog("r");
	log.arrive(arrival([1, 2, 3, 4].map((seq) => entry(seq, thumbs(1, "a"))), 4));
	log.arrive(arrival([entry(2, { text: "better", edited: 1900 }), entry(4, thumbs(2, "a", "b")), entry(9)], 950, gap));
	assert.deepEqual(shown(log), [[1, "text 1", 0, "👍1a"], [2, "better", 1900, ""], [4, "text 4", 0, "👍2ab"], [9, "text 9", 0, ""]]);
	assert.equal(log.gaps.size, 0, "nothing is missing");
	// What is older is asked for, as it may be another, too.
	assert.deepEqual([log.hole.before, log.more], [id(2), false]);
	log.fill([], false, 950);
	assert.equal(log.hole, null);
});

test("a copy that comes in pieces deletes nothing that is still to come", () => {
	const log = new RoomLog("r");
	log.arrive(arrival([1, 2, 3, 4, 5].map((seq) => entry(seq)), 5));
	log.arrive(arrival([entry(1), entry(3)], 950, { ...gap, more: true }));
	assert.deepEqual(shown(log).map(([seq]) => seq), [1, 3, 4, 5]);
	log.add([entry(5, { text: "better", edited: 1900 })]);
	assert.equal(shown(log).at(-1)[1], "better");
});

test("the messages that a gap leaves behind are got again, and then the older ones that are shown", () => {
	const log = new RoomLog("r");
	log.arrive(arrival([1, 2, 3].map((seq) => entry(seq)), 3));
	log.arrive(arrival([entry(2000), entry(2001)], 2001, gap));
	assert.deepEqual([...log.gaps.keys()], [2000]);
	log.fill([entry(1000), entry(1500)], true, 2001);
	assert.deepEqual([...log.gaps], [[1000, { from: 1003, to: 2000, open: true }]]);
	log.fill([entry(3, { text: "better", edited: 1500 }), entry(999)], true, 2001);
	assert.deepEqual([log.gaps.size, log.hole.before], [0, id(3)]);
	log.fill([entry(1)], false, 2001); // 2 was deleted
	assert.deepEqual([log.hole, shown(log).map(([seq, text]) => text + seq)], [null, ["text 11", "better3", "text 999999", "text 10001000", "text 15001500", "text 20002000", "text 20012001"]]);
});

test("what was deleted stays so, though an older copy of it comes late", () => {
	const log = new RoomLog("r");
	log.add([entry(1), entry(2), entry(3), erase(9, 2)]);
	log.addOlder([entry(1), entry(2)], false, 5);
	assert.deepEqual(shown(log).map(([seq]) => seq), [1, 3]);
	log.add([edit(10, 1, "better")]);
	log.addOlder([entry(1)], false, 5);
	assert.equal(shown(log)[0][1], "better");
});
