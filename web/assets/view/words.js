// @ts-check
import { saidTime } from "./text.js";

/** @typedef {import("../wire.js").Moderated} Moderated */

/**
 * @typedef {object} Situation What the bar above the field speaks of.
 * @property {import("../client.js").State} state
 * @property {boolean} brokerUp
 * @property {{from: number, to: number, whole: boolean} | null} moved numbers of nodes
 * @property {Moderated | null} moderated what was decided about oneself
 * @property {string} lostName the name that could not be had; ""
 * @property {boolean} unkept what waits to be sent would not outlive the page
 * @property {boolean} alone
 * @property {{label: string, href: string} | null} elsewhere the room on another node
 *
 * @typedef {object} Words What the bar says.
 * @property {string} text
 * @property {"calm" | "warn" | "danger"} tone
 * @property {number} [until] of the next try
 * @property {string} [action] what its button says, which tries now
 * @property {{label: string, href: string}} [link]
 * @property {boolean} [late] shown only if it lasts
 */

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
			return { text: `You can't come in: ${s.state.reason || "the server refused you"}.`, tone: "danger", action: "Try again" };
		case "offline":
			return {
				text: "Offline. What you write is kept and goes out when you are back.",
				tone: "warn",
				until: s.state.until,
				action: "Try now",
			};
		case "connecting":
			return { text: "Connecting…", tone: "calm", late: true };
	}
	if (!s.brokerUp) return { text: "The servers can't reach each other right now. What you write is kept.", tone: "warn" };
	if (s.moderated && (s.moderated.until ?? Infinity) > Date.now())
		return { text: `${decided(s.moderated)}.`, tone: "danger" };
	if (s.moved) {
		const { from, to, whole } = s.moved;
		const safe = whole ? "; nothing was lost" : "";
		return { text: `Node ${from} went away. You are on node ${to} now${safe}.`, tone: "calm" };
	}
	if (s.lostName) return { text: `Somebody else is ${s.lostName} now. Choose another name below.`, tone: "calm" };
	if (s.unkept) return { text: "What you write is kept only while this page is open.", tone: "calm", late: true };
	if (s.alone && s.elsewhere)
		return {
			text: "You are the only one here. Open this page a second time, on another node:",
			tone: "calm",
			link: s.elsewhere,
		};
	if (s.alone) return { text: "You are the only one here.", tone: "calm" };
	return null;
}

/**
 * @param {Moderated | null} moderated
 * @param {string} reason of the close frame
 */
function removed(moderated, reason) {
	if (moderated) return `${decided(moderated)}.`;
	return reason ? `You were removed: ${reason}.` : "You were removed from this server.";
}

/** @param {Moderated} moderated who, why, until when */
function decided({ action, by, until, reason }) {
	const done = { kick: "removed", ban: "banned", mute: "muted" }[action] ?? action;
	const end = until ? ` until ${saidTime(until)}` : "";
	return `${by.name} ${done} you${end}${reason ? `: ${reason}` : ""}`;
}

/**
 * @param {string[]} names of those who type
 */
export function typingWords(names) {
	if (names.length === 0) return "";
	if (names.length === 1) return `${names[0]} is typing…`;
	if (names.length === 2) return `${names[0]} and ${names[1]} are typing…`;
	if (names.length === 3) return `${names[0]}, ${names[1]} and ${names[2]} are typing…`;
	return "Several people are typing…";
}
