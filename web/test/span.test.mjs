import assert from "node:assert/strict";
import { test } from "node:test";
import { Span } from "../assets/view/span.js";

/** Heights by chance, the same at each run. */
function heights(n, seed = 1) {
	return Array.from({ length: n }, () => 20 + ((seed = (seed * 16807) % 2147483647) % 200));
}

const sum = (list) => list.reduce((a, b) => a + b, 0);

/** What must hold of a span, whatever happened before. */
function check(span, list, most) {
	assert.ok(span.start <= span.end && span.end - span.start <= most, `${span.start} to ${span.end}`);
	assert.ok(Math.abs(span.above - sum(list.slice(0, span.start))) < 0.001, `${span.above} above ${span.start}`);
	assert.ok(Math.abs(span.below - sum(list.slice(span.end))) < 0.001, `${span.below} below ${span.end}`);
}

test("wherever one scrolls, the rows there are in the document and space stands for all others", () => {
	const list = heights(10_000);
	const height = (i) => list[i];
	const span = new Span();
	span.reset(0, list.length, height);
	const total = sum(list);
	let seed = 7;
	for (let i = 0; i < 300; i++) {
		seed = (seed * 48271) % 2147483647;
		const top = i % 3 ? span.above + (seed % 3000) - 1500 : seed % total;
		span.cover(top, top + 2000, 500, 200, height);
		check(span, list, 200);
		assert.ok(span.above <= Math.max(0, top), `${span.above} > ${top}`);
		assert.ok(total - span.below >= Math.min(top + 2000, total), `${span.below} below, ${top}`);
	}
});

test("at the end the newest rows are there, however many come", () => {
	const list = heights(50);
	const height = (i) => list[i];
	const span = new Span();
	span.reset(50, 50, height);
	for (let round = 0; round < 200; round++) {
		list.push(...heights(round % 7, round + 1));
		span.extend(list.length, height);
		span.cover(-1500, Infinity, 800, 60, height);
		check(span, list, 60);
		assert.equal(span.end, list.length);
		assert.ok(span.end - span.start === 60 || sum(list.slice(span.start)) >= Math.min(1500, sum(list)), "enough of them");
	}
});

test("rows that turn out higher, and rows that go, leave no error behind", () => {
	const list = heights(1000);
	const height = (i) => list[i];
	const span = new Span();
	span.reset(500, list.length, height);
	span.cover(30_000, 32_000, 0, 200, height);
	list[span.start] += 55;
	span.grew(55);
	span.cover(30_000, 32_000, 0, 200, height);
	check(span, list, 200);
	list.splice(0, 300);
	span.reset(span.start - 300, list.length, height);
	span.cover(0, 2000, 0, 200, height);
	check(span, list, 200);
	list.length = 3;
	span.reset(700, list.length, height);
	span.cover(0, 2000, 0, 200, height);
	check(span, list, 200);
	span.reset(0, 0, height);
	span.cover(0, 2000, 0, 200, height);
	assert.deepEqual([span.start, span.end, span.above, span.below], [0, 0, 0, 0]);
});
