// @ts-check

/**
 * Finds out why no WebSocket gets to a node, by asking it over HTTP. Browsers send no
 * Origin with that to the page's own host, so it is named.
 * @param {string} url
 * @returns {Promise<"" | "refused" | "blocked">} the node refuses this page's Origin or Host; it is there
 *   and lets the page in, so something between swallows WebSockets; "" where it is away, or its
 *   answer can't be read
 */
export async function reach(url) {
	try {
		const origin = globalThis.location ? `?origin=${encodeURIComponent(location.origin)}` : "";
		const answer = await fetch(`${url}/readyz${origin}`, { cache: "no-store", signal: AbortSignal.timeout(3000) });
		const { allowed } = answer.status === 403 ? { allowed: false } : await answer.json();
		return allowed === false ? "refused" : allowed && answer.ok ? "blocked" : "";
	} catch {
		return "";
	}
}

/**
 * Reports whether a node, or what stands before it, serves pages.
 * @param {string} url
 */
export function serves(url) {
	const asked = fetch(`${url}/`, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(3000) });
	return asked.then(({ ok }) => ok, () => false);
}
