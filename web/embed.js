// @ts-check
// Puts a room where its script element stands: see docs/embed.md.
(() => {
	const { currentScript: self } = document;
	// A module doesn't know its element, and runs once for all that ask for it.
	/** @type {Iterable<HTMLScriptElement>} */
	const scripts = self instanceof HTMLScriptElement ? [self] : document.querySelectorAll('script[type="module"][src$="/embed.js"]');
	for (const script of scripts) {
		const { room = "lobby", height = "" } = script.dataset;
		const frame = document.createElement("iframe");
		frame.src = new URL(`/r/${encodeURIComponent(room)}?embed`, script.src).href;
		frame.title = `Chat: ${room}`;
		frame.width = "100%";
		frame.height = /^[1-9]\d{0,4}$/.test(height) ? height : "420";
		frame.allow = "clipboard-write";
		frame.style.border = "0";
		script.after(frame);
	}
})();
