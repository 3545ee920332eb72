// @ts-check
// The state behind the bar above the field; view/words.js words it.

/**
 * @typedef {object} Situation The state that the bar above the field describes.
 * @property {import("../net/client.js").State} state
 * @property {"up" | "down" | "lost"} broker whether the node reaches the others; "lost" where only it does not
 * @property {boolean} loading what was missed is coming in
 * @property {number} since when there is no connection, on the monotonic clock
 * @property {{origin: string, hostname: string}} address the page's
 * @property {{from: number, to: number, whole: boolean} | null} moved numbers of nodes
 * @property {import("../net/wire.js").Moderated | null} moderated what was decided about oneself
 * @property {import("./closed.js").Closed | null} [closed] why one can't write in the room now
 * @property {string} lostName the name that could not be had; ""
 * @property {boolean} unkept what waits to be sent would not outlive the page
 * @property {boolean} alone
 * @property {{label: string, href: string} | null} elsewhere the room on another node
 */

/** A state that ends sooner is not shown, in milliseconds. */
export const BRIEF_MS = 2000;
