// @ts-check
import { Names } from "./names.js";

/** Seconds of a time's unit. @type {Record<string, number>} */
const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * What a moderator's command asks a node to do.
 * @param {string} action
 * @param {string} about what followed it: "@Ann Lee 10m be kind"
 * @param {{id: string, name: string}[]} users whom it may name; the longest name that fits is meant
 * @returns {{action: string, user?: string, seconds?: number, reason?: string}}
 */
export function moderationOf(action, about, users) {
	if (action === "lock" || action === "unlock") return { action, ...(about && { reason: about }) };
	if (action === "slow" && about === "off") return { action, seconds: 0 };
	let rest = about;
	/** @type {string | undefined} */
	let user;
	if (action !== "slow") {
		const said = about.replace(/^[@\uff20]/, "");
		const named = new Names(users.map(({ name }) => name)).match(said, 0);
		const meant = named && users.find(({ name }) => name === named.name);
		const [id] = said.split(/\s/);
		if (!meant && action !== "unban") throw new Error("nobody here has that name");
		user = meant?.id ?? id;
		rest = said.slice(named?.end ?? id.length).trim();
	}
	const [, number, unit, reason = ""] = /^(\d{1,6})([smhd])(?:\s+([^]*))?$/i.exec(rest) ?? ["", "", "", rest];
	const seconds = number && unit ? Number(number) * UNITS[unit.toLowerCase()] : undefined;
	if (action === "slow" && !seconds) throw new Error("write a time after /slow, as 30s or 5m, or off");
	return { action, ...(user && { user }), ...(seconds && { seconds }), ...(reason && { reason }) };
}
