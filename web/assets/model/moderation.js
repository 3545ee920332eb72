// @ts-check
import { foldName, Names } from "../text/names.js";

/** @typedef {import("../net/wire.js").User} User */
/** @typedef {{action: string, user?: string, seconds?: number, reason?: string}} Order What a node is asked to do. */

/** Seconds of a time's unit. @type {Record<string, number>} */
const UNITS = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * Reads a moderator's command.
 * @param {string} action
 * @param {string} about what followed it: "@Ann Lee 10m be kind"
 * @param {User[]} users whom it may name; the longest name that fits is meant
 * @returns {Order}
 */
export function moderationOf(action, about, users) {
	if (action === "unlock") return { action };
	if (action === "slow") return { action, seconds: pauseOf(about) };
	let rest = about;
	/** @type {string | undefined} */
	let user;
	if (action !== "lock") {
		const said = about.replace(/^[@\uff20]/, "");
		const { name, end } = new Names(users.map((one) => one.name)).match(said, 0) ?? { name: "", end: -1 };
		const meant = users.filter((one) => end > 0 && foldName(one.name) === foldName(name));
		if (new Set(meant.map(({ id }) => id)).size > 1) throw new Error(`several people are ${name}: choose one in the list of people`);
		const [id] = said.split(/\s/);
		if (!meant[0] && action !== "unban") throw new Error("nobody here has that name");
		user = meant[0]?.id ?? id;
		rest = said.slice(meant[0] ? end : id.length).trim();
	}
	const [, number, unit = "", reason = ""] = /^(\d{1,6})([smhd])(?:\s+([^]*))?$/i.exec(rest) ?? ["", "", "", rest];
	const seconds = Number(number) * UNITS[unit.toLowerCase()];
	return { action, ...(user && { user }), ...(seconds && { seconds }), ...(reason && { reason }) };
}

/**
 * @param {string} words "30", "30s", "5m", "off"
 * @returns {number} in seconds; 0 for off
 */
function pauseOf(words) {
	if (words.toLowerCase() === "off") return 0;
	const [, number, unit] = /^(\d{1,6})([smhd]?)$/i.exec(words) ?? [];
	if (!number) throw new Error("write a time after /slow, as 30s or 5m, or off");
	return Number(number) * UNITS[unit.toLowerCase()];
}

/** How long a mute or a ban may be chosen to hold, in seconds. @type {[number, string][]} */
export const TIMES = [[600, "10 minutes"], [3600, "1 hour"], [86_400, "1 day"], [604_800, "1 week"], [0, "Until it is lifted"]];

/** @type {Record<string, string>} */
const DONE = { kick: "Kicked", ban: "Banned", unban: "No longer banned:", mute: "Muted", unmute: "No longer muted:" };

/**
 * What a moderator's command came to.
 * @param {import("../net/wire.js").Moderated} moderated
 * @param {(ms: number) => string} saidTime
 */
export function doneWords({ action, user, until, seconds }, saidTime) {
	const end = until ? ` until ${saidTime(until)}` : "";
	if (action === "slow") return seconds ? `Slow mode: one message in ${seconds} s for each.` : "Slow mode is off.";
	if (action === "lock") return `Locked${end}. Only moderators can write here.`;
	if (action === "unlock") return "Unlocked. Everyone can write here.";
	return `${DONE[action]} ${user?.name || user?.id}${end}.`;
}
