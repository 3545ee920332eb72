import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { RoomLog } from "../assets/model/roomlog.js";
import { Announcer } from "../assets/view/announce.js";
import { until } from "./fakes.mjs";

globalThis.document ??= {};
document.createElement = () => ({ textContent: "" });

const ANN = { id: "a", name: "Ann" };
const ME = { id: "me", name: "Me" };
const entry = (seq, more = {}) => ({ id: `${1000 + seq}-${seq}`, room: "r", key: `k${seq}`, user: ANN, text: `text ${seq}`, time: 1000 + seq, node: "n", ...more });

/** Where a screen reader listens. */
class FakeRegion {
	said = [];
	childElementCount = 0;

	replaceChildren(...children) {
		this.childElementCount = children.length;
		this.said.push(children.map(({ textContent }) => textContent));
	}
}

let region;
let announcer;
let log;

beforeEach(() => {
	region = new FakeRegion();
	announcer = new Announcer(region);
	log = new RoomLog("r");
	log.loaded = true;
	log.add([entry(10), entry(11)]);
	announcer.heard(log, ME, true);
});

test("words are read out as they are shown, without marks and quotes", async () => {
	log.add([
		entry(12, { text: "> @Me #1-2: what?\n**No**, see [this](https://a.example/x) and `code`" }),
		entry(13, { text: "/me *waves*" }), entry(14, { text: "> only a quote" }),
	]);
	announcer.heard(log, ME, false);
	await until(() => region.said.length === 1);
	assert.deepEqual(region.said[0], ["Ann: No, see this and code", "Ann waves", "Ann: only a quote"]);
});

test("what is new is read out, and neither history nor one's own words nor what is older", async () => {
	log.addOlder([entry(1), entry(2)], false);
	log.add([entry(12), entry(13, { user: ME })]);
	announcer.heard(log, ME, false);
	announcer.heard(log, ME, false);
	await until(() => region.said.length, "it is read out");
	assert.deepEqual(region.said, [["Ann: text 12"]]);
});

test("where much is said it is counted, and not read out all the time", async () => {
	const start = Date.now();
	for (let seq = 20; seq < 60; seq++) {
		log.add([entry(seq)]);
		announcer.heard(log, ME, false);
	}
	await until(() => region.said.length, "the first is read out");
	for (let seq = 60; seq < 80; seq++) log.add([entry(seq)]);
	announcer.heard(log, ME, false);
	await until(() => region.said.length > 1, "the next is read out");
	assert.deepEqual(region.said, [["40 new messages"], ["20 new messages"]]);
	assert.ok(Date.now() - start > 1000, "at once again");
});

test("another room's messages are no news", async () => {
	const other = new RoomLog("s");
	other.loaded = true;
	other.add([entry(5000)]);
	announcer.heard(other, ME, true);
	other.add([entry(5001)]);
	announcer.heard(other, ME, false);
	await until(() => region.said.length, "it is read out");
	assert.deepEqual(region.said, [["Ann: text 5001"]]);
});
