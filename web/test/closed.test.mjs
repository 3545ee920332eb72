import assert from "node:assert/strict";
import { test } from "node:test";
import { Closings } from "../assets/model/closed.js";
import { doneWords, moderationOf } from "../assets/model/moderation.js";
import { closedWords } from "../assets/view/words.js";

const MO = { id: "mo", name: "Mo" };

/** Stops the clocks, and returns what lets time pass. */
function clock(t) {
	let now = 0;
	t.mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1_000_000 });
	t.mock.method(performance, "now", () => now);
	return (ms) => {
		now += ms;
		t.mock.timers.tick(ms);
	};
}

test("a room is closed for as long as the node said, by a decision or a refusal", (t) => {
	const pass = clock(t);
	const closings = new Closings();
	const code = (room = "r") => closings.now(room)?.code;
	closings.decided({ action: "mute", room: "r", user: { id: "me", name: "Me" }, by: MO, until: 1_010_000, reason: "spam" }, "me");
	closings.decided({ action: "mute", room: "r", user: { id: "other", name: "O" }, by: MO }, "me");
	assert.deepEqual([code(), code("s")], ["muted", undefined]);
	closings.refused({ code: "muted", message: "no", room: "r", retry_after: 10_000 });
	assert.match(closedWords(closings.now("r")).text, /^Mo muted you until .*: spam\.$/, "a refusal adds to what was decided");
	pass(10_001);
	assert.equal(code(), undefined);
	closings.refused({ code: "slow_mode", message: "no", room: "r", retry_after: 3000 });
	assert.deepEqual([code(), closings.now("r").until], ["slow_mode", 1_013_001]);
	closings.decided({ action: "lock", by: MO }, "me");
	assert.deepEqual([code("r"), code("s")], ["locked", "locked"]);
	closings.decided({ action: "unlock", by: MO }, "me");
	assert.equal(code("s"), undefined);
	closings.refused({ code: "locked", message: "no", room: "s" });
	assert.equal(closedWords(closings.now("s")).text, "This room is locked. Only moderators can write.");
	closings.refused({ code: "too_long", message: "no", room: "q" });
	assert.equal(code("q"), undefined);
	closings.joined("s");
	assert.equal(code("s"), undefined);
});

test("a join tells what holds, in place of all that was known, and durations don't depend on the clock", (t) => {
	const pass = clock(t);
	const closings = new Closings();
	const code = (room = "r") => closings.now(room)?.code;
	closings.decided({ action: "lock", room: "r", by: MO }, "me");
	// The node's clock is far ahead: what counts is how long it is from now.
	closings.joined("r", [{ action: "mute", room: "r", until: 99_000_000, retry_after: 5000, by: MO, reason: "spam" }]);
	assert.deepEqual([code(), closings.now("r").until, closings.now("r").by], ["muted", 1_005_000, "Mo"]);
	let ended = 0;
	closings.onEnd("r", () => ended++);
	pass(5000);
	t.mock.timers.tick(1);
	assert.deepEqual([code(), ended], [undefined, 1]);
	closings.decided({ action: "mute", room: "r", user: { id: "me", name: "Me" }, until: 99_000_000, seconds: 7, by: MO }, "me");
	assert.equal(closings.now("r").until, 1_005_000 + 7001);
	closings.joined("r", [{ action: "lock", by: MO }]);
	assert.deepEqual([code("r"), code("s")], ["locked", "locked"], "without a room it is for all");
	closings.decided({ action: "unlock", room: "r", by: MO }, "me");
	assert.equal(code(), "locked", "one room's does not end it");
	closings.decided({ action: "unlock", by: MO }, "me");
	assert.equal(code(), undefined);
});

test("slow mode closes a room after each message of one's own, for as long as it asks", (t) => {
	const pass = clock(t);
	const closings = new Closings();
	const left = () => (closings.now("r")?.until ?? Date.now()) - Date.now();
	const slow = (seconds) => closings.decided({ action: "slow", room: "r", by: MO, ...(seconds && { seconds }) }, "me");
	slow(30);
	pass(1);
	slow(40);
	slow(30);
	assert.deepEqual([left(), closings.of("r", "slow_mode").seconds], [0, 30]);
	closings.said("s");
	assert.equal(left(), 0);
	closings.said("r");
	assert.equal(left(), 30_000);
	pass(10_000);
	slow(60);
	assert.equal(left(), 50_000, "the pause is longer now");
	slow(0);
	assert.deepEqual([left(), closings.of("r", "slow_mode")], [0, undefined]);
	closings.said("r");
	assert.equal(left(), 0);
	closings.joined("r", [{ action: "slow", room: "r", seconds: 30, retry_after: 4000 }]);
	assert.equal(left(), 4000);
	pass(4000);
	assert.equal(left(), 0);
	closings.said("r");
	assert.equal(left(), 30_000);
});

test("a moderator's command names a user, a time and a reason", () => {
	const users = [{ id: "a", name: "Ann" }, { id: "al", name: "Ann Lee" }, { id: "a", name: "Ann" }, { id: "b1", name: "Bob" }, { id: "b2", name: "bob" }];
	const of = (action, about = "") => moderationOf(action, about, users);
	assert.deepEqual(of("mute", "@ann lee 10m be kind"), { action: "mute", user: "al", seconds: 600, reason: "be kind" });
	assert.deepEqual(of("kick", "Ann spam"), { action: "kick", user: "a", reason: "spam" });
	assert.deepEqual(of("ban", "Ann 3d"), { action: "ban", user: "a", seconds: 259_200 });
	const named = (about, ...names) => moderationOf("kick", about, names.map((name) => ({ id: name, name }))).user;
	assert.deepEqual([named("@STRASSE", "Straße"), named("ibrahim 10m", "İbrahim"), named("＠小明 spam", "小", "小明"), named("田中　太郎", "田中 太郎")], ["Straße", "İbrahim", "小明", "田中 太郎"], "as the nodes fold names");
	assert.deepEqual(of("unban", "sub-1"), { action: "unban", user: "sub-1" });
	assert.deepEqual(of("slow", "30s"), { action: "slow", seconds: 30 });
	assert.deepEqual(of("slow", "off"), { action: "slow", seconds: 0 });
	assert.deepEqual(of("slow", "30"), { action: "slow", seconds: 30 });
	assert.deepEqual(of("slow", "5M"), { action: "slow", seconds: 300 });
	assert.deepEqual(of("lock"), { action: "lock" });
	assert.deepEqual(of("lock", "1h exam"), { action: "lock", seconds: 3600, reason: "exam" });
	assert.deepEqual(of("unlock", "now"), { action: "unlock" });
	assert.throws(() => of("mute", "Bob"), /several people are/);
	assert.deepEqual(of("slow", "5 m"), { action: "slow", seconds: 300 }, "its meaning is plain");
	assert.throws(() => of("slow", "soon"), /as 30s or 5m/);
	assert.throws(() => of("kick", "Annabel"), /nobody here/);
});

test("a time is understood in each plain way to write it, and else refused, never left out", () => {
	const users = [{ id: "a", name: "Ann" }];
	const of = (about, action = "mute") => {
		const { seconds, reason } = moderationOf(action, action === "lock" ? about : `@Ann ${about}`, users);
		return [seconds, reason];
	};
	for (const [about, seconds, reason] of [
		["10m", 600], ["10min", 600], ["10 Minutes be kind", 600, "be kind"], ["5 m", 300], ["1.5h", 5400], ["1,5 h", 5400], ["1w", 604_800], ["2 weeks", 1_209_600],
		["3d", 259_200], ["1 day: rude", 86_400, "rude"], ["1 year", 31_536_000], ["１０ｍ　だめ", 600, "だめ"], ["1h30m", 5400], ["1h 30min spam", 5400, "spam"],
		["10m 3 strikes", 600, "3 strikes"], ["10m 2d games", 600, "2d games"], ["90 sec", 90], ["10M", 600],
	]) for (const action of ["mute", "ban", "lock"]) assert.deepEqual(of(about, action), [seconds, reason], `${action} ${about}`);
	for (const [about, says] of [
		["30", /"30" is no time: write it as 30s, 10m/], ["30 be kind", /"30 be" is no time/], ["10 strikes", /"10 strikes" is no time/], ["1mo", /is no time/], ["-5m", /is no time/], ["−5m", /is no time/],
		[".5h", /is no time/], ["½h", /is no time/], ["٣٠ m", /is no time/], ["0s", /one second or longer/], ["99999999d", /ten years at most/], ["11 years", /ten years at most/],
		["10m/2", /is no time/], ["3rd warning", /is no time/],
	]) for (const action of ["mute", "ban", "lock"]) assert.throws(() => of(about, action), says, `${action} ${about}`);
	assert.deepEqual(of("be kind 10m"), [undefined, "be kind 10m"]);
	assert.deepEqual(of("3 strikes", "kick"), [undefined, "3 strikes"], "a kick has no time");
	const slow = (about) => moderationOf("slow", about, users).seconds;
	assert.deepEqual([slow("30"), slow("３０"), slow("1 min"), slow("1.5m"), slow("OFF"), slow("0")], [30, 30, 60, 90, 0, 0]);
	for (const about of ["-5m", "5x", "99999999d", "0s", "10m please", "30 40"]) assert.throws(() => slow(about), /time/, about);
});

test("nobody kicks, bans or mutes themselves by a command", () => {
	const users = [{ id: "mo", name: "Mo" }, { id: "a", name: "Ann" }];
	for (const action of ["kick", "ban", "mute"]) assert.throws(() => moderationOf(action, "@mo 10m", users, "mo"), { message: `you can't ${action} yourself` });
	assert.deepEqual(moderationOf("unmute", "@mo", users, "mo"), { action: "unmute", user: "mo" });
	assert.deepEqual(moderationOf("mute", "@Ann", users, "mo"), { action: "mute", user: "a" });
});

test("what a moderator did is said in a sentence", () => {
	const words = (moderated) => doneWords({ by: MO, ...moderated }, (ms) => `${ms}`);
	const user = { id: "a", name: "Ann" };
	assert.equal(words({ action: "mute", user, until: 5 }), "Muted Ann until 5.");
	assert.equal(words({ action: "ban", user }), "Banned Ann until it is lifted.");
	assert.equal(words({ action: "unban", user: { id: "a", name: "" } }), "No longer banned: a.");
	assert.equal(words({ action: "slow", seconds: 30 }), "Slow mode: one message in 30 s for each.");
	assert.equal(words({ action: "slow" }), "Slow mode is off.");
	assert.equal(words({ action: "lock", until: 7 }), "Locked until 7. Only moderators can write here.");
});

test("a moderator sees how a room is closed for the others", (t) => {
	const pass = clock(t);
	const closings = new Closings();
	closings.joined("r", [{ action: "slow", room: "r", seconds: 30 }, { action: "lock", room: "r", retry_after: 1000 }]);
	assert.deepEqual(closings.stands("r"), { locked: true, slow: 30 });
	pass(1000);
	assert.deepEqual(closings.stands("r"), { locked: false, slow: 30 });
	assert.deepEqual(closings.stands("s"), { locked: false, slow: 0 });
});

test("a room that one may not join is closed, for moderators too, until it is joined", (t) => {
	const pass = clock(t);
	const closings = new Closings();
	const words = () => closedWords(closings.now("r")).text;
	closings.barred("r", { code: "forbidden", message: "you are banned here: rude", retry_after: 5000 });
	assert.match(words(), /^You are banned here: rude\. That holds until .*\.$/);
	assert.equal(closings.now("r", true)?.code, "barred");
	pass(5001);
	assert.equal(closings.now("r")?.code, "barred", "the next try to join opens it");
	closings.barred("r", { code: "forbidden", message: "your token does not let you into this room" });
	assert.equal(words(), "Your token does not let you into this room.");
	closings.decided({ action: "mute", room: "r", user: { id: "me" }, by: MO }, "me");
	assert.equal(closings.now("r", true)?.code, "barred");
	closings.joined("r");
	assert.equal(closings.now("r"), null);
	closings.decided({ action: "ban", room: "r", user: { id: "me" }, by: MO, reason: "rude", seconds: 60 }, "me");
	closings.barred("r", { code: "forbidden", message: "you are banned here: rude", retry_after: 5000 });
	assert.match(words(), /^Mo banned you from this room until .*: rude\.$/);
});
