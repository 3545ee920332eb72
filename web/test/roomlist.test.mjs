import assert from "node:assert/strict";
import { test } from "node:test";
import { badgeOf, totalOf, unreadWords } from "../assets/roomlist.js";

const row = (room, what = {}) => ({ room, count: 0, unread: 0, more: false, mentions: 0, ...what });

test("a badge says mentions first, and no number that is not known", () => {
	assert.equal(badgeOf(row("a")), "");
	assert.equal(badgeOf(row("a", { unread: 3 })), "3");
	assert.equal(badgeOf(row("a", { unread: 50, more: true })), "50+");
	assert.equal(badgeOf(row("a", { unread: 100 })), "99+");
	assert.equal(badgeOf(row("a", { unread: 5, mentions: 2 })), "@2");
	assert.equal(badgeOf(row("a", { unread: 500, mentions: 120 })), "@99+");
});

test("the same in words", () => {
	assert.equal(unreadWords(row("a")), "");
	assert.equal(unreadWords(row("a", { unread: 1 })), "1 unread");
	assert.equal(unreadWords(row("a", { unread: 50, more: true, mentions: 1 })), "at least 50 unread, 1 of them names you");
	assert.equal(unreadWords(row("a", { unread: 7, mentions: 2 })), "7 unread, 2 of them name you");
});

test("all rooms together", () => {
	const total = totalOf([row("a", { unread: 3 }), row("b", { unread: 50, more: true, mentions: 1 }), row("c")]);
	assert.deepEqual(total, { unread: 53, more: true, mentions: 1 });
	assert.equal(badgeOf(totalOf([])), "");
});
