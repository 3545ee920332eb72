import assert from "node:assert/strict";
import { test } from "node:test";
import { Closings } from "../assets/closed.js";
import { moderationOf } from "../assets/moderation.js";
import { closedWords } from "../assets/view/words.js";

const MO = { id: "mo", name: "Mo" };

test("a room is closed for as long as the node said, by a decision or a refusal", (t) => {
	t.mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
	const closings = new Closings();
	const code = (room = "r") => closings.of(room)?.code;
	closings.decided({ action: "mute", room: "r", user: { id: "me", name: "Me" }, by: MO, until: 1_010_000, reason: "spam" }, "me");
	closings.decided({ action: "mute", room: "r", user: { id: "other", name: "O" }, by: MO }, "me");
	assert.deepEqual([code(), code("s")], ["muted", undefined]);
	closings.refused({ code: "muted", message: "no", room: "r", retry_after: 10_000 });
	assert.match(closedWords(closings.of("r")).text, /^Mo muted you until .*: spam\.$/, "a refusal adds to what was decided");
	t.mock.timers.tick(10_001);
	assert.equal(code(), undefined);
	closings.refused({ code: "slow_mode", message: "no", room: "r", retry_after: 3000 });
	assert.deepEqual([code(), closings.of("r").until], ["slow_mode", 1_013_001]);
	closings.decided({ action: "lock", by: MO }, "me");
	assert.deepEqual([code("r"), code("s")], ["locked", "locked"]);
	closings.decided({ action: "unlock", by: MO }, "me");
	assert.equal(code("s"), undefined);
	closings.refused({ code: "locked", message: "no", room: "s" });
	assert.equal(closedWords(closings.of("s")).text, "This room is locked. Only moderators can write.");
	closings.refused({ code: "too_long", message: "no", room: "q" });
	assert.equal(code("q"), undefined);
	closings.clear();
	assert.equal(code("s"), undefined);
});

test("a moderator's command names a user, a time and a reason", () => {
	const users = [{ id: "a", name: "Ann" }, { id: "al", name: "Ann Lee" }];
	const of = (action, about = "") => moderationOf(action, about, users);
	assert.deepEqual(of("mute", "@ann lee 10m be kind"), { action: "mute", user: "al", seconds: 600, reason: "be kind" });
	assert.deepEqual(of("kick", "Ann spam"), { action: "kick", user: "a", reason: "spam" });
	assert.deepEqual(of("ban", "Ann 3d"), { action: "ban", user: "a", seconds: 259_200 });
	assert.deepEqual(of("unban", "sub-1"), { action: "unban", user: "sub-1" });
	assert.deepEqual(of("slow", "30s"), { action: "slow", seconds: 30 });
	assert.deepEqual(of("slow", "off"), { action: "slow", seconds: 0 });
	assert.deepEqual(of("lock"), { action: "lock" });
	assert.throws(() => of("slow", "soon"), /as 30s or 5m/);
	assert.throws(() => of("kick", "Annabel"), /nobody here/);
});
