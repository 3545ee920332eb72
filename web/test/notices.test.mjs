import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "./fakes.mjs";
import { Notices } from "../assets/model/notices.js";

const ME = { id: "me", name: "Me" };
const ANN = { id: "a", name: "Ann" };
const entry = (seq, what = {}) => ({ id: `${1000 + seq}-${seq}`, room: "r", key: `${seq}`, user: ANN, text: "hi @me", time: 1, node: "n", ...what });

/** Tabs of one person, that share what was told and a lock, as a browser's do. */
function browser(...looked) {
	return quick({}, ...looked);
}

/** The same with other times. */
function quick(times, ...looked) {
	let told = [];
	let last = Promise.resolve();
	const locks = { request: (_name, act) => (last = last.then(act)) };
	const shown = [];
	const gone = new Set();
	const tabs = looked.map((isLooked, i) => new Notices({
		me: () => ME,
		muted: (room) => room === "quiet",
		looked: () => isLooked,
		there: ({ id }) => !gone.has(id),
		tell: ({ id }) => shown.push(`${i}:${id}`),
		load: () => told,
		save: (list) => (told = list),
		locks,
		wait: 5,
		...times,
	}));
	return { shown, gone, told: () => told, later: () => (told = told.map(([id, time]) => [id, time - 10_000])), hear: (...entries) => Promise.all(tabs.map((tab) => tab.heard(entries))) };
}

test("who is named is told, once, by one of all tabs", async () => {
	const { shown, hear } = browser(false, false, false);
	await hear(entry(1));
	await hear(entry(1));
	assert.equal(shown.length, 1);
	assert.match(shown[0], /:1001-1$/);
});

test("who looks at one of the tabs is not told by another", async () => {
	const { shown, hear } = browser(false, true);
	await hear(entry(1));
	assert.deepEqual(shown, []);
});

test("what names nobody, what one says oneself, changes, and muted rooms tell nothing", async () => {
	const { shown, hear } = browser(false);
	await hear(entry(1, { text: "hi" }));
	await hear(entry(2, { user: ME }));
	await hear(entry(3, { kind: "edit", target: "1001-1" }));
	await hear(entry(4, { room: "quiet" }));
	await hear();
	assert.deepEqual(shown, []);
});

test("of many at once the newest is told of, and not again at once", async () => {
	const { shown, hear, later, told } = browser(false);
	await hear(entry(1), entry(2), entry(3, { text: "hi" }));
	assert.deepEqual(shown, ["0:1002-2"]);
	await hear(entry(4));
	assert.equal(shown.length, 1, "one was told just now");
	later();
	await hear(entry(5));
	assert.deepEqual(shown, ["0:1002-2", "0:1005-5"]);
	for (let seq = 10; seq < 40; seq++) await hear(entry(seq));
	assert.equal(told().length, 20);
});

test("what follows soon is told after a pause, the newest of each room, however long it goes on", async () => {
	const { shown, hear, gone } = quick({ quiet: 500 }, false, false);
	await hear(entry(1));
	await hear(entry(2));
	await hear(entry(3));
	await hear(entry(4, { room: "s" }));
	assert.equal(shown.length, 1);
	const ids = () => shown.map((one) => one.slice(2));
	await until(() => ids().includes("1003-3") && ids().includes("1004-4"), "the newest of each room");
	await hear(entry(5));
	gone.add(entry(5).id);
	await hear(entry(6, { room: "s" }));
	await until(() => ids().includes("1006-6"), "what came after it");
	assert.ok(!ids().includes("1005-5"), "deleted meanwhile");
	const before = shown.length;
	for (let seq = 10; seq < 40; seq++) await hear(entry(seq));
	await until(() => ids().includes("1039-39"), "the last one");
	assert.ok(shown.length - before < 30, `${shown.length - before} of 30 are told`);
});

test("what was deleted meanwhile is told to nobody", async () => {
	const { shown, hear, gone } = browser(false);
	const heard = hear(entry(1));
	gone.add(entry(1).id);
	await heard;
	assert.deepEqual(shown, []);
});

test("the newest of several is told, in whichever order their waits end", async (t) => {
	const { shown, hear } = quick({ wait: 10, quiet: 100 }, false);
	await hear(entry(1));
	const chance = [1, 0];
	t.mock.method(Math, "random", () => chance.shift() ?? 0);
	await Promise.all([hear(entry(2)), hear(entry(3))]);
	await until(() => shown.length > 1);
	assert.deepEqual(shown, ["0:1001-1", "0:1003-3"]);
});
