import assert from "node:assert/strict";
import { test } from "node:test";
import { balanced } from "../assets/text/bidi.js";
import { withoutControls } from "../assets/text/entered.js";
import { plainOf, quoteOf } from "../assets/text/excerpt.js";
import { isolated } from "../assets/text/names.js";

const [LRE, RLE, PDF, LRO, RLO, LRI, RLI, FSI, PDI, RLM] = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200f";

test("no text changes the direction of what follows it", () => {
	for (const [text, want] of [
		["plain שלום", "plain שלום"],
		[`a${RLO}b`, "ab"],
		[`a${RLO}b${PDF}c${LRO}d`, "abcd"],
		[`a${RLE}b`, `a${RLE}b${PDF}`],
		[`${LRE}a${RLI}b`, `${LRE}a${RLI}b${PDI}${PDF}`],
		[`${RLI}a\nb${FSI}c`, `${RLI}a${PDI}\nb${FSI}c${PDI}`],
		[`a${PDF}b${PDI}c`, "abc"],
		[`${LRI}a${RLE}b${PDI}c${PDF}`, `${LRI}a${RLE}b${PDF}${PDI}c`],
		[`${RLE}a${LRI}b${PDF}c${PDI}d`, `${RLE}a${LRI}bc${PDI}d${PDF}`],
		[`${RLI}a${PDI} ${RLE}b${PDF}`, `${RLI}a${PDI} ${RLE}b${PDF}`],
		[`שלום${RLM}!`, `שלום${RLM}!`],
	]) {
		assert.equal(balanced(text), want, JSON.stringify(text));
		assert.equal(balanced(want), want, "once is enough");
	}
});

test("text within a sentence of the page, a notification or a quote keeps its direction to itself", () => {
	assert.equal(isolated(`rude${RLO}`), "rude");
	assert.equal(isolated(`${RLE}rude`), `\u2068${RLE}rude${PDF}\u2069`);
	assert.equal(isolated(`${RLI}rude`), `\u2068${RLI}rude${PDI}\u2069`);
	assert.equal(plainOf(`${RLI}long text`, "Ann", 5), `${RLI}lon…${PDI}`);
	assert.equal(quoteOf(`a${RLO}b${RLE}c`, 140), `ab${RLE}c${PDF}`);
});

test("overrides are removed from what is entered, as control characters are", () => {
	assert.equal(withoutControls(`a${RLO}b${LRO}c`), "abc");
	assert.equal(withoutControls(`${RLE}a${PDF}${RLI}b${PDI}${RLM}`), `${RLE}a${PDF}${RLI}b${PDI}${RLM}`);
});
