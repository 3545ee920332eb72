import assert from "node:assert/strict";
import { after, test } from "node:test";
import { clockTime, dayName, look, saidTime, watchTimes, wholeTime } from "../assets/view/times.js";

const zone = process.env.TZ;
after(() => {
	process.env.TZ = zone ?? "";
	if (zone === undefined) delete process.env.TZ;
});

const AT = Date.UTC(2026, 10, 24, 15, 20);
const all = () => [clockTime(AT), wholeTime(AT), saidTime(AT, AT + 24 * 3600e3)];

test("all times are of the zone that the device is in now", () => {
	process.env.TZ = "America/New_York";
	const before = look();
	const there = all();
	assert.match(there[0], /10:20/);
	process.env.TZ = "Asia/Tokyo";
	assert.notEqual(look(), before);
	assert.match(clockTime(AT), /12:20/);
	all().forEach((time, i) => assert.notEqual(time, there[i]));
});

test("who draws times is called when another day or zone begins", (t) => {
	process.env.TZ = "Europe/Berlin";
	t.mock.timers.enable({ apis: ["setInterval", "Date"], now: Date.UTC(2026, 10, 24, 22, 59, 45) });
	globalThis.addEventListener ??= () => {};
	let calls = 0;
	watchTimes(() => calls++);
	const said = Date.now();
	assert.equal(dayName(said), "Today");
	t.mock.timers.tick(10_000);
	assert.equal(calls, 0);
	t.mock.timers.tick(10_000);
	assert.equal(calls, 1, "midnight passed");
	assert.equal(dayName(said), "Yesterday");
	process.env.TZ = "Asia/Tokyo";
	t.mock.timers.tick(10_000);
	assert.equal(calls, 2, "the zone changed");
	t.mock.timers.tick(60_000);
	assert.equal(calls, 2);
});
