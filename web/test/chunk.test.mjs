import assert from "node:assert/strict";
import { test } from "node:test";
import { Chunk } from "../assets/net/chunk.js";

const away = () => Promise.reject(new TypeError("Failed to fetch dynamically imported module"));

/** A chunk whose loads go as listed; `waits` counts the waits for a connection. */
function chunk(...loads) {
	const seen = { loads: 0, waits: 0 };
	const it = new Chunk(() => (loads[seen.loads++] ?? away)(), async () => void seen.waits++, 20);
	return { it, seen };
}

test("a script is loaded when it is wanted, and once", async () => {
	const { it, seen } = chunk(async () => "script");
	assert.equal(it.now, undefined);
	assert.equal(seen.loads, 0, "nothing asked for it yet");
	assert.deepEqual(await Promise.all([it.get(), it.get()]), ["script", "script"]);
	assert.equal(await it.get(), "script");
	assert.equal(it.now, "script");
	assert.deepEqual(seen, { loads: 1, waits: 0 });
});

test("a load that fails is tried once more when there is a connection again", async () => {
	const { it, seen } = chunk(away, async () => "script");
	assert.equal(await it.get(), "script");
	assert.deepEqual(seen, { loads: 2, waits: 1 });
});

test("two failures reject, and whoever asks again has it tried again", async () => {
	const { it, seen } = chunk(away, away, async () => "script");
	await assert.rejects(it.get(), /Failed to fetch/);
	assert.deepEqual(seen, { loads: 2, waits: 1 });
	assert.equal(await it.get(), "script");
});

test("a node that does not answer is waited for no longer than the bound", async () => {
	const { it } = chunk(() => new Promise(() => {}), () => new Promise(() => {}));
	await assert.rejects(it.get(), /in time/);
});

test("a script that failed is asked for by another address, as a browser may remember the failure", async () => {
	const asked = [];
	const it = new Chunk(async (url) => {
		asked.push(url);
		if (asked.length < 4) throw new TypeError(`error loading dynamically imported module: ${url || "http://a.example:8080/assets/x-1.js"}`);
		return "script";
	}, async () => {});
	await assert.rejects(it.get());
	assert.equal(await it.get(), "script");
	assert.deepEqual(asked, ["", "http://a.example:8080/assets/x-1.js?1", "http://a.example:8080/assets/x-1.js?2", "http://a.example:8080/assets/x-1.js?3"]);
});
