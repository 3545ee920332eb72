import assert from "node:assert/strict";
import test from "node:test";
import { mentions } from "../assets/mention.js";

test("a name is mentioned in either case, wherever it stands", () => {
	for (const text of ["@Ann", "@ann hello", "hello @ANN", "(@Ann)", "hi @Ann, there", "@Ann: yes", "@Ann's", "@@ann", "a\n@ann\nb"])
		assert.ok(mentions(text, "Ann"), text);
	assert.ok(mentions("hi @ÄNNE", "Änne"));
	assert.ok(mentions("hi @A\u0308nne", "Änne"), "composed or not");
	assert.ok(mentions("hi @ann lee!", "Ann Lee"));
	assert.ok(mentions("@c++ or @a.b", "a.b"), "no pattern is made of a name");
});

test("part of another word is no mention", () => {
	for (const text of ["", "Ann", "@Anna", "@ann_2", "@ann-lee", "@ann1", "joe@ann.example", "@An", "@ ann", "𝒳@ann", "@ann𝒳", "@ann\u0301"])
		assert.ok(!mentions(text, "Ann"), text);
	assert.ok(!mentions("@", ""), "nobody");
	assert.ok(!mentions("@axb", "a.b"));
});

test("all places are looked at, not the first alone", () => {
	assert.ok(mentions("@Anna and @ann", "Ann"));
	assert.ok(mentions("joe@ann.example, @Ann", "Ann"));
});
