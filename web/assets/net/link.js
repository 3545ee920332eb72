// @ts-check
import { Emitter } from "./events.js";
import { CLOSE, frameOf } from "./wire.js";

/**
 * The times of a connection, in milliseconds. A frozen node is left after
 * silence + pongWithin + tick at most, which must stay under ten seconds with
 * the first retry included.
 */
const TIMING = Object.freeze({
	connectWithin: 3000,
	silence: 3000, // of the node, before it is asked for a pong
	pongWithin: 4000,
	tick: 500,
	firstRetry: 1000, // most, as all who were at a node lose it at once; it grows with each round
	longestRetry: 10_000,
	drainSpread: 1000,
	abuseWait: 5000, // least
	steadyAfter: 5000, // of a connection, before its end counts as the first failure
});

/**
 * @typedef {object} Closing Why a link does not try again by itself.
 * @property {"ask" | "kicked"} why
 * @property {string} reason the node's words; may be empty
 *
 * @typedef {(url: string) => WebSocket} Dial
 *
 * @typedef {object} LinkEvents
 * @property {void} open
 * @property {{type: string}} frame the decoded object
 * @property {import("./wire.js").Welcome} moved of the node that a second connection led to
 * @property {{code: number}} down the open connection ended
 * @property {{until: number, tries: number}} waiting
 * @property {void} trying
 * @property {Closing} stopped
 */

/**
 * A connection to one of the nodes, and another one after it: it tries the
 * nodes in turn, waits longer each round, and leaves a node that is silent. It
 * never goes from https to http, whatever nodes announce.
 * @extends {Emitter<LinkEvents>}
 */
export class Link extends Emitter {
	#dial;
	#timing;
	#random;
	/** @type {string[]} base URLs of nodes, the page's own first */
	#urls;
	#home;
	#url;
	#secure;
	/** @type {WebSocket | null} */
	#socket = null;
	#open = false;
	#tries = 0;
	#openedAt = 0;
	#heardAt = 0;
	#askedAt = 0;
	#running = false;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;
	/** @type {ReturnType<typeof setInterval> | undefined} */
	#beat;
	/** A second connection, while it is not known whether it is better. @type {WebSocket | null} */
	#beside = null;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#besideTimer;

	/**
	 * @param {object} options
	 * @param {string} options.url of the node that is tried first
	 * @param {Dial} [options.dial]
	 * @param {Partial<Record<keyof typeof TIMING, number>>} [options.timing]
	 * @param {() => number} [options.random]
	 */
	constructor({ url, dial = (ws) => new WebSocket(ws), timing = {}, random = Math.random }) {
		super();
		this.#dial = dial;
		this.#timing = { ...TIMING, ...timing };
		this.#random = random;
		this.#home = url;
		this.#url = url;
		this.#secure = url.startsWith("https:");
		this.#urls = [url];
	}

	start() {
		if (this.#running) return;
		this.#running = true;
		this.#tries = 0;
		this.#connect();
	}

	/** @returns {boolean} whether there is anything to stop */
	stop() {
		const was = this.#running;
		this.#running = false;
		this.#drop();
		clearTimeout(this.#timer);
		return was;
	}

	/** Try at once, if waiting; else make sure that the connection lives. */
	hurry() {
		if (!this.#running) return;
		if (!this.#socket) this.#connect();
		else if (this.#open) this.#ask();
	}

	/** Leave this connection for a new one, as if it had broken. */
	again() {
		if (this.#socket) this.#lost(0, "");
	}

	/**
	 * The nodes that live. The page's own stays the last resort.
	 * @param {string[]} urls
	 */
	setNodes(urls) {
		this.#urls = this.#allowed([...urls, this.#home]);
	}

	/**
	 * Opens a second connection to one of these nodes after the other, by default
	 * to those after the present one, and moves to the first that answers the hello
	 * with a welcome. Until then, and if none does, all stays as it is.
	 * @param {object} hello
	 * @param {string[]} [urls]
	 */
	look(hello, urls) {
		if (!this.#open || this.#beside) return;
		const at = this.#urls.indexOf(this.#url) + 1;
		this.#try(frameOf(hello), this.#allowed(urls ?? [...this.#urls.slice(at), ...this.#urls.slice(0, at)]));
	}

	/** Gives up the second connection. */
	stay() {
		clearTimeout(this.#besideTimer);
		if (this.#beside) end(this.#beside);
		this.#beside = null;
	}

	/**
	 * @param {string} frame
	 * @returns {boolean} whether there was a connection to give it to
	 */
	send(frame) {
		if (!this.#socket || !this.#open) return false;
		this.#socket.send(frame);
		return true;
	}

	/**
	 * @param {string} hello
	 * @param {string[]} urls
	 * @returns {void}
	 */
	#try(hello, [url, ...rest]) {
		this.stay();
		if (!url) return;
		const next = () => this.#beside === socket && this.#try(hello, rest);
		/** @type {WebSocket} */
		let socket;
		try {
			socket = this.#dial(socketURL(url));
		} catch {
			return this.#try(hello, rest);
		}
		this.#beside = socket;
		this.#besideTimer = setTimeout(next, this.#timing.connectWithin + this.#timing.pongWithin);
		socket.onopen = () => socket.send(hello);
		socket.onclose = next;
		socket.onmessage = (e) => {
			const frame = decode(e.data);
			if (frame?.type === "error" || frame?.renewed) next(); // it would be another user there
			if (frame?.type !== "welcome" || this.#beside !== socket) return;
			this.#beside = null;
			this.#drop();
			this.#url = url;
			this.#take(socket);
			this.emit("moved", /** @type {any} */ (frame));
		};
	}

	/** @param {string[]} urls */
	#allowed(urls) {
		const good = this.#secure ? /^https:/ : /^https?:/;
		return [...new Set(urls)].filter((url) => good.test(url));
	}

	#connect() {
		clearTimeout(this.#timer);
		this.emit("trying");
		/** @type {WebSocket} */
		let socket;
		try {
			socket = this.#dial(socketURL(this.#url));
		} catch {
			this.#socket = null;
			this.#retry(0);
			return;
		}
		this.#socket = socket;
		const mine = () => this.#socket === socket;
		socket.onopen = () => {
			if (!mine()) return;
			this.#take(socket);
			this.emit("open");
		};
		socket.onclose = (e) => mine() && this.#lost(e.code, e.reason);
		this.#timer = setTimeout(() => mine() && this.#lost(0, ""), this.#timing.connectWithin);
	}

	/** @param {WebSocket} socket that is open */
	#take(socket) {
		clearTimeout(this.#timer);
		this.#socket = socket;
		this.#open = true;
		this.#secure ||= this.#url.startsWith("https:");
		this.#urls = this.#allowed(this.#urls);
		this.#openedAt = this.#heardAt = performance.now();
		this.#askedAt = 0;
		this.#beat = setInterval(() => this.#watch(), this.#timing.tick);
		const mine = () => this.#socket === socket;
		socket.onmessage = (e) => mine() && this.#heard(e.data);
		socket.onclose = (e) => mine() && this.#lost(e.code, e.reason);
	}

	/** @param {unknown} data */
	#heard(data) {
		this.#heardAt = performance.now();
		this.#askedAt = 0;
		const frame = decode(data);
		if (frame) this.emit("frame", frame);
	}

	#watch() {
		const now = performance.now();
		if (this.#askedAt && now - this.#askedAt >= this.#timing.pongWithin) this.#lost(0, "");
		else if (!this.#askedAt && now - this.#heardAt >= this.#timing.silence) this.#ask();
	}

	#ask() {
		if (this.#askedAt) return;
		this.#askedAt = performance.now();
		this.send('{"type":"ping","ref":"-"}');
	}

	#drop() {
		const socket = this.#socket;
		clearInterval(this.#beat);
		this.stay();
		this.#socket = null;
		this.#open = false;
		if (socket) end(socket);
	}

	/**
	 * @param {number} code of the close frame; 0 when it was this side's doing
	 * @param {string} reason
	 */
	#lost(code, reason) {
		const wasOpen = this.#open;
		clearTimeout(this.#timer);
		this.#drop();
		if (wasOpen && performance.now() - this.#openedAt >= this.#timing.steadyAfter) this.#tries = 0;
		if (wasOpen) this.emit("down", { code });
		if (!this.#running) return; // a listener of "down" stopped it
		if (code === CLOSE.askUser || code === CLOSE.kicked) {
			this.#running = false;
			this.emit("stopped", { why: code === CLOSE.kicked ? "kicked" : "ask", reason });
			return;
		}
		this.#retry(code);
	}

	/** @param {number} code */
	#retry(code) {
		if (code !== CLOSE.slow && code !== CLOSE.abuse) this.#url = this.#next();
		const wait = this.#wait(code);
		this.#tries++;
		this.emit("waiting", { until: Date.now() + wait, tries: this.#tries });
		this.#timer = setTimeout(() => this.#connect(), wait);
	}

	/** @param {number} code */
	#wait(code) {
		const t = this.#timing;
		if (code === CLOSE.slow && this.#tries === 0) return 0;
		if (code === CLOSE.draining) return this.#random() * t.drainSpread;
		// Full jitter: anything up to a bound that grows each time all nodes have
		// been tried. A node that takes no more now refuses the handshake, which a
		// page can't tell from a dead one: the next may take it.
		const rounds = Math.floor(this.#tries / this.#urls.length);
		const wait = this.#random() * Math.min(t.longestRetry, t.firstRetry * 2 ** Math.min(rounds * 2, 16));
		return code === CLOSE.abuse ? t.abuseWait + this.#random() * t.longestRetry : wait;
	}

	/** The node after the present one; the same where it is alone. */
	#next() {
		const at = this.#urls.indexOf(this.#url);
		return this.#urls[(at + 1) % this.#urls.length];
	}
}

/** @param {WebSocket} socket */
function end(socket) {
	socket.onopen = socket.onmessage = socket.onclose = null;
	socket.close();
}

/**
 * @param {string} base "http://host:port"
 */
function socketURL(base) {
	return base.replace(/^http/, "ws").replace(/\/+$/, "") + "/ws";
}

/**
 * @param {unknown} data
 * @returns {{type: string, renewed?: boolean} | null}
 */
function decode(data) {
	if (typeof data !== "string") return null;
	try {
		const frame = JSON.parse(data);
		return frame && typeof frame.type === "string" ? frame : null;
	} catch {
		return null;
	}
}
