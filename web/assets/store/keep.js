// @ts-check
// What outlives the page, where the browser stores it. Where it stores nothing
// (cookies blocked, storage full) all of it lasts as long as the page.

import { keptIdentity } from "./identity.js";
import { local, session } from "./store.js";

/** @typedef {[id: string, time: number]} Told A notification that a tab has handled: the message, and when. */

const RECENT_MOST = 12;

/** Of so many rooms it is kept how far they were read. */
const READ_MOST = 50;

/** So many rooms can be mute; the one muted first is forgotten. */
const MUTED_MOST = 100;

/** So many emoji are offered first. */
const EMOJI_MOST = 16;

/** Where tabs see what another one changed. */
export const READ = "chat.read";
export const RECENT = "chat.recent";
export const MUTED = "chat.muted";

/** Who one is, the same in all tabs. */
export const identity = keptIdentity(local, "chat.identity");

/** @returns {string[]} rooms visited, the last one first */
export function recentRooms() {
	return strings(local.read(RECENT));
}

/** @param {string} room */
export function visited(room) {
	const rooms = [room, ...recentRooms().filter((other) => other !== room)];
	local.write(RECENT, rooms.slice(0, RECENT_MOST));
}

/** @param {string} room taken out of those visited */
export function forget(room) {
	local.write(RECENT, recentRooms().filter((other) => other !== room));
}

/** @returns {string[]} rooms of which one doesn't want to hear, unless one is named */
export function mutedRooms() {
	return strings(local.read(MUTED));
}

/**
 * @param {string} room
 * @param {boolean} on
 */
export function mute(room, on) {
	const others = mutedRooms().filter((other) => other !== room);
	local.write(MUTED, (on ? [...others, room] : others).slice(-MUTED_MOST));
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

/** @returns {Told[]} */
export function toldNotices() {
	const told = local.read("chat.told");
	return Array.isArray(told) ? told.filter((one) => Array.isArray(one) && typeof one[0] === "string" && typeof one[1] === "number") : [];
}

/** @param {Told[]} told */
export function saveToldNotices(told) {
	local.write("chat.told", told);
}

/**
 * Whether something is switched on, in all tabs; at first nothing is.
 * @param {"notify" | "sound"} what
 */
export function switched(what) {
	return local.read(`chat.${what}`) === true;
}

/**
 * @param {"notify" | "sound"} what
 * @param {boolean} on
 */
export function saveSwitched(what, on) {
	local.write(`chat.${what}`, on || null);
}

/** @returns {string[]} */
export function seenNodes() {
	return strings(session.read("chat.nodes"));
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

/** @returns {string[]} used last, the last one first */
export const recentEmoji = () => strings(local.read("chat.emoji"));

/** @param {string} emoji */
export function usedEmoji(emoji) {
	local.write("chat.emoji", [emoji, ...recentEmoji().filter((other) => other !== emoji)].slice(0, EMOJI_MOST));
}

/**
 * @param {unknown} kept
 * @returns {string[]}
 */
function strings(kept) {
	return Array.isArray(kept) ? kept.filter((one) => typeof one === "string") : [];
}
