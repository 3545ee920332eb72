import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { claimDrafts } from "../assets/store/drafts.js";
import { Store } from "../assets/store/store.js";

let kept;
let held;

beforeEach(() => {
	kept = new Map();
	held = new Set();
});

function storage(map) {
	const methods = { getItem: (key) => map.get(key) ?? null, setItem: (key, value) => void map.set(key, value), removeItem: (key) => void map.delete(key) };
	return new Proxy(methods, { ownKeys: () => [...map.keys()], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) });
}

/** Opens a tab, a fresh one or one with the session of a page before it. */
async function open(session = new Map()) {
	const own = new Set();
	const hold = (name) => held.add(name) && own.add(name);
	const claims = {
		take: async (names) => names.filter((name) => !held.has(name) && hold(name)),
		hold,
		end() {},
	};
	const drafts = await claimDrafts("chat.", { claims, stores: { local: new Store(() => storage(kept)), session: new Store(() => storage(session)) } });
	return { drafts, session, close: () => own.forEach((name) => held.delete(name)) };
}

const text = ({ drafts }, room = "lobby") => drafts.get(room).text;

test("what one tab sends takes nothing from another, nor over a reload", async () => {
	const [a, b] = [await open(), await open()];
	a.drafts.set("lobby", { text: "a long one" });
	b.drafts.set("lobby", { text: "short" });
	b.drafts.set("lobby", { text: "" });
	a.close();
	const again = await open(a.session);
	assert.equal(text(again), "a long one");
	assert.equal(text(again, "LOBBY"), "a long one");
});

test("a new tab does not show what another one holds, but what a closed one left", async () => {
	const a = await open();
	a.drafts.set("lobby", { text: "mine", edit: { id: "1-1", was: "x", text: "y" } });
	a.drafts.set("b.c", { text: "dots" });
	assert.equal(text(await open()), "");
	assert.equal(text(await open(new Map(a.session))), "", "a duplicated tab");
	a.close();
	const next = await open();
	assert.deepEqual([text(next), next.drafts.get("lobby").edit, text(next, "b.c")], ["mine", { id: "1-1", was: "x", text: "y" }, "dots"]);
	assert.equal(text(await open()), "", "it moved");
});

test("what two closed tabs left in a room is kept both", async () => {
	const [a, b] = [await open(), await open()];
	a.drafts.set("lobby", { text: "one" });
	b.drafts.set("lobby", { text: "two" });
	a.close();
	b.close();
	assert.deepEqual(text(await open()).split("\n").sort(), ["one", "two"]);
});

test("50 rooms' drafts are kept, and nothing that is no draft does harm", async () => {
	for (const wrong of ["", "3", "null", '{"text":3,"edit":{}}']) kept.set(`chat.draft.x.r${wrong.length}`, wrong);
	const a = await open();
	for (let i = 0; i < 60; i++) a.drafts.set(`room${i}`, { text: "x" });
	assert.equal(text(a, "room9"), "");
	assert.equal(text(a, "room10"), "x");
	assert.equal([...kept.keys()].filter((key) => key.startsWith("chat.draft.")).length, 50);
});
