// @ts-check
// The wire's shapes and numbers, as the protocol's page has them.

/**
 * @typedef {{id: string, name: string}} User
 * @typedef {{id: string, url: string}} Node
 * @typedef {{text: number, rooms: number, rate: number, burst: number}} Limits
 * @typedef {{room: string, count: number, last?: number}} RoomCount `last` is the
 *   time of the newest entry
 *
 * @typedef {object} Entry One entry of a room's log.
 * @property {string} id `"<ms>-<seq>"`
 * @property {string} room
 * @property {string} key
 * @property {User} user
 * @property {string} text
 * @property {number} time milliseconds since the epoch
 * @property {string} node the node that took it
 * @property {"edit" | "delete" | "react"} [kind]
 * @property {string} [target] the id that an edit, deletion or reaction is about
 * @property {string} [emoji] of a reaction
 * @property {boolean} [on] whether the reaction is set or taken back
 * @property {number} [count] how many use the emoji after it
 * @property {number} [edited] of a message as it stands: when it was edited last
 * @property {{emoji: string, count: number, users: string[]}[]} [reactions] of a message as it
 *   stands; 20 users of each at most
 *
 * @typedef {object} Welcome
 * @property {User} user
 * @property {string} token
 * @property {Node} node
 * @property {Node[]} nodes
 * @property {Limits} limits
 * @property {boolean} [renewed] the token did not hold any more: this is a new guest
 *
 * @typedef {object} Joined
 * @property {string} room
 * @property {string} head "0-0" where the room has no entry
 * @property {boolean} [more] the rest up to head follows as messages
 * @property {boolean} recovered
 * @property {Entry[]} messages
 * @property {User[]} members
 * @property {number} count
 * @property {Rule[]} [rules] what keeps one from writing there
 *
 * @typedef {object} Moderated
 * @property {string} action
 * @property {string} [room]
 * @property {User} [user]
 * @property {number} [until]
 * @property {number} [seconds] how long it holds; of "slow" the pause, or nothing where it is over
 * @property {User} by
 * @property {string} [reason]
 *
 * @typedef {object} Rule A decision that keeps one from writing.
 * @property {string} action "mute", "slow" or "lock"
 * @property {string} [room] without it for all rooms
 * @property {number} [until]
 * @property {number} [seconds] slow mode's pause
 * @property {User} [by]
 * @property {string} [reason]
 * @property {number} [retry_after] in milliseconds
 *
 * @typedef {object} PassedOn Events that the client passes on as they are.
 * @property {{room: string, joined: User[], left: User[], count: number}} presence
 * @property {{room: string, user: User}} typing
 * @property {{user: User}} renamed
 * @property {Moderated} moderated
 * @property {{nodes: Node[]}} nodes
 * @property {{broker: "up" | "down", nodes?: Node[]}} status
 * @property {Refusal} error
 *
 * @typedef {object} Refusal The event `error`.
 * @property {string} code
 * @property {string} message
 * @property {string} [room]
 * @property {string} [key]
 * @property {string | number} [ref]
 * @property {number} [retry_after] milliseconds
 */

/** What a node means by closing the connection. */
export const CLOSE = Object.freeze({
	draining: 1012,
	full: 1013,
	askUser: 4001,
	kicked: 4003,
	slow: 4008,
	abuse: 4009,
});

/** Closings for what a frame was: binary, not UTF-8, too large. */
export const TOO_LARGE = 1009;
export const FAULTS = [1003, 1007, TOO_LARGE];

/** For how long a room remembers a key at least, in milliseconds. */
export const KEY_KEPT_MS = 10 * 60 * 1000;

/** How many entries one `history` may ask for. */
export const HISTORY_MAX = 200;

/**
 * The place of an entry in its room: what ids of one room are compared by.
 * @param {string} id
 * @returns {number} 0 for an id that is none
 */
export function seqOf(id) {
	const seq = Number(id.slice(id.indexOf("-") + 1));
	return Number.isSafeInteger(seq) ? seq : 0;
}

const encoder = new TextEncoder();

/**
 * The length of a text as the limit counts it.
 * @param {string} text
 */
export function bytesOf(text) {
	return encoder.encode(text).length;
}

/**
 * A text without halves of surrogate pairs, which no node takes.
 * @param {string} text
 */
export function wellFormed(text) {
	return text.replace(/\p{Cs}/gu, "\ufffd");
}

/**
 * @param {object} command
 * @returns {string} as it is sent
 */
export function frameOf(command) {
	return JSON.stringify(command, (_, value) => (typeof value === "string" ? wellFormed(value) : value));
}

/** A node's refusal of a command, as a promise's rejection. */
export class Refused extends Error {
	/** @param {Refusal} refusal */
	constructor(refusal) {
		super(refusal.message);
		this.name = "Refused";
		this.code = refusal.code;
		this.retryAfter = refusal.retry_after ?? 0;
	}
}

/** An emoji has so many bytes at most. */
const EMOJI_BYTES = 32;

/** An emoji that is drawn as text unless a variation selector follows, and has no skin tone. */
const TEXTUAL = /(?!\p{Emoji_Presentation})\p{Emoji}(?![\p{Emoji_Modifier}\uFE0F])/gu;

/**
 * The one form of an emoji that stands for all that differ in variation selectors alone,
 * as nodes fold it.
 * @param {string} emoji
 */
export function foldEmoji(emoji) {
	const bare = emoji.replace(/\uFE0F(?!\u20E3)/g, "");
	const whole = bare.replace(TEXTUAL, "$&\uFE0F");
	return bytesOf(whole) > EMOJI_BYTES ? bare : whole;
}

/**
 * @param {string} url
 * @returns {string} "" for what is no web address
 */
export function originOf(url) {
	return /^https?:/.test(url) && URL.canParse(url) ? new URL(url).origin : "";
}
