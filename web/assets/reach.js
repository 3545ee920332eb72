// @ts-check

/**
 * Finds out why no WebSocket gets to a node, by asking it over HTTP.
 * @param {string} url
 * @returns {Promise<"" | "refused" | "blocked">} the node refuses this page's Origin or Host; it is there
 *   and lets the page in, so something between swallows WebSockets; "" where it is away, or
 *   can't be asked, as from another origin that it does not allow
 */
export async function reach(url) {
	try {
		const answer = await fetch(`${url}/readyz`, { cache: "no-store", signal: AbortSignal.timeout(3000) });
		const { allowed } = await answer.json();
		return allowed === false ? "refused" : allowed && answer.ok ? "blocked" : "";
	} catch {
		return "";
	}
}
