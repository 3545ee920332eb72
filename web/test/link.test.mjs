import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import "./fakes.mjs"; // for CustomEvent
import { Link } from "../assets/link.js";

const NODES = ["http://a", "http://b", "http://c"];

/** @type {Link[]} */
let links = [];
afterEach(() => {
	for (const link of links) link.stop();
	links = [];
});

/**
 * A link with the times of the product whose sockets do as they are told, and
 * what it waited for each time, in milliseconds.
 */
function open(random) {
	const sockets = [];
	const dial = (url) => {
		const socket = { url, close() {}, send() {} };
		sockets.push(socket);
		return socket;
	};
	const link = new Link({ url: NODES[0], dial, random });
	links.push(link);
	link.setNodes(NODES);
	const waits = [];
	link.addEventListener("waiting", (e) => waits.push(e.detail.until - Date.now()));
	link.start();
	/** The socket that was opened last. */
	const last = () => sockets.at(-1);
	return { link, sockets, waits, last };
}

/** @param {number} wait @param {number} want */
function near(wait, want) {
	assert.ok(wait <= want && wait > want - 50, `waited ${wait}, not ${want}`);
}

test("those whose node died come back anywhere within a second, at another one", () => {
	for (const [random, want] of [[() => 0, 0], [() => 0.5, 500], [() => 0.999, 999]]) {
		const { last, waits, link } = open(random);
		last().onopen();
		last().onclose({ code: 1006, reason: "" });
		near(waits[0], want);
		link.hurry();
		assert.equal(last().url, "ws://b/ws");
	}
});

test("a refused handshake is tried at the next node, and longer apart each round, up to a bound", () => {
	const { last, waits, link, sockets } = open(() => 1);
	for (let i = 0; i < 10; i++) {
		last().onclose({ code: 1006, reason: "" }); // a 503 looks no other to a page
		link.hurry();
	}
	assert.deepEqual(sockets.slice(0, 5).map(({ url }) => url[5]).join(""), "abcab");
	[1000, 1000, 1000, 4000, 4000, 4000, 10_000, 10_000, 10_000, 10_000].forEach((want, i) => near(waits[i], want));
});

test("each close code has its wait", () => {
	for (const [code, least, most, node] of [
		[1012, 0, 1000, "b"],
		[1013, 0, 1000, "b"],
		[4008, 0, 0, "a"],
		[4009, 5000, 15_000, "a"],
	]) {
		for (const [random, want] of [[() => 0, least], [() => 1, most]]) {
			const { last, waits, link } = open(random);
			last().onopen();
			last().onclose({ code, reason: "" });
			near(waits[0], want);
			link.hurry();
			assert.equal(last().url, `ws://${node}/ws`, String(code));
		}
	}
});

/** Lets virtual time pass until another socket is opened, and returns how much. */
function passUntilNext(t, sockets, most) {
	const step = 50;
	for (let passed = 0; ; passed += step) {
		if (sockets.length > 1) return passed;
		assert.ok(passed < most, "it is still there");
		t.mock.timers.tick(step);
	}
}

test("a node that says nothing is left within ten seconds, the next try included", (t) => {
	if (!t.mock.timers) return t.skip("this Node.js has no clock for tests");
	t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
	const { last, sockets } = open(() => 0.999);
	last().onopen();
	const left = passUntilNext(t, sockets, 10_000);
	assert.ok(left > 6000, `left after ${left}`);
	t.mock.timers.reset();
});

test("a node that takes no connection is left soon", (t) => {
	if (!t.mock.timers) return t.skip("this Node.js has no clock for tests");
	t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
	const { sockets } = open(() => 0.999);
	passUntilNext(t, sockets, 5000);
	t.mock.timers.reset();
});
