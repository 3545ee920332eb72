// @ts-check
import { badgeOf, totalOf } from "../model/roomlist.js";

/** @typedef {import("../model/roomlist.js").Row} Row */

/** The icon with a dot, warm where one is named; it needs no node, so that it shows while none is there. */
const dotted = (/** @type {string} */ colour) => `data:image/svg+xml,${encodeURIComponent(
	`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#3a63b8" d="M5 4h22a3 3 0 0 1 3 3v15a3 3 0 0 1-3 3H14l-7 5v-5H5a3 3 0 0 1-3-3V7a3 3 0 0 1 3-3z"/><circle cx="23" cy="9" r="8" fill="${colour}" stroke="#fff" stroke-width="2"/></svg>`)}`;

const icon = /** @type {HTMLLinkElement} */ (document.querySelector("link[rel=icon]"));
const ICONS = { "": icon.href, unread: dotted("#5aa2ff"), named: dotted("#e8590c") };

/**
 * What the browser's tab tells: the room, and what is unread in all of one's rooms.
 * @param {string} current
 * @param {Row[]} own
 */
export function drawTab(current, own) {
	const total = totalOf(own);
	const badge = badgeOf(total);
	document.title = `${badge && `(${badge}) `}#${current}`;
	const href = ICONS[total.mentions ? "named" : total.unread ? "unread" : ""];
	if (icon.href !== href) icon.href = href;
}
