// @ts-check
// What outlives the page, in the browser's storage. A browser that keeps
// nothing (private mode, storage full) changes nothing but that.

import { local, session } from "./store.js";

const RECENT_MOST = 12;

/** Of so many rooms it is kept how far they were read. */
const READ_MOST = 50;

export const READ = "chat.read";

/** Who one is, the same in all tabs. @type {import("./identity.js").IdentityStore} */
export const identity = {
	load() {
		const known = local.read("chat.identity");
		return { token: String(known?.token ?? ""), name: String(known?.name ?? "") };
	},
	save(change) {
		local.write("chat.identity", { ...identity.load(), ...change });
	},
};

/** @returns {string[]} rooms visited, the last one first */
export function recentRooms() {
	const rooms = local.read("chat.recent");
	return Array.isArray(rooms) ? rooms.filter((room) => typeof room === "string") : [];
}

/** @param {string} room */
export function visited(room) {
	const rooms = [room, ...recentRooms().filter((other) => other !== room)];
	local.write("chat.recent", rooms.slice(0, RECENT_MOST));
}

/** @returns {[string, string][]} rooms and the last id read there */
export function readPositions() {
	const kept = local.read(READ);
	return Array.isArray(kept) ? kept.filter((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((one) => typeof one === "string")) : [];
}

/** @param {[string, string][]} positions the room read last at the end */
export function saveReadPositions(positions) {
	local.write(READ, positions.slice(-READ_MOST));
}

/** @returns {string[]} */
export function seenNodes() {
	const ids = session.read("chat.nodes");
	return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
}

/** @param {string[]} ids */
export function saveNodes(ids) {
	session.write("chat.nodes", ids);
}

/**
 * Whether a side is folded away.
 * @param {string} side
 */
export function folded(side) {
	return local.read(`chat.folded.${side}`) === true;
}

/**
 * @param {string} side
 * @param {boolean} away
 */
export function fold(side, away) {
	local.write(`chat.folded.${side}`, away || null);
}

/** @param {string} room */
export function draft(room) {
	return String(session.read(`chat.draft.${room}`) ?? "");
}

/**
 * @param {string} room
 * @param {string} text
 */
export function saveDraft(room, text) {
	session.write(`chat.draft.${room}`, text || null);
}
