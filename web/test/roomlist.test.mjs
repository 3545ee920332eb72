import assert from "node:assert/strict";
import { test } from "node:test";
import { choicesOf } from "../assets/model/choices.js";
import { badgeOf, besides, totalOf, unreadWords } from "../assets/model/roomlist.js";

const row = (room, what = {}) => ({ room, count: 0, unread: 0, more: false, mentions: 0, muted: false, ...what });

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

const names = (choices) => choices.map(({ room, row }) => (row ? room : `+${room}`)).join(" ");

test("one's own rooms are offered first: named, unread, visited; then others; then what was typed", () => {
	const rows = {
		own: [row("alpha"), row("beta", { unread: 2 }), row("delta"), row("gamma", { unread: 1, mentions: 1 }), row("lobby")],
		others: [row("busy", { count: 9 }), row("café", { count: 3 })],
	};
	const offer = (typed) => names(choicesOf(rows, ["lobby", "delta", "alpha"], "lobby", typed));
	assert.equal(offer(""), "gamma beta delta alpha busy café");
	assert.equal(offer("  "), "gamma beta delta alpha busy café");
	assert.equal(offer("B"), "beta busy lobby +B", "what begins with it first; the room one is in, when asked for");
	assert.equal(offer("#lobby"), "lobby");
	assert.equal(offer("CAFE"), "café +CAFE");
	assert.equal(offer("zeta"), "+zeta");
	const many = { own: [], others: Array.from({ length: 80 }, (_, i) => row(`r${i}`)) };
	assert.equal(choicesOf(many, [], "", "r").length, 51);
	assert.equal(rows.own[0].room, "alpha", "the list stays as it was");
});

test("the next room, and the one before, go round", () => {
	const own = [row("a"), row("b", { unread: 1 }), row("c"), row("d", { unread: 1 })];
	assert.equal(besides(own, "a", 1, false), "b");
	assert.equal(besides(own, "a", -1, false), "d");
	assert.equal(besides(own, "d", 1, false), "a");
	assert.equal(besides(own, "b", 1, true), "d");
	assert.equal(besides(own, "b", -1, true), "d");
	assert.equal(besides([row("a")], "a", 1, false), "");
	assert.equal(besides([row("a"), row("b")], "a", 1, true), "");
});
