import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const kept = new Map();
globalThis.localStorage = {
	getItem: (key) => kept.get(key) ?? null,
	setItem: (key, value) => kept.set(key, value),
	removeItem: (key) => kept.delete(key),
};
const { Attention } = await import("../assets/model/attention.js");
const { RoomLog } = await import("../assets/model/roomlog.js");

const ME = { id: "me", name: "Me" };
const ANN = { id: "a", name: "Ann" };
const entry = (seq, text = "hi", user = ANN, epoch = 1000) => ({ id: `${epoch + seq}-${seq}`, room: "r", key: `k${seq}`, user, text, time: epoch + seq, node: "n" });
const joined = (messages) => {
	const log = new RoomLog("r");
	log.arrive({ messages, members: [], count: 1, again: false, gap: false, restarted: false });
	return log;
};

beforeEach(() => kept.set("chat.read", "[]")); // merely cleared, the page's memory would stay

test("what others say counts, one's own does not, and mentions are counted apart", () => {
	const attention = new Attention();
	const log = joined([entry(1)]);
	attention.count(log, ME);
	assert.equal(log.unread, 0, "a room never read begins as read");
	log.add([entry(2), entry(3, "@me look"), entry(4, "mine @me", ME)]);
	attention.count(log, ME);
	attention.count(log, ME);
	assert.deepEqual([log.unread, log.mentions], [2, 1]);
	attention.read(log);
	assert.deepEqual([log.unread, log.mentions], [0, 0]);
	log.add([entry(5)]);
	attention.count(log, ME);
	assert.equal(log.unread, 1, "it goes on after what was read");
});

test("a longer name that becomes known takes its mentions away from the shorter one", () => {
	const attention = new Attention();
	const log = joined([entry(1)]);
	attention.count(log, ME);
	log.add([entry(2, "@Me Too look"), entry(3, "@Me look")]);
	attention.count(log, ME);
	assert.equal(log.mentions, 2, "nobody else is known");
	log.presence({ joined: [{ id: "b", name: "Bob" }], left: [], count: 2 });
	attention.count(log, ME);
	assert.equal(log.mentions, 2);
	log.presence({ joined: [{ id: "t", name: "Me Too" }], left: [], count: 3 });
	attention.count(log, ME);
	assert.deepEqual([log.unread, log.mentions], [2, 1]);
	attention.seen(log, ME, "1003-3");
	assert.deepEqual([log.unread, log.mentions], [0, 0]);
});

test("the first message of a room that was empty is new", () => {
	const attention = new Attention();
	const log = joined([]);
	attention.count(log, ME);
	log.add([entry(1)]);
	attention.count(log, ME);
	assert.equal(log.unread, 1);
});

test("what comes to an empty room while the page is closed is new", () => {
	const before = new Attention();
	before.count(joined([]), ME);
	before.save();
	const log = joined([entry(1), entry(2)]);
	new Attention().count(log, ME);
	assert.equal(log.unread, 2);
});

test("where all that is known is unread, more may be", () => {
	const attention = new Attention();
	attention.read(joined([entry(1)]));
	const far = joined([entry(5), entry(6)]);
	attention.count(far, ME);
	assert.deepEqual([far.unread, far.unreadMore], [2, true]);
	far.addOlder([entry(2), entry(3), entry(4)], true);
	attention.count(far, ME);
	assert.deepEqual([far.unread, far.unreadMore], [5, false], "all since what was read is here");
	attention.read(far);
	assert.equal(far.unreadMore, false);
	const whole = joined([entry(1), entry(2)]);
	new Attention().count(whole, ME);
	assert.equal(whole.unreadMore, false);
});

test("deleted messages don't count", () => {
	const attention = new Attention();
	const log = joined([entry(1)]);
	attention.read(log);
	log.add([entry(2, "@me"), entry(3)]);
	attention.count(log, ME);
	log.add([{ ...entry(4), kind: "delete", target: entry(2).id }]);
	attention.count(log, ME);
	assert.deepEqual([log.unread, log.mentions], [1, 0]);
});

test("after a reload it counts from the read position, and says from where it is new", () => {
	const before = new Attention();
	before.read(joined([entry(1), entry(2)]));
	before.save();
	const log = joined([1, 2, 3, 4, 5].map((seq) => entry(seq, "hi", seq === 3 ? ME : ANN)));
	const after = new Attention();
	after.opened(log, ME);
	assert.equal(log.unread, 2);
	assert.equal(log.newFrom, 4, "one's own message is not new");
	after.read(log);
	after.opened(log, ME);
	assert.equal(log.newFrom, 0);
});

test("what another tab read is read here, and an older position takes nothing back", () => {
	const here = new Attention();
	const log = joined([entry(1)]);
	here.read(log);
	const there = new Attention();
	log.add([entry(2), entry(3)]);
	here.count(log, ME);
	assert.equal(log.unread, 2);
	there.read(joined([entry(1), entry(2), entry(3)]));
	there.save();
	here.reload();
	here.count(log, ME);
	assert.equal(log.unread, 0);
	here.save();
	assert.equal(JSON.parse(kept.get("chat.read"))[0][1], entry(3).id);
});

test("a room that began anew is counted from its beginning", () => {
	const attention = new Attention();
	attention.read(joined([8, 9].map((seq) => entry(seq))));
	const anew = joined([1, 2].map((seq) => entry(seq, "hi", ANN, 9000)));
	attention.count(anew, ME);
	assert.equal(anew.unread, 2);
	attention.read(anew);
	attention.count(anew, ME);
	assert.equal(anew.unread, 0);
});

test("read positions of 50 rooms are kept, those read last", () => {
	const attention = new Attention();
	for (let i = 0; i < 60; i++) {
		const log = joined([entry(1)]);
		log.name = `r${i}`;
		attention.read(log);
	}
	attention.save();
	const rooms = JSON.parse(kept.get("chat.read")).map(([room]) => room);
	assert.equal(rooms.length, 50);
	assert.equal(rooms.at(-1), "r59");
});

test("what was seen is read, and no more", () => {
	const attention = new Attention();
	attention.read(joined([entry(1)]));
	const log = joined([entry(1), entry(2, "@me"), entry(3), entry(4, "mine", ME), entry(5, "@me"), entry(6)]);
	attention.opened(log, ME);
	assert.deepEqual([log.unread, log.mentions, log.newFrom], [4, 2, 2]);
	attention.seen(log, ME, entry(3).id);
	assert.deepEqual([log.unread, log.mentions, log.newFrom], [2, 1, 2]);
	attention.seen(log, ME, entry(2).id);
	assert.equal(log.unread, 2, "an older one takes nothing back");
	log.add([entry(7)]);
	attention.count(log, ME);
	assert.equal(log.unread, 3);
	attention.seen(log, ME, entry(7).id);
	assert.deepEqual([log.unread, log.mentions], [0, 0]);
	attention.save();
	assert.equal(new Map(JSON.parse(kept.get("chat.read"))).get("r"), entry(7).id);
});

test("the line goes up to older messages that are new, and goes with one's own answer", () => {
	const attention = new Attention();
	attention.read(joined([entry(1)]));
	const log = joined([entry(5), entry(6)]);
	attention.opened(log, ME);
	assert.equal(log.newFrom, 5);
	log.addOlder([entry(2), entry(3), entry(4)], true);
	assert.equal(attention.place(log, ME), true);
	assert.equal(log.newFrom, 2);
	log.answered();
	assert.equal(attention.place(log, ME), false);
	assert.equal(log.newFrom, 0);
});
