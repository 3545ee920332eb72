// @ts-check
import { GONE, LATE } from "./calls.js";
import { PASSING } from "./following.js";
import { claimsOf } from "../store/identity.js";

/** @import {Refusal, Welcome} from "./wire.js" */

/** So many times hello is said to a node that can't answer it now. */
const HELLOS = 3;

/** A JWT is renewed so long before it ends, or after half of the time that is left; in milliseconds. */
const RENEW_BEFORE = 30_000;

/** Says who one is at the beginning of each connection, and again before a JWT ends. */
export class Hello {
	/** Why the chosen name could not be had. @type {Refusal | undefined} */
	lostName;

	#does;
	/** The one that is talked on. @type {object | null} */
	#connection = null;
	#refused = 0; // by the node that is talked to
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#timer;

	/**
	 * @param {object} does
	 * @param {import("../store/identity.js").IdentityStore} does.identity
	 * @param {import("./calls.js").Calls} does.calls
	 * @param {(refusal: Refusal) => number} does.soon when to try again, in milliseconds
	 * @param {(welcome: Welcome) => void} does.welcome
	 * @param {(refusal: Refusal) => void} does.passing the node can't answer it now
	 * @param {() => void} does.leave another node may do better
	 * @param {(refusal: Refusal) => void} does.barred it is refused for good
	 */
	constructor(does) {
		this.#does = does;
	}

	/** @param {boolean} named whether to ask for the chosen name */
	command(named) {
		const { token, name, auth } = this.#does.identity.load();
		return { type: "hello", ...(token && { token }), ...(auth && { auth }), ...(named && name && { name }) };
	}

	/** On a new connection. */
	async begin() {
		this.#refused = 0;
		const connection = (this.#connection = {});
		const turn = this.#does.identity.turn?.();
		if (turn) await turn;
		if (connection === this.#connection) this.#say(true);
	}

	/** The connection is gone. */
	end() {
		this.#connection = null;
		clearTimeout(this.#timer);
	}

	/** @param {boolean} named */
	#say(named) {
		const { identity, calls, welcome } = this.#does;
		const { token, name } = identity.load();
		if (named) this.lostName = undefined;
		calls.make(this.command(named), welcome, (refusal) => {
			if (refusal.code === "unauthorized" && token) {
				if (identity.load().token === token) identity.save({ token: "" });
				this.#say(named);
			} else if (named && name && (refusal.code === "name_taken" || refusal.code === "bad_name")) {
				this.lostName = refusal;
				this.#say(false);
			} else this.#failed(refusal);
		});
	}

	/** @param {Refusal} refusal */
	#failed(refusal) {
		if (refusal.code === GONE) return;
		if (!PASSING.has(refusal.code)) return this.#does.barred(refusal);
		this.#does.passing(refusal);
		if (refusal.code === LATE || ++this.#refused >= HELLOS) return this.#does.leave();
		this.#timer = setTimeout(() => this.#say(true), this.#does.soon(refusal));
	}

	/** Brings a fresh JWT before the present one ends, if there is one. */
	renew(end = expiryOf(this.#does.identity.load().auth)) {
		clearTimeout(this.#timer);
		const left = end - Date.now();
		if (!(left > 1000)) return;
		const connection = this.#connection;
		this.#timer = setTimeout(async () => {
			await this.#does.identity.fresh?.();
			if (connection !== this.#connection) return;
			const fresh = expiryOf(this.#does.identity.load().auth);
			if (!(fresh > end)) return this.renew(end);
			this.#does.calls.make(this.command(false), () => this.renew(fresh), () => this.renew(end));
		}, Math.min(Math.max(left - RENEW_BEFORE, left / 2), 2 ** 31 - 1));
	}
}

/**
 * @param {string} [jwt]
 * @returns {number} when it ends, in milliseconds since the epoch; NaN where it does not say so
 */
const expiryOf = (jwt) => claimsOf(jwt).exp * 1000;
