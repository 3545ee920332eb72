import assert from "node:assert/strict";
import { test } from "node:test";
import { Known, Watch } from "../assets/cluster/watch.js";

const seen = (k, more) => ({ id: `node-${k}`, url: `http://localhost:808${k}`, state: "ready", users: k, age_ms: 200, seen_ms: 300, ...more });
const demoOf = (states, broker = "running") => ({
	nodes: states.map((state, i) => ({ node: i + 1, url: `http://127.0.0.1:808${i + 1}`, state })),
	broker,
	freeze: true,
});

/** Answers by URL; what has none is no connection. */
function web(answers) {
	const asked = [];
	return {
		asked,
		get: async (url, options = {}) => {
			asked.push([url, options]);
			const answer = answers(url);
			if (answer === undefined) throw new TypeError("no connection");
			const { status = 200, body } = answer;
			return { ok: status === 200, status, json: async () => body };
		},
	};
}

test("it goes on at another node when its own is gone, and stays there", async () => {
	let dead = false;
	const { get, asked } = web((url) => (dead && url.startsWith("http://localhost:8081") ? undefined : { body: { nodes: [seen(1), seen(2), seen(3)] } }));
	const watch = new Watch("http://localhost:8081", "", get);
	assert.equal((await watch.look()).from, "http://localhost:8081");
	dead = true;
	const look = await watch.look();
	assert.equal(look.nodes.length, 3);
	assert.notEqual(look.from, "http://localhost:8081");
	asked.length = 0;
	assert.equal((await watch.look()).from, look.from);
	assert.deepEqual(asked.map(([url]) => url), [`${look.from}/api/nodes`]);
});

test("where no node answers it says so, and asks again", async () => {
	let dead = true;
	const { get } = web(() => (dead ? undefined : { body: { nodes: [seen(1)] } }));
	const watch = new Watch("http://localhost:8081", "t", get);
	assert.deepEqual(await watch.look(), { from: "", nodes: [], demo: null });
	dead = false;
	assert.equal((await watch.look()).nodes.length, 1);
});

test("the demo is asked about only by a page that has its token", async () => {
	const { get, asked } = web((url) => ({ body: url.endsWith("/cluster/state") ? demoOf(["running"]) : { nodes: [seen(1)] } }));
	assert.equal((await new Watch("http://a", "", get).look()).demo, null);
	assert.equal(asked.length, 1);
	assert.equal((await new Watch("http://a", "t", get).look()).demo?.broker, "running");
});

test("an act is asked for with the token, and refused in the server's words", async () => {
	let answer = { body: {} };
	const { get, asked } = web(() => answer);
	const watch = new Watch("http://a", "t", get);
	await watch.act("kill", 2, "http://b");
	await watch.act("stop", undefined, "http://a");
	assert.deepEqual(asked.map(([url, { method, body }]) => [url, method, JSON.parse(body)]), [
		["http://b/cluster/control", "POST", { token: "t", action: "kill", node: 2 }],
		["http://a/cluster/control", "POST", { token: "t", action: "stop" }],
	]);
	answer = { status: 409, body: { error: { code: "last", message: "One node must stay awake to hear you." } } };
	await assert.rejects(watch.act("freeze", 1, "http://a"), /One node must stay awake to hear you\./);
	answer = undefined;
	await assert.rejects(watch.act("freeze", 1, "http://a"), /did not answer/);
});

/** What is known after a look. */
function learn(known, nodes, demo, now) {
	known.learn({ from: "x", nodes, demo }, now);
	return known.rows;
}

const words = (rows) => rows.map(({ id, state, live }) => [id, state, live]);

test("a node of the demo keeps its row while it is away", () => {
	const known = new Known();
	const nodes = [seen(1), seen(2), seen(3)];
	assert.deepEqual(words(learn(known, nodes, demoOf(["running", "running", "running"]), 1)), [
		["node-1", "running", true], ["node-2", "running", true], ["node-3", "running", true],
	]);
	const rows = learn(known, [seen(1), seen(3)], demoOf(["running", "starting", "frozen"]), 2);
	assert.deepEqual(words(rows), [["node-1", "running", true], ["node-2", "starting", false], ["node-3", "frozen", false]]);
	assert.equal(rows[2].seen, undefined, "what a frozen node wrote last is past");
	assert.deepEqual(rows.map(({ demo, url }) => [demo, url]), [[1, seen(1).url], [2, "http://127.0.0.1:8082"], [3, seen(3).url]]);
});

test("elsewhere a node that is gone is shown so for a minute, and one that is silent from when it is", () => {
	const known = new Known();
	learn(known, [seen(1), seen(2), seen(10)], null, 1000);
	const rows = learn(known, [seen(1), seen(10, { seen_ms: 9000 })], null, 2000);
	assert.deepEqual(words(rows), [["node-1", "running", true], ["node-2", "gone", false], ["node-10", "silent", false]]);
	assert.deepEqual(words(learn(known, [seen(1)], null, 61_500)), [["node-1", "running", true], ["node-10", "gone", false]]);
});

test("Redis is away where no node hears from it, or where the demo stopped it", () => {
	const known = new Known();
	learn(known, [seen(1), seen(2, { age_ms: 9000 })], null, 1);
	assert.equal(known.redis, true);
	const rows = learn(known, [seen(1, { state: "away" }), seen(2, { age_ms: 9000, seen_ms: 9000 })], null, 2);
	assert.equal(known.redis, false);
	assert.deepEqual(words(rows), [["node-1", "away", false], ["node-2", "running", true]]);
	learn(known, [seen(1)], demoOf(["running"], "stopped"), 3);
	assert.equal(known.redis, false);
});

test("where nobody answers nothing is shown as if it were known", () => {
	const known = new Known();
	learn(known, [seen(1), seen(2)], null, 1);
	known.learn({ from: "", nodes: [], demo: null }, 2);
	assert.deepEqual(words(known.rows), [["node-1", "gone", false], ["node-2", "gone", false]]);
	assert.equal(known.redis, false);
	assert.deepEqual(words(learn(known, [seen(1), seen(2)], null, 3)), [["node-1", "running", true], ["node-2", "running", true]]);
});

test("nodes of an older version are shown with what they tell", () => {
	const rows = learn(new Known(), [{ id: "a", url: "" }, { id: "b", url: "http://b" }], null, 1);
	assert.deepEqual(words(rows), [["a", "running", true], ["b", "running", true]]);
});
