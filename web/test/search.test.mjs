import assert from "node:assert/strict";
import { test } from "node:test";
import { around, fold, search, wordsOf } from "../assets/text/search.js";

const said = (...texts) => texts.map((text) => ({ text }));
const find = (query, messages, most = 100) => search(messages, wordsOf(query), most).map(({ text }) => text);
const marked = (text, query) => around(text, wordsOf(query)).map(({ text: piece, hit }) => (hit ? `[${piece}]` : piece)).join("");

test("either case, with or without accents, the newest first", () => {
	const messages = said("Über den Bach", "uber", "nothing", "ÜBER ALLES", "ubiquitous");
	assert.deepEqual(find("über", messages), ["ÜBER ALLES", "uber", "Über den Bach"]);
	assert.deepEqual(find("UBER", messages, 2), ["ÜBER ALLES", "uber"]);
	assert.deepEqual(find("u\u0308ber", messages).length, 3, "composed or not");
	assert.deepEqual(find("", messages), []);
	assert.deepEqual(find("   ", messages), []);
	assert.deepEqual(find("ΟΔΟΣ", said("οδος")), ["οδος"], "the final sigma is one too");
	assert.deepEqual(find("שלום", said("שָׁלוֹם")), ["שָׁלוֹם"], "points are left out");
	assert.deepEqual(find("का", said("की")), [], "vowels are not");
});

test("quotation marks, dashes, ß and letters without their strokes are found as they are typed", () => {
	for (const [query, text] of [["it's", "it’s"], ["don’t", "don't"], ["strassenfest", "Straßenfest"], ["STRAẞE", "strasse"], ["kirmizi", "kırmızı"], ["KIRMIZI", "kırmızı"], ["\"so\"", "„so“"], ["a-b", "a–b"], ["lodz", "Łódź"], ["oʼbrien", "O'Brien"], ["하", "한글"], ["ｶﾞ", "ガイド"]])
		assert.deepEqual(find(query, said(text)), [text], query);
});

test("all words must be there, in any order, and none is a pattern", () => {
	assert.deepEqual(find("cable ten", said("ten cables", "a cable", "ten")), ["ten cables"]);
	assert.deepEqual(find("a.c", said("abc", "a.c", "A.C!")), ["A.C!", "a.c"]);
});

test("what was found is marked as it was written", () => {
	assert.equal(marked("Ein Café in Übersee", "cafe uber"), "Ein [Café] in [Über]see");
	assert.equal(marked("aaaa", "aa"), "[aa][aa]");
	assert.equal(marked("ﬁne 👍🏽 fine", "fi"), "[ﬁ]ne 👍🏽 [fi]ne", "letters that become two");
	assert.equal(marked("e\u0301te\u0301", "ete"), "[e\u0301te\u0301]");
	assert.equal(marked("İstanbul", "ist"), "[İst]anbul");
	assert.equal(marked("한글", "하"), "[한]글", "part of a syllable");
	assert.equal(marked("Straßenfest it’s", "strassen it's"), "[Straßen]fest [it’s]");
	assert.equal(marked("ßa", "s"), "[ß]a");
	assert.equal(marked("no", "yes"), "no");
	assert.equal(marked("", "yes"), "");
	assert.equal(marked("longest first", "lo long"), "[long]est first");
});

test("of a long text only what is around it is shown", () => {
	const text = `${"a ".repeat(500)}needle${" b".repeat(500)}`;
	const got = marked(text, "needle");
	assert.match(got, /^…( a)* ?\[needle\]|^…(a )*\[needle\]/);
	assert.ok(got.endsWith("…") && got.length < 220, got);
	assert.ok(marked(`${"x".repeat(5000)}`, "y").length <= 201);
});

test("a message is folded once, and found by its new words when it was changed", () => {
	const message = { text: "old" };
	assert.deepEqual(find("old", [message]), ["old"]);
	assert.deepEqual(find("new", [{ ...message, text: "new" }]), ["new"]);
	assert.equal(fold("ABC é"), "abc e");
});
