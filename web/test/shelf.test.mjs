import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Claims } from "../assets/store/claims.js";
import { Outbox } from "../assets/store/outbox.js";
import { claimShelf } from "../assets/store/shelf.js";
import { Store } from "../assets/store/store.js";
import "./fakes.mjs";

/** What a browser keeps: an object with a Storage's methods; `room` false when it is full. */
function storage(known = {}) {
	const kept = { ...known };
	const methods = {
		getItem: (key) => kept[key] ?? null,
		setItem(key, value) {
			if (!browser.room) throw new Error("QuotaExceededError");
			kept[key] = value;
		},
		removeItem: (key) => delete kept[key],
	};
	return new Proxy(kept, { get: (target, key) => methods[key] ?? target[key] });
}

/** Locks as a browser has them, as far as they are asked for here. */
class Locks {
	held = new Set();

	async request(name, { signal, ifAvailable }, whenHeld) {
		if (ifAvailable && this.held.has(name)) return whenHeld(null);
		while (this.held.has(name)) {
			if (signal.aborted) throw new Error("AbortError");
			await new Promise((resolve) => setTimeout(resolve, 2));
		}
		this.held.add(name);
		return whenHeld({ name });
	}
}

let browser;
let tabs;

beforeEach(() => {
	browser = { all: storage(), locks: new Locks(), room: true };
	tabs = [];
});
afterEach(() => tabs.forEach(close));

/** Opens a tab, as a fresh one or with the session of one before. */
async function open(secure, own = storage()) {
	const request = (name, options, whenHeld) =>
		browser.locks.request(name, options, (lock) => (lock && tab.names.push(name), whenHeld(lock)));
	const locks = secure ? { request } : undefined;
	const tab = { own, names: [], channel: null };
	tabs.push(tab);
	const channel = (name) => (tab.channel = new BroadcastChannel(name));
	const stores = { local: new Store(() => browser.all), session: new Store(() => own) };
	tab.outbox = new Outbox(await claimShelf("t.", { stores, claims: new Claims("t.tabs", { locks, channel }) }));
	return tab;
}

/** A tab that is closed, or crashes: the browser lets go of what it held, and nothing of it runs. */
function close(tab) {
	tab.channel?.close();
	for (const name of tab.names) browser.locks.held.delete(name);
}

const texts = ({ outbox }) => outbox.of("lobby").map(({ text }) => text);

for (const [secure, where] of [[true, "with locks"], [false, "without locks (plain http)"]]) {
	test(`what was written right before a crash is there after the reload, ${where}`, async () => {
		const tab = await open(secure);
		for (const text of ["one", "two"]) tab.outbox.write("lobby", text);
		tab.outbox.write("lobby", "", { kind: "react", target: "1-1", emoji: "👍", on: true });
		const before = tab.outbox.of("lobby");
		close(tab);
		assert.deepEqual((await open(secure, tab.own)).outbox.of("lobby"), before);
	});

	test(`a living tab keeps what it has: neither a new one nor its duplicate takes it, ${where}`, async () => {
		const tab = await open(secure);
		tab.outbox.write("lobby", "mine");
		const fresh = await open(secure);
		const duplicate = await open(secure, storage({ ...tab.own }));
		assert.deepEqual([texts(fresh), texts(duplicate)], [[], []]);
		duplicate.outbox.write("lobby", "the duplicate's");
		close(tab);
		assert.deepEqual(texts(await open(secure, tab.own)), ["mine"]);
	});

	test(`what a closed tab left goes to one other, in order with what is there, ${where}`, async () => {
		const [one, two] = [await open(secure), await open(secure)];
		one.outbox.write("lobby", "one").written = 1;
		two.outbox.write("lobby", "two").written = 2;
		for (const { outbox } of [one, two]) outbox.save();
		close(one);
		close(two);
		const both = await Promise.all([open(secure), open(secure)]);
		assert.deepEqual(both.flatMap(texts).sort(), ["one", "two"]);
		for (const tab of both) close(tab);
		assert.deepEqual(texts(await open(secure)), ["one", "two"]);
		assert.equal(Object.keys(browser.all).filter((key) => key.startsWith("t.outbox.")).length, 1);
	});
}

test("a reload waits for the locks of a page that ends slowly", async () => {
	const tab = await open(true);
	tab.outbox.write("lobby", "mine");
	tab.channel.close(); // that page runs no more, and the browser has not released its locks yet
	setTimeout(() => close(tab), 1000);
	assert.deepEqual(texts(await open(true, tab.own)), ["mine"]);
});

test("a duplicated tab does not wait for the locks of the other", async () => {
	const tab = await open(true);
	tab.outbox.write("lobby", "mine");
	const first = await Promise.race([
		open(true, storage({ ...tab.own })).then(texts),
		new Promise((late) => setTimeout(late, 4000, "late")),
	]);
	assert.deepEqual(first, []);
});

test("of two pages that wait for the locks of a third, one gets them and the other goes on", async () => {
	const tab = await open(true);
	tab.outbox.write("lobby", "mine");
	tab.channel.close();
	setTimeout(() => close(tab), 300);
	const first = await Promise.race([
		Promise.all([open(true, storage({ ...tab.own })), open(true, storage({ ...tab.own }))]).then((both) => both.flatMap(texts)),
		new Promise((late) => setTimeout(late, 4000, "late")),
	]);
	assert.deepEqual(first, ["mine"]);
});

test("what an earlier version left, and nothing that is broken, is taken", async () => {
	const old = { key: "k", room: "lobby", text: "old", written: 1, tried: 0, failed: "" };
	browser.all["t.outbox.x"] = JSON.stringify([old, { ...old, key: "e", kind: "edit" }, null, 7]);
	browser.all["t.outbox.y"] = "{";
	assert.deepEqual(texts(await open(true)), ["old"]);
});

test("storage that is full is told, and the page goes on", async () => {
	browser.room = false;
	const tab = await open(true);
	tab.outbox.write("lobby", "one");
	assert.deepEqual([tab.outbox.kept, texts(tab)], [false, ["one"]]);
	browser.room = true;
	tab.outbox.save();
	assert.equal(tab.outbox.kept, true);
});
