import assert from "node:assert/strict";
import { test } from "node:test";
import { plainOf, quoteOf } from "../assets/text/excerpt.js";
import { parse } from "../assets/text/markup.js";
import { Names } from "../assets/text/names.js";

/** A tree as one reads it: kind(inside). */
function told(text, names) {
	const one = (inline) => (typeof inline === "string" ? inline : `${inline.kind}${inline.to ? `:${inline.to}` : ""}(${all(inline.inlines)})`);
	const all = (list) => list.map(one).join("");
	const item = ({ value, inlines, lists }) => `${value === undefined ? "" : `${value} `}${all(inlines)}${lists.map(block).join("")}`;
	const block = ({ kind, text: code, inlines, blocks, items, ordered }) =>
		kind === "code" ? `[code ${code}]` : kind === "list" ? `[${ordered || "-"} ${items.map(item).join(" | ")}]`
			: kind === "quote" ? `[quote ${blocks.map(block).join("\n")}]` : all(inlines);
	return parse(text, names && [new Names(names)]).map(block).join("\n");
}

const said = {
	"plain": "plain",
	"**bold** and *italic* and _italic_ and ~~gone~~": "bold(bold) and italic(italic) and italic(italic) and strike(gone)",
	"**bold *both* bold**": "bold(bold italic(both) bold)",
	"snake_case_name 2*3*4 a**b**c": "snake_case_name 2*3*4 a**b**c",
	"* not a mark *": "[- not a mark *]",
	"a * b * c": "a * b * c",
	"**open *italic*": "**open italic(italic)",
	"****": "****",
	"`code **not bold**` after": "code(code **not bold**) after",
	"> quoted **bold**\n> more\nanswer": "[quote quoted bold(bold)\nmore]\nanswer",
	"- one\n- two *x*\nafter": "[- one | two italic(x)]\nafter",
	"before\n\n- one\n\nafter\n\nmore": "before\n[- one]\nafter\n\nmore",
	"3. three\n4. four": "[. 3 three | 4 four]",
	"before\n```go\nx := **1**\n```\nafter": "before\n[code x := **1**]\nafter",
	"```\n```": "```\n```",
	"see https://a.example/x_(y). Then": "see link:https://a.example/x_(y)(https://a.example/x_(y)). Then",
	"(https://a.example/)": "(link:https://a.example/(https://a.example/))",
	"**https://a.example/**": "bold(link:https://a.example/(https://a.example/))",
	"[words](https://a.example/x)": "link:https://a.example/x(words)",
	"[x](javascript:alert(1)) [x](data:text/html,x) [x](//evil.example)": "[x](javascript:alert(1)) [x](data:text/html,x) [x](//evil.example)",
	"ann@example.org": "link:mailto:ann@example.org(ann@example.org)",
	"hello @Ann, see #lobby and #1764000000100-18": "hello mention:Ann(@Ann), see room:lobby(#lobby) and entry:1764000000100-18(#1764000000100-18)",
	"a@b #1 x#y @": "a@b #1 x#y @",
	"https://good.example/\u202egro.live": "link:https://good.example/(https://good.example/)\u202egro.live",
	"https:// https://a:b@[::1]:99999/": "https:// https://a:b@[::1]:99999/",
};

for (const [text, want] of Object.entries(said))
	test(`what is meant by ${JSON.stringify(text)}`, () => assert.equal(told(text), want));

const link = (url) => `link:${url}(${url})`;

test("an address ends where its sentence goes on", () => {
	const x = "https://a.example/x";
	const wiki = "https://en.wikipedia.org/wiki/Foo_(bar)";
	for (const [text, want] of Object.entries({
		[`(${wiki})`]: `(${link(wiki)})`,
		[`(see ${x}.)`]: `(see ${link(x)}.)`,
		[`[${x}]`]: `[${link(x)}]`,
		[`“${x}”`]: `“${link(x)}”`,
		[`„${x}“ «${x}» ‘${x}’ '${x}'`]: `„${link(x)}“ «${link(x)}» ‘${link(x)}’ '${link(x)}'`,
		[`请看${x}。谢谢`]: `请看${link(x)}。谢谢`,
		[`${x}，谢谢 ${x}！ ${x}？ ${x}）。`]: `${link(x)}，谢谢 ${link(x)}！ ${link(x)}？ ${link(x)}）。`,
		[`「${x}」と`]: `「${link(x)}」と`,
		[`${x}… ${x}، ${x}؟ ${x}۔ ${x}। ${x}։`]: `${link(x)}… ${link(x)}، ${link(x)}؟ ${link(x)}۔ ${link(x)}। ${link(x)}։`,
		"https://en.wikipedia.org/wiki/Schrödinger's_cat.": `${link("https://en.wikipedia.org/wiki/Schrödinger's_cat")}.`,
		"https://google.com's": `${link("https://google.com")}'s`,
		"[x](https://en.wikipedia.org/wiki/A_(b))": "link:https://en.wikipedia.org/wiki/A_(b)(x)",
		"HTTPS://A.EXAMPLE/X Https://a.example/x": `${link("HTTPS://A.EXAMPLE/X")} ${link("Https://a.example/x")}`,
		"https://ja.wikipedia.org/wiki/ジョン・レノン": link("https://ja.wikipedia.org/wiki/ジョン・レノン"),
		"https://例え.jp/": link("https://例え.jp/"),
		"https://[::1]:8080/a[0]": link("https://[::1]:8080/a[0]"),
		"https://a.example/(x],": `${link("https://a.example/(x")}],`,
		"*https://a.example/y_* https://a.example/y_, https://a.example/__": `italic(${link("https://a.example/y_")}) ${link("https://a.example/y_")}, ${link("https://a.example/__")}`,
		"_https://a.example/y_ _see https://a.example/y_. __https://a.example/y__": `italic(${link("https://a.example/y")}) italic(see ${link("https://a.example/y")}). __${link("https://a.example/y")}__`,
		"jörg@example.org": "jörg@example.org",
	}))
		assert.equal(told(text), want, text);
});

test("a room's name ends with its sentence, and is one in any case", () => {
	for (const [text, want] of Object.entries({
		"come to #lobby.": "come to room:lobby(#lobby).",
		"#lobby... #go.dev, #a-b_c-": "room:lobby(#lobby)... room:go.dev(#go.dev), room:a-b_c-(#a-b_c-)",
		"#Lobby": "room:lobby(#Lobby)",
		"请到#lobby，＃lobby谢谢": "请到room:lobby(#lobby)，room:lobby(＃lobby)谢谢",
		"בואו ל#lobby": "בואו לroom:lobby(#lobby)",
		"_#lobby_": "italic(room:lobby(#lobby))",
		"#café": "#café",
		"@Ann.": "mention:Ann(@Ann).",
	}))
		assert.equal(told(text), want, text);
});

test("marks need no space where a script has none", () => {
	for (const [text, want] of Object.entries({
		"这是**粗体**文字": "这是bold(粗体)文字",
		"**重要。**これは": "bold(重要。)これは",
		"**API**を使う": "bold(API)を使う",
		"**굵게**는": "bold(굵게)는",
		"**“重要”**这": "bold(“重要”)这",
		"***both***": "bold(italic(both))",
		"2 ** 3 ** 4, 5*x, a ~ b ~~~ c": "2 ** 3 ** 4, 5*x, a ~ b ~~~ c",
		"(*a*) \"*b*\"": "(italic(a)) \"italic(b)\"",
	}))
		assert.equal(told(text), want, text);
});

test("a backslash takes a mark's meaning away, and stays everywhere else", () => {
	for (const [text, want] of Object.entries({
		"\\*not italic\\*": "*not italic*",
		"¯\\_(ツ)_/¯ ¯\\\\_(ツ)_/¯": "¯\\_(ツ)_/¯ ¯\\_(ツ)_/¯",
		"C:\\_foo_\\_bar_ \\\\server\\*x*": "C:\\_foo_\\_bar_ \\\\server\\italic(x)",
		"__init__ and __x": "__init__ and __x",
		"\\`not code\\` \\@Ann \\#lobby \\:tada:": "`not code` @Ann #lobby :tada:",
		"\\[x](https://a.example/)": `[x](${link("https://a.example/")})`,
		"1\\. not a list": "1. not a list",
		"\\- not a list\\n": "- not a list\\n",
		"\\d+ and \\\\*it*": "\\d+ and \\italic(it)",
		"`a\\`": "code(a\\)",
		"a \\\\ b \\! \\( \\\\": "a \\\\ b \\! \\( \\\\",
	}))
		assert.equal(told(text), want, text);
});

test("lists keep the numbers that were written, and their levels", () => {
	for (const [text, want] of Object.entries({
		"2. yes\n5. no": "[. 2 yes | 5 no]",
		"1. a\n2. b\n4. c": "[. 1 a | 2 b | 4 c]",
		"10) a\n20) b": "[) 10 a | 20 b]",
		"- a\n  - b\n  - c\n- d": "[- a[- b | c] | d]",
		"1. a\n   - b\n      - c\n2. d": "[. 1 a[- b[- c]] | 2 d]",
		"- a\n1. b": "[- a]\n[. 1 b]",
		"     - far in": "     - far in",
	}))
		assert.equal(told(text), want, text);
});

test("a quote holds what is in it: code, lists, quotes", () => {
	for (const [text, want] of Object.entries({
		"> ```\n> a\n> ```\nb": "[quote [code a]]\nb",
		"> - a\n> > b\n> c": "[quote [- a]\n[quote b]\nc]",
		"```\n> a\n```": "[code > a]",
		"> @Ann Lee #1-2: words": "[quote mention:Ann Lee(@Ann Lee) entry:1-2(#1-2): words]",
		"``a ` b`` and `c`": "code(a ` b) and code(c)",
	}))
		assert.equal(told(text), want, text);
	assert.ok(told("> ".repeat(50) + "x").split("[quote").length <= 4);
});

test("a reply quotes words as one line, and code blocks as they are", () => {
	assert.equal(quoteOf("look:\n```js\nconst a = **1**;\n\tif (x) y();\n```\nwhy?\nme", 140), "look:\n```\nconst a = **1**;\n\tif (x) y();\n```\nwhy? me");
	const reply = (text) => told(`> @Bob #1-2: ${quoteOf(text, 140).replaceAll("\n", "\n> ")}\nmine`);
	assert.equal(reply("a\n```\n`x` @Ann\n\n> y\n```\nb"), "[quote mention:Bob(@Bob) entry:1-2(#1-2): a\n[code `x` @Ann\n\n> y]\nb]\nmine");
	assert.equal(quoteOf("> @Ann #1-1: before\nShall we\nmeet?", 140), "Shall we meet?");
	assert.equal(quoteOf("1. a\n2. b\n   - c", 140), "1. a 2. b - c");
	assert.equal(quoteOf("x".repeat(200), 140), `${"x".repeat(140)}…`);
	assert.equal(quoteOf(`${"x".repeat(200)}\n\`\`\`\na\n\`\`\``, 140), `${"x".repeat(140)}…`, "nothing stands behind what was cut off");
	assert.equal(quoteOf(`see https://a.example/${"x".repeat(200)}`, 140), "see …", "no half of an address");
	assert.equal(quoteOf("```\n" + "x".repeat(200) + "\n```", 10), "```\n" + "x".repeat(200) + "\n```", "code as a whole");
	assert.equal(quoteOf("```\n" + "x\n".repeat(1000) + "```", 10), "```\n" + "x\n".repeat(500) + "…\n```", "within a bound");
});

test("the longest name that is known is meant, in any spelling the nodes fold to it", () => {
	const there = ["Ann", "Ann Lee", "ann.lee", "小明", "김철수", "佐藤", "田中 太郎", "İbrahim", "Straße", "สมชาย", "Σωκράτης"];
	for (const [text, want] of Object.entries({
		"@ann.lee please": "mention:ann.lee(@ann.lee) please",
		"@Ann Lee please": "mention:Ann Lee(@Ann Lee) please",
		"@ann": "mention:Ann(@ann)",
		"你好@小明": "你好mention:小明(@小明)",
		"@小明你好": "mention:小明(@小明)你好",
		"请看@小明，谢谢": "请看mention:小明(@小明)，谢谢",
		"@김철수님 안녕, @김철수가": "mention:김철수(@김철수)님 안녕, mention:김철수(@김철수)가",
		"@佐藤さん、確認": "mention:佐藤(@佐藤)さん、確認",
		"@田中　太郎さん": "mention:田中 太郎(@田中　太郎)さん",
		"＠Ann ＠ＡＮＮ": "mention:Ann(＠Ann) mention:Ann(＠ＡＮＮ)",
		"@ibrahim @İBRAHİM @IBRAHIM": "mention:İbrahim(@ibrahim) mention:İbrahim(@İBRAHİM) mention:İbrahim(@IBRAHIM)",
		"@STRASSE": "mention:Straße(@STRASSE)",
		"@สมชายครับ": "mention:สมชาย(@สมชาย)ครับ",
		"@ΣΩΚΡΆΤΗΣ": "mention:Σωκράτης(@ΣΩΚΡΆΤΗΣ)",
		"@Ann@mastodon.example": "@link:mailto:Ann@mastodon.example(Ann@mastodon.example)",
		"@Ann/@小明": "mention:Ann(@Ann)/mention:小明(@小明)",
		"medium.com/@Ann": "medium.com/@Ann",
		"@Annさん @鈴木さん": "mention:Ann(@Ann)さん mention:鈴木(@鈴木)さん",
	}))
		assert.equal(told(text, there), want, text);
});

test("nothing of a text is lost but the marks", () => {
	const words = (list) => list.map((inline) => (typeof inline === "string" ? inline : words(inline.inlines))).join("");
	const all = ({ text: code, inlines = [], blocks = [], items = [] }) =>
		code ?? words(inlines) + blocks.map(all).join("") + items.map((item) => words(item.inlines) + item.lists.map(all).join("")).join("");
	for (const text of Object.keys(said)) {
		const shown = parse(text).map(all).join("");
		for (const word of text.match(/[a-z]{2,}/g) ?? [])
			if (!/go|example|https/.test(word)) assert.ok(shown.includes(word), `${word} of ${JSON.stringify(text)} is not in ${JSON.stringify(shown)}`);
	}
});

test("marks however many and nested are read in a moment, and no deeper than is drawn", () => {
	const deep = (list) => Math.max(0, ...list.map((inline) => (typeof inline === "string" ? 0 : 1 + deep(inline.inlines))));
	for (const mark of ["*", "**", "_", "~~", "`", "[", "](", "> ", "- ", "```", "```\n", "@", "#", "#a", "*a_", "**_~~`", "_a *b ", "https://", "a.", "a@", "1-1#", "[a](https://"]) {
		for (const text of [mark.repeat(10_000), `${mark.repeat(5000)}x${[...mark].reverse().join("").repeat(5000)}`, `${mark}a `.repeat(5000)]) {
			const start = performance.now();
			const blocks = parse(text);
			const took = performance.now() - start;
			assert.ok(took < 1000, `${JSON.stringify(mark)} took ${took} ms for ${text.length} characters`);
			const inlines = (block) => [...(block.inlines ?? []), ...(block.blocks ?? []).flatMap(inlines), ...(block.items ?? []).flatMap((item) => [...item.inlines, ...item.lists.flatMap(inlines)])];
			assert.ok(deep(blocks.flatMap(inlines)) <= 9);
		}
	}
});

test("a message in plain words is what is shown of it", () => {
	for (const [text, words] of [
		["**a** _b_ ~~c~~ \\*d\\*", "a b c *d*"],
		["1. one\n2. two\n   - three", "1. one 2. two three"],
		["look:\n```js\nf(1);\n\nf(2);\n```\nwell", "look: f(1); f(2); well"],
		["> quoted\n> > twice\nmine", "mine"],
		["> quoted\n> > twice", "quoted twice"],
		["@Ann in #lobby: https://a.example/x", "@Ann in #lobby: https://a.example/x"],
		["/me is **here**", "Ann is here"],
		["/me", "/me"],
		[":tada: 🎉", ":tada: 🎉"],
	]) assert.equal(plainOf(text, "Ann", 200), words);
	assert.equal(plainOf("**" + "x".repeat(300) + "**", "Ann", 10), "xxxxxxxxx…");
	assert.equal(plainOf("👩‍👧".repeat(9), "Ann", 4), "👩‍👧…");
});

test("a quoted action is what was done, not a command", () => {
	assert.equal(quoteOf("/me waves", 140), "waves");
});
