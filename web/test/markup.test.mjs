import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "../assets/markup.js";

/** A tree as one reads it: kind(inside). */
function told(text) {
	const one = (inline) => (typeof inline === "string" ? inline : `${inline.kind}${inline.to ? `:${inline.to}` : ""}(${all(inline.inlines)})`);
	const all = (list) => list.map(one).join("");
	return parse(text).map(({ kind, text: code, inlines, items, first }) =>
		kind === "code" ? `[code ${code}]` : kind === "list" ? `[${first ?? "-"} ${items.map(all).join(" | ")}]`
			: kind === "quote" ? `[quote ${all(inlines)}]` : all(inlines)).join("\n");
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
	"3. three\n4. four": "[3 three | four]",
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

test("nothing of a text is lost but the marks", () => {
	const words = (list) => list.map((inline) => (typeof inline === "string" ? inline : words(inline.inlines))).join("");
	for (const text of Object.keys(said)) {
		const shown = parse(text).map(({ text: code, inlines, items }) => code ?? words(inlines ?? items.flat())).join("");
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
			assert.ok(deep(blocks.flatMap(({ inlines, items }) => inlines ?? items?.flat() ?? [])) <= 9);
		}
	}
});
