import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import "./fakes.mjs"; // for CustomEvent
import { Link } from "../assets/net/link.js";

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

/** Puts a clock of its own in the place of the real one until the test ends, and returns what lets time pass on it. */
function stopClock(t) {
	const real = {};
	for (const name of ["setTimeout", "clearTimeout", "setInterval", "clearInterval"]) real[name] = globalThis[name];
	const realNow = [Date.now, performance.now];
	let now = 1_764_000_000_000;
	let set = 0;
	let count = 0;
	const timers = new Map();
	const add = (call, after, every) => (timers.set(++count, { call, at: now + (after ?? 0), every }), count);
	globalThis.setTimeout = (call, after) => add(call, after);
	globalThis.setInterval = (call, every) => add(call, every, every);
	globalThis.clearTimeout = globalThis.clearInterval = (id) => timers.delete(id);
	Date.now = () => now + set;
	performance.now = () => now;
	t.after(() => {
		Object.assign(globalThis, real);
		[Date.now, performance.now] = realNow;
	});
	/** Lets a millisecond pass; first the clock is set by some. */
	return (by = 0) => {
		set += by;
		now++;
		for (const [id, timer] of [...timers]) {
			if (timer.at > now || !timers.has(id)) continue;
			if (timer.every) timer.at += timer.every;
			else timers.delete(id);
			timer.call();
		}
	};
}

/** Lets time pass until another socket is opened, and returns how many milliseconds that took. */
function untilNext(pass, sockets, most) {
	for (let passed = 0; ; passed++) {
		if (sockets.length > 1) return passed;
		assert.ok(passed < most, "it is still there");
		pass();
	}
}

test("a node that says nothing is left within ten seconds, the next try included", (t) => {
	const pass = stopClock(t);
	const { last, sockets, link } = open(() => 0.999);
	last().onopen();
	const left = untilNext(pass, sockets, 10_000);
	assert.ok(left > 7000, `left after ${left}`);
	link.stop();
});

test("a clock that is set back or forward changes nothing of when a silent node is left", (t) => {
	const pass = stopClock(t);
	for (const by of [-3600_000, 3600_000]) {
		const { last, sockets, link } = open(() => 0.999);
		last().onopen();
		pass(by);
		const left = untilNext(pass, sockets, 10_000);
		assert.ok(left > 7000, `left after ${left}`);
		link.stop();
	}
});

test("a node that takes no connection is left soon", (t) => {
	const pass = stopClock(t);
	const { sockets, link } = open(() => 0.999);
	untilNext(pass, sockets, 5000);
	link.stop();
});
