import assert from "node:assert/strict";
import { test } from "node:test";
import { deedWords } from "../assets/cluster/table.js";

const deed = (action, more) => ({ action, number: action === "stop" || action === "start" ? 0 : 2, browsers: 0, moves: [], settled: false, lost: 0, doubled: 0, again: false, ...more });
const move = (to, after, caught = 0) => ({ to, after, caught });

test("what was done is told with what was seen of it so far", () => {
	for (const [words, of] of [
		["Node 2 was killed. Its browser will go on at another.", deed("kill", { browsers: 1 })],
		["Node 2 was killed. Its browser went on at node 3 after 0.8 s.", deed("kill", { browsers: 1, moves: [move(3, 812)] })],
		[
			"Node 2 was killed. Its 2 browsers went on at node 1 and 3 after 1.2 s, caught up on 4 messages. Nothing was lost. It is running again.",
			deed("kill", { browsers: 2, moves: [move(3, 812, 1), move(1, 1210, 4)], settled: true, again: true }),
		],
		["Node 2 was drained. Its browser went on at node 1 after 0.1 s, caught up on 1 message.", deed("drain", { browsers: 1, moves: [move(1, 90, 1)] })],
		["Node 2 was drained. Nothing was lost. It is running again.", deed("drain", { settled: true, again: true })],
		["Node 2 is frozen. Its 2 browsers will go on at another.", deed("freeze", { browsers: 2, moves: [move(3, 9000)] })],
		["Node 2 is awake again. Nothing was lost.", deed("wake", { settled: true })],
		["Redis is stopped. What is written now is kept, and waits.", deed("stop", { settled: true })],
		["Redis is back. Nothing was lost.", deed("start", { settled: true })],
	])
		assert.equal(deedWords(of), words);
});

test("what was lost or came twice is told as it is", () => {
	assert.equal(deedWords(deed("wake", { settled: true, lost: 2 })), "Node 2 is awake again. Lost: 2, doubled: 0.");
	assert.equal(deedWords(deed("start", { settled: true, doubled: 1 })), "Redis is back. Lost: 0, doubled: 1.");
});
