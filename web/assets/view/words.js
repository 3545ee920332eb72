// @ts-check
import { BRIEF_MS } from "../model/situation.js";
import { isolated } from "../text/names.js";
import { sentence } from "./row.js";
import { saidTime } from "./times.js";

/** @typedef {import("../model/situation.js").Situation} Situation */
/** @typedef {import("../net/wire.js").Moderated} Moderated */

/**
 * @typedef {object} Words What the bar says.
 * @property {string} text
 * @property {"calm" | "warn" | "danger"} tone
 * @property {number} [until] of the next try
 * @property {boolean} [opens] it is when one can write again, not a try
 * @property {string} [action] what its button says, which tries now
 * @property {{label: string, href: string}} [link]
 * @property {number} [late] shown only if it lasts so long, in milliseconds
 * @property {number} [since] it began, on the monotonic clock
 */

const SOON_MS = 600;

/** For users of nodes that demand a JWT, who bring none or an invalid one. */
const SIGN_IN = "You can't come in without signing in. Open this chat from the page or application where you have an account.";

/**
 * The one thing to say, the gravest first.
 * @param {Situation} s
 * @returns {Words | null}
 */
export function wordsFor(s) {
	switch (s.state.state) {
		case "kicked":
			return { text: removed(s.moderated, s.state.reason ?? ""), tone: "danger", action: "Try again" };
		case "ask":
			if (s.state.refusal?.code === "unauthorized") return { text: SIGN_IN, tone: "danger", action: "Try again" };
			return { text: `You can't come in: ${s.state.reason || "the server refused you"}${endOf(s.state.refusal)}.`, tone: "danger", action: "Try again" };
		case "offline":
			return { text: offline(s), tone: "warn", until: s.state.until, action: "Try now", late: BRIEF_MS, since: s.since };
		case "connecting":
			return { text: "Connecting…", tone: "calm", late: BRIEF_MS, since: s.since };
	}
	if (s.broker !== "up") {
		const cut = s.broker === "lost" ? "This server can't reach the others" : "The servers can't reach each other";
		return { text: `${cut} right now. ${s.closed ? closedWords(s.closed).text : "What you write is kept."}`, tone: "warn", late: BRIEF_MS };
	}
	if (s.moderated && (s.moderated.until ?? Infinity) > Date.now())
		return { text: `${decided(s.moderated)}.`, tone: "danger" };
	if (s.closed) return closedWords(s.closed);
	if (s.loading) return { text: "Loading what you missed…", tone: "calm", late: SOON_MS };
	if (s.moved?.to) {
		const { from, to, whole } = s.moved;
		const safe = whole ? "; nothing was lost" : "";
		return { text: `Node ${from} went away. You are on node ${to} now${safe}.`, tone: "calm" };
	}
	if (s.lostName) return { text: `Somebody else is ${isolated(s.lostName)} now. Choose another name below.`, tone: "calm" };
	if (s.unkept) return { text: "What you write is kept only while this page is open.", tone: "calm", late: SOON_MS };
	if (s.alone && s.elsewhere)
		return {
			text: "You are the only one here. Open this page a second time, on another node:",
			tone: "calm",
			link: s.elsewhere,
			late: BRIEF_MS, // others may be on their way from one node to another
		};
	if (s.alone) return { text: "You are the only one here.", tone: "calm", late: BRIEF_MS };
	return null;
}

/** @param {Situation} s */
function offline(s) {
	const { state: { why }, address: { origin, hostname } } = s;
	if (why === "refused")
		return `The server does not let this page connect. Whoever runs it has to start it with --origin ${origin}, or with --host ${hostname}. What you write is kept.`;
	if (why === "blocked")
		return "The server is there, but WebSockets don't get to it. Whoever runs it has to make its proxy pass upgrades on /ws. What you write is kept.";
	if (s.closed) return `Offline. ${closedWords(s.closed).text}`;
	return "Offline. What you write is kept and goes out when you are back.";
}

/**
 * @param {Moderated | null} moderated
 * @param {string} reason of the close frame
 */
function removed(moderated, reason) {
	if (moderated) return `${decided(moderated)}.`;
	return reason ? `You were removed: ${reason}.` : "You were removed from this server.";
}

/**
 * Why one can't write in a room.
 * @param {import("../model/closed.js").Closed} closed
 * @returns {Words}
 */
export function closedWords({ code, until, by, reason, refusal = "" }) {
	if (code === "slow_mode") return { text: "This room is in slow mode.", tone: "calm", until, opens: true };
	const end = until < Infinity ? ` until ${saidTime(until)}` : "";
	const why = reason ? `: ${isolated(reason)}` : "";
	if (code === "barred" && !by) return { text: `${sentence(refusal)}${end && ` That holds${end}.`}`, tone: "danger" };
	if (code === "barred") return { text: `${isolated(by)} banned you from this room${end}${why}.`, tone: "danger" };
	if (code === "muted") return { text: by ? `${isolated(by)} muted you${end}${why}.` : `You are muted${end}${why}.`, tone: "danger" };
	return { text: `${by ? `${isolated(by)} locked this room` : "This room is locked"}${end}${why}. Only moderators can write.`, tone: "warn" };
}

/**
 * @param {import("../net/wire.js").Refusal} [refusal]
 * @returns {string} until when it holds; ""
 */
const endOf = (refusal) => (refusal?.retry_after ? `, until ${saidTime(Date.now() + refusal.retry_after)}` : "");

/** @param {Moderated} moderated who, why, until when */
function decided({ action, by, until, reason }) {
	const done = { kick: "removed", ban: "banned", mute: "muted" }[action] ?? action;
	const end = until ? ` until ${saidTime(until)}` : "";
	return `${isolated(by.name)} ${done} you${end}${reason ? `: ${isolated(reason)}` : ""}`;
}

/**
 * @param {string[]} names of those who type
 */
export function typingWords(names) {
	const [one, two, three] = names.map(isolated);
	if (names.length === 0) return "";
	if (names.length === 1) return `${one} is typing…`;
	if (names.length === 2) return `${one} and ${two} are typing…`;
	if (names.length === 3) return `${one}, ${two} and ${three} are typing…`;
	return "Several people are typing…";
}
