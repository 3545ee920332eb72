import assert from "node:assert/strict";
import { test } from "node:test";
import { namesOf } from "../assets/view/row.js";
import { typingWords, wordsFor } from "../assets/view/words.js";

const calm = { state: { state: "online" }, broker: "up", moved: null, moderated: null, lostName: "", unkept: false, alone: false, elsewhere: null };
const says = (what) => wordsFor({ ...calm, ...what })?.text;

test("what is kept only with the page is said, after all that is graver and before that one is alone", () => {
	const only = "What you write is kept only while this page is open.";
	assert.equal(wordsFor(calm), null);
	assert.equal(says({ unkept: true }), only);
	assert.equal(wordsFor({ ...calm, unkept: true }).late > 0, true, "not for the moment that sending takes");
	assert.equal(says({ unkept: true, alone: true, elsewhere: { label: "b", href: "http://b" } }), only);
	assert.match(says({ unkept: true, broker: "down" }), /can't reach each other/);
	assert.match(says({ unkept: true, lostName: "Ann" }), /Ann/);
	assert.match(says({ unkept: true, state: { state: "offline", until: 0 }, address: {} }), /^Offline/);
});

test("names of another direction are isolated, so that they stand in their order", () => {
	const [one, two] = ["\u2068נועה\u2069", "\u2068سلمى\u2069"];
	assert.equal(typingWords(["נועה", "سلمى", "Bob"]), `${one}, ${two} and Bob are typing…`);
	assert.equal(typingWords(["Ann"]), "Ann is typing…", "nothing where nothing is needed");
	assert.equal(namesOf(["נועה", "سلمى", "佐藤"]), `${one}, ${two} and 佐藤`);
	assert.equal(says({ lostName: "נועה" }), `Somebody else is ${one} now. Choose another name below.`);
	assert.equal(says({ moderated: { action: "ban", by: { name: "نور" }, reason: "ספאם" } }), "\u2068نور\u2069 banned you: \u2068ספאם\u2069.");
});
