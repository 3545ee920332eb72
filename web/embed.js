// @ts-check
// Puts a room where its script element stands: see docs/embed.md.
(() => {
	const { currentScript: self } = document;
	// A module doesn't know its element, and runs once for all that ask for it.
	/** @type {Iterable<HTMLScriptElement>} */
	const scripts = self instanceof HTMLScriptElement ? [self] : document.querySelectorAll('script[type="module"][src$="/embed.js"]');
	for (const script of scripts) {
		const { room = "lobby", height = "", auth } = script.dataset;
		const frame = document.createElement("iframe");
		const url = new URL(`/r/${encodeURIComponent(room)}?embed${auth ? "=auth" : ""}`, script.src);
		frame.src = url.href;
		if (auth) answer(frame, url.origin, auth);
		frame.title = `Chat: ${room}`;
		frame.width = "100%";
		frame.height = /^[1-9]\d{0,4}$/.test(height) ? height : "420";
		frame.allow = "clipboard-write";
		frame.style.border = "0";
		script.after(frame);
	}

	/**
	 * Gives the frame a JWT whenever it asks.
	 * @param {HTMLIFrameElement} frame
	 * @param {string} origin the node's
	 * @param {string} name of the page's function that returns one, or a promise of one
	 */
	function answer(frame, origin, name) {
		addEventListener("message", async (e) => {
			if (e.source !== frame.contentWindow || e.origin !== origin || e.data?.chat !== "auth") return;
			const [port] = e.ports;
			try {
				port.postMessage(await /** @type {any} */ (window)[name]());
			} catch (error) {
				port.postMessage("");
				throw error; // the page's own, for its console
			}
		});
	}
})();
