import assert from "node:assert/strict";
import { test } from "node:test";
import { isBlank, withoutControls } from "../assets/text/entered.js";

test("control characters go, but for those that break lines", () => {
	assert.equal(withoutControls("a\u0002b\u007fc\u001bd\u0000\u009f"), "abcd");
	assert.equal(withoutControls("a\u000bb\u0085c\fd\r\ne\rf"), "a\nb\nc\nd\ne\nf");
	assert.equal(withoutControls("a\tb\nc \u200d👩‍👧"), "a\tb\nc \u200d👩‍👧");
});

test("a text of which nothing is seen is none", () => {
	for (const text of ["", " \n", "\u200b", "\u200b \ufeff\u2060\u00ad"]) assert.ok(isBlank(text));
	for (const text of ["a", "\u200ba", "👍🏽", "ㅤa"]) assert.ok(!isBlank(text));
});
