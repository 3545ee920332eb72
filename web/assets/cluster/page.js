// @ts-check
// Joins what asks (watch, check) and what draws (picture, table).

import * as keep from "../store/keep.js";
import { NodeNumbers } from "../model/nodenumbers.js";
import { LOBBY, pathOf } from "../model/roomlist.js";
import { listen } from "../net/events.js";
import { newKey } from "../store/outbox.js";
import { byId, setText } from "../view/dom.js";
import { Check } from "./check.js";
import { Picture } from "./picture.js";
import { deedWords, drawWay, Table } from "./table.js";
import { align, Known, now, Watch } from "./watch.js";

/** @typedef {import("./watch.js").Row} Row */

/** In milliseconds: how often nodes are asked, after how long a check rests that nobody sees, and what is waited for in a trace. */
const TIMES = Object.freeze({ look: 1000, hidden: 60_000, free: 5000, copies: 3000, poll: 20 });

const token = document.querySelector("meta[name=control]")?.getAttribute("content") ?? "";
const path = pathOf(keep.recentRooms()[0] ?? LOBBY);
const numbers = new NodeNumbers(keep.seenNodes(), keep.saveNodes);
const watch = new Watch(location.origin, token);
const known = new Known();
const check = new Check("demo");
const picture = new Picture(byId("picture"), numbers);
const table = new Table(numbers, act);

/** @type {import("./watch.js").Look} */
let look = { from: location.origin, nodes: [], demo: null };
let busy = false;
let problem = "";
let wanted = token !== ""; // that the check runs
/**
 * What was done last; `at` is when, `done` when the demo had done it, 0 before.
 * @type {import("./table.js").Deed & {node: string, at: number, done: number, last: number, went: boolean, before: {lost: number, doubled: number}} | undefined}
 */
let deed;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

async function lookOn() {
	clearTimeout(timer);
	const seen = await watch.look();
	look = seen.from ? seen : { ...look, from: "" };
	known.learn(seen, now());
	numbers.see(known.rows.map(({ id }) => id));
	run(wanted);
	draw();
	for (const { id, live, seen } of known.rows) if (live && seen?.rate && !check.count()) picture.pass(id);
	clearTimeout(timer);
	timer = setTimeout(() => (document.hidden ? run(false) : lookOn()), document.hidden ? TIMES.hidden : TIMES.look);
}

/** @param {boolean} on */
function run(on) {
	if (on) check.at(live());
	check.talk(on);
}

function live() {
	return known.rows.filter(({ live, url }) => live && url);
}

function draw() {
	const { demo } = look;
	const redis = known.redis ? "running" : demo ? "stopped" : "away";
	picture.draw(known.rows, redis);
	table.draw(known.rows, redis, demo, busy, path);
	byId("lead-demo").hidden = !demo;
	byId("run").hidden = token !== "";
	setText(byId("run"), wanted ? "Stop the check" : "Run a check");
	byId("figures").hidden = !wanted && !check.tally.sent;
	for (const name of /** @type {const} */ (["sent", "delivered", "lost", "doubled"])) {
		setText(byId(name), check.tally[name].toLocaleString("en"));
		byId(name).classList.toggle("bad", check.tally[name] > 0);
	}
	setText(byId("told"), told());
	/** @type {HTMLAnchorElement} */ (byId("back")).href = look.from + path;
}

/** How things stand, or what came of what was done. */
function told() {
	if (!look.from) return "No node tells how the cluster is. They are asked again each second.";
	if (problem) return problem;
	if (!deed && !known.redis) return "The nodes can't reach Redis. What is written now is kept, and waits.";
	if (!deed) return check.count() ? "Each node has a browser here that says one message a second." : "";
	const { tally } = check;
	const state = known.rows.find(({ id }) => id === deed?.node)?.state;
	deed.went ||= state === "starting";
	deed.again ||= deed.went && state === "running";
	deed.settled ||= deed.done > 0 && deed.moves.length >= deed.browsers && tally.open(Math.max(deed.done, deed.last)) === 0;
	deed.lost = tally.lost - deed.before.lost;
	deed.doubled = tally.doubled - deed.before.doubled;
	return deedWords(deed);
}

/**
 * @param {import("./watch.js").Action} action
 * @param {Row | undefined} row none for Redis
 */
async function act(action, row) {
	const { lost, doubled } = check.tally;
	const id = row?.id ?? "";
	const leaves = action === "kill" || action === "freeze" || action === "drain";
	const begun = (deed = {
		action, node: id, number: numbers.of(id), browsers: leaves ? check.count(id) : 0, moves: [], at: now(), done: 0, last: 0,
		settled: false, went: false, again: false, lost: 0, doubled: 0, before: { lost, doubled },
	});
	busy = true;
	problem = "";
	draw();
	try {
		// Who is killed can't answer.
		const places = live().flatMap(({ id, url }) => (id === row?.id ? [] : [url]));
		await watch.act(action, row?.demo, places.includes(look.from) ? look.from : (places[0] ?? look.from));
		begun.done = now();
	} catch (e) {
		problem = /** @type {Error} */ (e).message;
		deed = undefined;
	}
	busy = false;
	lookOn();
}

listen(check, "pass", ({ node }) => picture.pass(node));
listen(check, "move", ({ from, to, caught, at }) => {
	if (from !== deed?.node) return;
	deed.moves.push({ to: numbers.of(to), after: at - deed.at, caught });
	deed.last = at;
});

let tracing = false;

/** Says one message and draws its way. */
async function trace() {
	if (tracing) return;
	tracing = true;
	check.at(live());
	const key = `trace-${newKey()}`;
	/** @type {import("./watch.js").Copy[]} */
	const copies = [];
	let acknowledged = 0;
	const stop = listen(check, "see", ({ node, entry, own }) => {
		if (entry.key !== key) return;
		copies.push({ node, at: now() });
		if (own) acknowledged = now();
	});
	let sent = 0;
	await until(() => ((sent = now()), check.say("Where does this go?", key)), TIMES.free);
	await until(() => copies.length >= check.count(), TIMES.copies);
	stop();
	const answers = await watch.noted(live().map(({ url }) => url), key);
	drawWay(align(sent, acknowledged, copies, answers), numbers);
	tracing = false;
	byId("way").scrollIntoView({ block: "nearest" });
}

/**
 * @param {() => unknown} condition
 * @param {number} within milliseconds
 */
async function until(condition, within) {
	for (const end = now() + within; !condition() && now() < end; ) await new Promise((resolve) => setTimeout(resolve, TIMES.poll));
}

byId("trace").addEventListener("click", trace);
byId("run").addEventListener("click", () => {
	wanted = !wanted;
	lookOn();
});
document.addEventListener("visibilitychange", lookOn);
lookOn();
