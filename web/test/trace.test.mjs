import assert from "node:assert/strict";
import { test } from "node:test";
import { align, now, Watch } from "../assets/cluster/watch.js";

/** What a node notes whose clock is `wrong` ms ahead of the page's; times are the page's, in ms. */
function noted(node, wrong, { asked, answered }, times) {
	const micros = Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, (ms + wrong) * 1000]));
	return { asked, answered, noted: { node, now: ((asked + answered) / 2 + wrong) * 1000, ...micros } };
}

const times = { received: 101, append_began: 102, append_ended: 104, heard: 105, handed: 106 };
const seen = (way, kind, node) => way.hops.filter((hop) => hop.kind === kind && (!node || hop.node === node));

test("clocks that are wrong are put right by when a node answered", () => {
	const way = align(100, 107, [{ node: "n1", at: 108 }, { node: "n2", at: 111 }], [
		noted("n1", 5000, { asked: 200, answered: 204 }, times),
		noted("n2", -90_000, { asked: 200, answered: 210 }, { heard: 107, handed: 109 }),
	]);
	assert.deepEqual(way.hops, [
		{ kind: "received", node: "n1", from: 0, to: 1 },
		{ kind: "judged", node: "n1", from: 1, to: 2 },
		{ kind: "appended", node: "n1", from: 2, to: 4 },
		{ kind: "acknowledged", node: "n1", from: 4, to: 7 },
		{ kind: "heard", node: "n1", from: 2, to: 5 },
		{ kind: "handed", node: "n1", from: 5, to: 6 },
		{ kind: "got", node: "n1", from: 6, to: 8 },
		{ kind: "heard", node: "n2", from: 2, to: 7 },
		{ kind: "handed", node: "n2", from: 7, to: 9 },
		{ kind: "got", node: "n2", from: 9, to: 11 },
	]);
	assert.equal(way.within, 5);
});

test("no node had it before it was sent, nor handed it on after a browser got it", () => {
	// The answer of both took its time on one half of the way alone.
	const early = align(100, 0, [], [noted("n1", -3, { asked: 200, answered: 208 }, times)].map((a) => ({ ...a, noted: { ...a.noted, now: a.noted.now + 3000 } })));
	assert.equal(seen(early, "received")[0].to, 0);
	const late = align(100, 0, [{ node: "n1", at: 107 }], [noted("n1", 4, { asked: 200, answered: 208 }, times)].map((a) => ({ ...a, noted: { ...a.noted, now: a.noted.now - 4000 } })));
	assert.equal(seen(late, "got")[0].from, 7);
	assert.equal(seen(late, "got")[0].to, 7);
});

test("what did not happen is no hop", () => {
	const way = align(100, 0, [{ node: "n3", at: 120 }], [noted("n1", 0, { asked: 200, answered: 202 }, { received: 101, append_began: 102 })]);
	assert.deepEqual(way.hops.map(({ kind }) => kind), ["received", "judged"]);
	assert.deepEqual(align(100, 0, [], []), { hops: [], within: 0 });
});

test("nodes that are gone or know nothing of it are left out", async () => {
	const urls = [];
	const get = async (url) => {
		urls.push(url);
		if (url.startsWith("http://gone")) throw new TypeError("no connection");
		if (url.startsWith("http://old")) return { ok: false };
		return { ok: true, json: async () => ({ node: "n1", now: now() * 1000 }) };
	};
	const answers = await new Watch("http://n1", "", get).noted(["http://gone", "http://n1", "http://old"], "trace-1");
	assert.deepEqual(answers.map(({ noted }) => noted.node), ["n1"]);
	assert.ok(answers[0].answered >= answers[0].asked);
	assert.equal(urls.filter((url) => url === "http://n1/api/trace?key=trace-1").length, 3);
});
