import assert from "node:assert/strict";
import { test } from "node:test";
import { wordsFor } from "../assets/view/words.js";

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
