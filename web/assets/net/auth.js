// @ts-check
// The JWT of the page, where nodes demand one: from the address (/#token=…), which a login
// page leads to, or from a function of the page that embeds this one.

import { claimsOf } from "../store/identity.js";
import { session } from "../store/store.js";

/** @typedef {import("../store/identity.js").IdentityStore} IdentityStore */

const KEY = "chat.auth";

/** In milliseconds: how long the embedding page may take, and how much of its time a JWT must have left to be used again. */
const TIMES = Object.freeze({ answer: 2500, left: 60_000 });

/** An identity with the JWT of this tab. It outlives a reload, not the tab. */
export class Auth {
	#jwt = String(session.read(KEY) ?? "");
	#identity;
	#embedded;

	/**
	 * @param {IdentityStore} identity
	 * @param {boolean} embedded the page around this one gives the JWT
	 */
	constructor(identity, embedded) {
		this.#identity = identity;
		this.#embedded = embedded;
		this.take();
	}

	/**
	 * Takes a JWT out of the address, which then names it no more.
	 * @returns {"" | "same" | "other"} whose it is: of the user of the one before, or of another
	 */
	take() {
		if (!location.hash.startsWith("#token=")) return "";
		const [, jwt] = /^#token=([\w-]+\.[\w-]+\.[\w-]+)$/.exec(location.hash) ?? [];
		history.replaceState(history.state, "", location.pathname + location.search);
		if (!jwt) return ""; // it leaves the address all the same
		const same = claimsOf(jwt).sub === claimsOf(this.#jwt).sub;
		this.#keep(jwt);
		return same ? "same" : "other";
	}

	/** Whether the user is a moderator. */
	get moderator() {
		return claimsOf(this.#jwt).mod === true;
	}

	/** Whether the JWT names the user: each connection begins with that name again, whatever it was changed to. */
	get named() {
		return String(claimsOf(this.#jwt).name ?? "").trim() !== "";
	}

	load = () => ({ ...this.#identity.load(), auth: this.#jwt });

	/** @param {Partial<import("../store/identity.js").Identity>} change */
	save = (change) => this.#identity.save(change);

	/** @returns {Promise<void> | undefined} */
	turn = () => {
		if (!this.#embedded) return this.#jwt ? undefined : this.#identity.turn?.();
		return claimsOf(this.#jwt).exp * 1000 - Date.now() > TIMES.left ? undefined : this.fresh();
	};

	/** Gets a fresh JWT, if somebody has one. */
	fresh = async () => {
		if (!this.#embedded) return;
		const jwt = await askParent();
		if (jwt) this.#keep(jwt);
	};

	/** @param {string} jwt */
	#keep(jwt) {
		this.#jwt = jwt;
		session.write(KEY, jwt);
	}
}

/**
 * Nobody but pages that the node allows can be around this one (frame-ancestors).
 * @returns {Promise<string>} "" where it does not answer
 */
function askParent() {
	const { port1, port2 } = new MessageChannel();
	return new Promise((resolve) => {
		const answer = (/** @type {unknown} */ jwt) => {
			clearTimeout(timer);
			port1.close();
			resolve(typeof jwt === "string" ? jwt : "");
		};
		const timer = setTimeout(() => answer(""), TIMES.answer);
		port1.onmessage = ({ data }) => answer(data);
		parent.postMessage({ chat: "auth" }, "*", [port2]);
	});
}
