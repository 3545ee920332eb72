import assert from "node:assert/strict";
import test from "node:test";
import { mentions } from "../assets/text/mention.js";
import { foldName, Names } from "../assets/text/names.js";

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

test("particles of Hebrew and Arabic are written together with a name", () => {
	for (const text of ["תודה ל@נועה", "ו@נועה גם", "@נועה!"]) assert.ok(mentions(text, "נועה"), text);
	assert.ok(mentions("و@أحمد", "أحمد"));
	assert.ok(mentions("ל@Ann", "Ann"));
	assert.ok(!mentions("@נועהלה", "נועה"), "another name");
});

test("what is an address, code, or a quote of others mentions nobody", () => {
	for (const text of [
		"https://medium.com/@ann/story", "https://www.youtube.com/@Ann", "youtube.com/@Ann", "`@Ann`", "``a ` @Ann``", "```\n@Ann\n```", "text ```@Ann``` text",
		"[x](https://a.example/@Ann)", "> @Ann is on holiday", "> @Cat #1-2: @Ann is on holiday\ngood for her", "@Ann@mastodon.example", "\\@Ann", "> ```\n> @Ann\n> ```",
	])
		assert.ok(!mentions(text, "Ann"), text);
});

test("who is answered is named, and marks take nothing away", () => {
	for (const text of ["> @Ann #1-2: `code`\nyes", "> @Cat #1-2: x\n@Ann yes", "**@Ann**", "_@Ann_", "- a\n  - @Ann", "1. @Ann", "~~@Ann~~", "@Bob/@Ann", "Yes.@Ann"])
		assert.ok(mentions(text, "Ann"), text);
	assert.ok(mentions("> @Ann Lee #1-2: x", "Ann Lee"));
});

test("a longer name of somebody who is there is not the shorter one's", () => {
	const there = new Names(["Ann Lee", "ann.lee", "小明"]);
	for (const text of ["@ann.lee please look", "@Ann Lee please look"]) assert.ok(!mentions(text, "Ann", there), text);
	assert.ok(!mentions("@nora.miller hi", "Nora"), "nor of somebody who is not");
	assert.ok(!mentions("@小明你好", "小", there));
	assert.ok(mentions("@Ann Lee please", "Ann Lee", there));
	assert.ok(mentions("@Ann, Lee", "Ann", there));
	assert.ok(mentions("@Ann please", "Ann", there));
});

test("names are folded as the nodes fold them", () => {
	for (const [one, other] of [["İ", "i\u0307"], ["Straße", "STRASSE"], ["STRAẞE", "strasse"], ["ｶﾞ", "ガ"], ["Ａnn", "ANN"], ["ΟΔΟΣ", "οδος"], ["Ⅷ", "viii"], ["ﬁ", "FI"], ["ǰ", "J\u030c"], ["ᾳ", "ΑΙ"]])
		assert.equal(foldName(one), foldName(other), `${one} ${other}`);
	assert.notEqual(foldName("ı"), foldName("i"), "two names for the nodes");
});

test("so many names are known, and the oldest is forgotten", () => {
	const many = new Names(Array.from({ length: 2001 }, (_, i) => `u${i}`));
	assert.equal(many.match("u0", 0), null);
	assert.equal(many.match("u2000", 0)?.name, "u2000");
});
