import assert from "node:assert/strict";
import { test } from "node:test";
import { orderOf } from "../assets/text/commands.js";
import { complete } from "../assets/text/complete.js";
import { EMOJI, emojiOf, named } from "../assets/text/emoji.js";
import * as excerpt from "../assets/text/excerpt.js";

const sources = { names: () => ["Ann", "Ben", "Annika", "Mary Ann"], rooms: () => ["lobby", "go.dev", "x-lobby"], emoji: named };
const withEmoji = (text) => excerpt.withEmoji(text, emojiOf);
const words = (before) => complete(before, sources)?.options.map((one) => one.words) ?? [];

test("a word that a slash begins is a command, a path or a double slash is a text", () => {
	assert.deepEqual(orderOf("/me waves"), { say: "/me waves" });
	assert.deepEqual(orderOf("/ME waves\ntwice"), { say: "/me waves\ntwice" });
	assert.deepEqual(orderOf("/nick  Ann Lee "), { name: "nick", about: "Ann Lee" });
	assert.deepEqual(orderOf("/part"), { name: "part", about: "" });
	assert.deepEqual(orderOf("/usr/bin is full"), { say: "/usr/bin is full" });
	assert.deepEqual(orderOf("//me waves"), { say: "/me waves" });
	assert.deepEqual(orderOf("/ what"), { say: "/ what" });
	assert.deepEqual(orderOf("a /me"), { say: "a /me" });
	assert.match(orderOf("/dance now").wrong, /no \/dance/);
	for (const bare of ["/me", "/nick ", "/join"]) assert.match(orderOf(bare).wrong, /^Write .* after \//, bare);
});

test("names, rooms, emoji and commands are offered for what was begun", () => {
	assert.deepEqual(words("hi @an"), ["@Ann", "@Annika", "@Mary Ann"]);
	assert.deepEqual(words("@"), ["@Ann", "@Ben", "@Annika", "@Mary Ann"]);
	assert.deepEqual(words("(#lob"), ["#lobby", "#x-lobby"]);
	assert.deepEqual([words("ל@an"), words("お願いします#lob"), words("見て:tada")], [["@Ann", "@Annika", "@Mary Ann"], ["#lobby", "#x-lobby"], [":tada:"]]);
	assert.deepEqual(words("/"), ["/me", "/nick", "/join", "/part", "/help"]);
	assert.deepEqual(words("/HE"), ["/help"]);
	assert.deepEqual(words("/kic"), [], "a moderator's");
	assert.equal(complete("/kic", { ...sources, moderator: () => true }).options[0].words, "/kick");
	assert.equal(words("so :smil")[0], ":smiley:");
	assert.deepEqual(words("so :s"), [], "one letter is too little");
	for (const none of ["a@an", "x#lob", "say /he", "10:30", "@zed", ""]) assert.deepEqual(words(none), [], none);
	assert.ok(words("x :ar").length <= 8);
});

test("nothing is offered in code that was begun, as the parser of messages finds it", () => {
	for (const code of ["`@an", "a `b` `c @an", "``a ` @an", "``@an", "```\na @an", "```js\n`a` :tada", "> `@an", "> ```\n> @an", "```a``` `#lob", "- `@an"])
		assert.deepEqual(words(code), [], code);
	for (const none of ["`a` @an", "`a\n@an", "\\`@an", "\\` @an", "```a```\n@an", "``a`` @an", "> `a` @an", "> `a\n> @an", "[a @an"])
		assert.deepEqual(words(none), ["@Ann", "@Annika", "@Mary Ann"], none);
});

test("the name that is written whole is offered first, and a name before longer ones that begin with it", () => {
	const of = (before, ...names) => complete(before, { ...sources, names: () => names })?.options.map((one) => one.words) ?? [];
	assert.deepEqual(of("@anna", "Annabel", "Anna"), ["@Anna", "@Annabel"]);
	assert.deepEqual(of("@ann", "Annabel", "Zoe", "Anna", "Annabel Lee", "Ann"), ["@Ann", "@Anna", "@Annabel", "@Annabel Lee"]);
	assert.deepEqual(of("@an", "Mary Ann", "Annabel", "Anna"), ["@Anna", "@Annabel", "@Mary Ann"]);
	assert.deepEqual(of("@b", "Bob Marsh", "Bea"), ["@Bob Marsh", "@Bea"], "the likeliest first where neither begins the other");
	const many = Array.from({ length: 20 }, (_, i) => `Annabel ${i}`);
	assert.equal(of("@annabel", ...many, "Annabel")[0], "@Annabel", "also where many others come before");
	assert.equal(of("@annabel", ...many, "Annabel").length, 8);
	assert.deepEqual(of("@alı", "Ali", "Alı"), ["@Alı", "@Ali"], "two names for the nodes");
	assert.deepEqual(of("@", "Annabel", "Anna"), ["@Annabel", "@Anna"], "nothing is begun");
});

test("what is begun is found in every spelling in which a mention is, and in full width", () => {
	const of = (before, ...names) => complete(before, { ...sources, names: () => names })?.options.map((one) => one.words) ?? [];
	for (const begun of ["@ist", "@IST", "@İST", "@istanbul", "@i\u0307st", "＠ｉｓｔ"]) assert.deepEqual(of(begun, "İstanbul"), ["@İstanbul"], begun);
	for (const begun of ["@ışık", "@IŞIK", "@iş"]) assert.deepEqual(of(begun, "Işık"), ["@Işık"], begun);
	assert.deepEqual(of("@stras", "Straße"), ["@Straße"]);
	assert.deepEqual(of("@straß", "STRASSE"), ["@STRASSE"]);
	assert.deepEqual(of("@ann", "Ａnn"), ["@Ａnn"]);
	assert.equal(complete("@istanbul", { ...sources, names: () => ["İstanbul"] }).whole, true);
	for (const begun of ["：tad", ":ｔａｄ", "見て：tada"]) assert.deepEqual(words(begun), [":tada:"], begun);
	assert.deepEqual(words("＃lob"), ["#lobby", "#x-lobby"]);
});

test("what takes the place of a begun word is it and a space", () => {
	const { from, options, whole } = complete("hi @an", sources);
	assert.deepEqual([from, options[0].put, whole], [3, "@Ann ", false]);
	assert.equal(complete("hi :tada", sources).options[0].put, "🎉 ");
	// Whoever has written it whole wants no help with it.
	for (const done of ["@ann", "#LOBBY", "/help", ":tada"]) assert.equal(complete(done, sources).whole, true, done);
});

test("emoji have names of their own, and stand for them in texts but not in code", () => {
	const names = EMOJI.flatMap((one) => one.names);
	assert.equal(new Set(names).size, names.length, "a name stands for two");
	assert.equal(new Set(EMOJI.map(({ emoji }) => emoji)).size, EMOJI.length, "an emoji is there twice");
	for (const name of names) assert.match(name, /^[a-z0-9_+-]+$/);
	for (const { emoji } of EMOJI) assert.match(emoji, /^\p{Emoji}\uFE0F?$/u);
	assert.equal(withEmoji("well :+1: :tada:!"), "well 👍 🎉!");
	for (const same of ["10:30:45", "a:tada:b", "`:tada:`", "```\n:tada:\n```", ":nothing_of_it:", "https://a/:tada:", "std::tada::x"])
		assert.equal(withEmoji(same), same);
	// The same tree decides as for all other marks.
	for (const [text, sent] of [
		["> a :+1: b\n>> :+1:\n:+1:", "> a 👍 b\n>> 👍\n👍"], ["1. :+1:\n   - **:+1:**\n\n:+1:", "1. 👍\n   - **👍**\n\n👍"], ["```\n:+1:\n```\n:+1:", "```\n:+1:\n```\n👍"],
		["``a ` :+1:`` :+1:", "``a ` :+1:`` 👍"], ["\\:+1: :+1:", "\\:+1: 👍"], ["[:+1:](https://a/:+1:) :+1:", "[:+1:](https://a/:+1:) 👍"],
		["*:heart_eyes:* **:+1:**", "*😍* **👍**"], ["你好:+1:", "你好👍"], ["> @Ann #1-2: :+1:\nso", "> @Ann #1-2: 👍\nso"], [":no::+1:", ":no::+1:"],
	]) assert.equal(withEmoji(text), sent);
	assert.equal(named("HEART")[0].emoji, "❤️");
	assert.deepEqual(named("h"), []);
});

test("no text takes long to read, whatever its marks", () => {
	const start = performance.now();
	for (const mark of [":", "`", "@", "#", "/", ":a", "https://"]) {
		const text = mark.repeat(20_000);
		withEmoji(text);
		complete(text, sources);
		orderOf(text);
	}
	assert.ok(performance.now() - start < 2000);
});
