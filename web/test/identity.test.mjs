import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Claims } from "../assets/store/claims.js";
import { keptIdentity } from "../assets/store/identity.js";
import { Outbox } from "../assets/store/outbox.js";
import { Store } from "../assets/store/store.js";
import { Cluster, until } from "./fakes.mjs";

const KEY = "t.identity";

/** A browser's storage; `fails` is "read" where it is forbidden, "write" where it is full. */
function browser(fails = "") {
	const kept = new Map();
	const storage = {
		getItem: (key) => kept.get(key) ?? null,
		setItem(key, value) {
			if (browser.fails === "write") throw new Error("QuotaExceededError");
			kept.set(key, value);
		},
		removeItem: (key) => kept.delete(key),
	};
	const made = {
		kept,
		fails,
		/** The store of a page of its own. */
		store: () =>
			new Store(() => {
				if (made.fails === "read") throw new Error("SecurityError");
				browser.fails = made.fails;
				return storage;
			}),
	};
	return made;
}

/** Nodes that know each guest by the token that it was given. */
function cluster() {
	const made = new Cluster();
	made.guests = 0;
	made.answer = (command, socket) => {
		if (command.type === "rename") return { type: "renamed", user: (socket.user = { ...socket.user, name: command.name }) };
		if (command.type !== "hello") return undefined;
		const welcome = socket.obey(command);
		const id = /^t-(u-\d+)$/.exec(command.token ?? "")?.[1] ?? `u-${++made.guests}`;
		socket.user = { id, name: command.name ?? `guest-${id}` };
		return { ...welcome, user: socket.user, token: `t-${id}` };
	};
	return made;
}

let pages = [];
let ends = [];
afterEach(() => {
	for (const page of pages) page.stop();
	for (const end of ends) end();
	[pages, ends] = [[], []];
});

/** A page that has opened the lobby. */
async function open(nodes, identity, outbox = new Outbox()) {
	const page = nodes.client({ identity, outbox });
	pages.push(page);
	page.join("lobby");
	page.start();
	await until(() => page.log.joined.length > 0, "it joins");
	return page;
}

const moved = (page, id) => until(() => page.node?.id === id && page.log.welcome.length > 1, `it is at ${id}`);

for (const [fails, what] of [["read", "forbidden"], ["write", "full"], ["cleared", "cleared meanwhile"]]) {
	test(`with storage ${what} a page stays the same user when its node dies`, async () => {
		const nodes = cluster();
		const where = browser(fails);
		const page = await open(nodes, keptIdentity(where.store(), KEY));
		await page.rename("Zoe");
		if (fails === "cleared") where.kept.clear();
		nodes.fell("node-1", "dead");
		await moved(page, "node-2");
		assert.deepEqual(page.user, { id: "u-1", name: "Zoe" });
		assert.equal(nodes.guests, 1);
	});
}

test("with storage forbidden a send whose answer was lost is entered once", async () => {
	const nodes = cluster();
	const page = await open(nodes, keptIdentity(browser("read").store(), KEY));
	const { answer } = nodes;
	nodes.answer = (command, socket) => {
		if (command.type !== "send") return answer(command, socket);
		nodes.ill.set("node-1", "frozen"); // it takes the message, and nobody hears of it
		socket.obey(command);
		nodes.answer = answer;
		setImmediate(() => nodes.fell("node-1", "dead"));
		return null;
	};
	page.say("lobby", "pay once");
	await moved(page, "node-2");
	await until(() => page.pending("lobby").length === 0, "it is known to be there");
	assert.deepEqual(nodes.room("lobby").entries.map(({ text, user }) => [text, user.id]), [["pay once", "u-1"]]);
});

test("a page stays its user when another tab became a new guest after storage was cleared", async () => {
	const nodes = cluster();
	const where = browser();
	const page = await open(nodes, keptIdentity(where.store(), KEY));
	where.kept.clear();
	await open(nodes, keptIdentity(where.store(), KEY));
	nodes.fell("node-1", "dead");
	await moved(page, "node-2");
	assert.equal(page.user.id, "u-1");
	assert.equal(JSON.parse(where.kept.get(KEY)).user, "u-2", "the other's stays where new tabs find it");
});

test("a name that another tab chose, and a guest that it became instead of this one, hold here too", () => {
	const where = browser();
	const [here, there] = [0, 0].map(() => keptIdentity(where.store(), KEY));
	here.save({ token: "t1", user: "u1", name: "Ann" });
	there.save({ name: "Zoe" });
	assert.deepEqual(there.load(), { token: "t1", name: "Zoe", user: "u1" });
	assert.equal(here.load().name, "Zoe");
	there.save({ token: "t2", user: "u2" }); // its token did not hold any more
	assert.deepEqual(here.load(), { token: "t2", name: "Zoe", user: "u2" });
});

test("two tabs of a first visit are one guest", async (t) => {
	const nodes = cluster();
	const where = browser();
	const events = new EventTarget();
	globalThis.addEventListener = events.addEventListener.bind(events);
	t.after(() => delete globalThis.addEventListener);
	const channel = (name) => new BroadcastChannel(name);
	const tab = () => {
		const identity = keptIdentity(where.store(), KEY, {}, { claims: () => new Claims("t.first", { channel }), wait: 20_000 });
		ends.push(identity.end);
		return {
			...identity,
			save(change) {
				identity.save(change);
				events.dispatchEvent(Object.assign(new Event("storage"), { key: KEY, newValue: where.kept.get(KEY) }));
			},
		};
	};
	const both = await Promise.all([open(nodes, tab()), open(nodes, tab())]);
	assert.deepEqual(both.map(({ user }) => user.id), ["u-1", "u-1"]);
});

test("a tab goes on alone where the other one gets no token", async () => {
	const where = browser();
	const taken = { take: async () => [], end: () => {} };
	const identity = keptIdentity(where.store(), KEY, {}, { claims: () => taken, wait: 1 });
	await identity.turn();
	assert.equal(identity.load().token, "");
	assert.equal(keptIdentity(browser("read").store(), KEY).turn(), undefined, "where nothing is kept there is nothing to wait for");
});
