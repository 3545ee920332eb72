// @ts-check
import { Claims } from "./claims.js";

/** For how long a tab without a token waits for the one that another tab is given, in milliseconds; less than a node waits for a hello. */
const TURN_MS = 2000;

/**
 * @typedef {{token: string, name: string, user?: string, auth?: string}} Identity Who one is; the name only
 *   if it was chosen, not given; `user` is the id that the token stands for. `auth` is a JWT, where nodes demand one.
 *
 * @typedef {object} IdentityStore
 * @property {() => Identity} load
 * @property {(identity: Partial<Identity>) => void} save
 * @property {() => Promise<void> | undefined} [turn] waits while another tab becomes a guest, so that both are the same one
 * @property {() => Promise<void>} [fresh] gets a fresh JWT before the present one ends
 * @property {() => void} [end] lets other tabs go on
 */

/**
 * What a JWT says. Only nodes verify it.
 * @param {string} [jwt]
 * @returns {any} empty for what is no JWT
 */
export function claimsOf(jwt = "") {
	try {
		return JSON.parse(atob(jwt.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))) ?? {};
	} catch {
		return {};
	}
}

/**
 * An identity that is known as long as the page lives.
 * @param {Partial<Identity>} [first]
 * @returns {IdentityStore}
 */
export function remembered(first) {
	let known = { token: "", name: "", ...first };
	return { load: () => known, save: (change) => void (known = { ...known, ...change }) };
}

/**
 * An identity that all tabs share and that outlives the page where storage allows it. A page stays the same
 * user as long as it lives: it takes from storage a change of this user, but no other user.
 * @param {import("./store.js").Store} store
 * @param {string} key
 * @param {{token?: string, name?: string}} [given]
 * @param {{claims?: () => Claims, wait?: number}} [options]
 * @returns {IdentityStore}
 */
export function keptIdentity(store, key, { token, name } = {}, { claims = () => new Claims(`${key}.first`), wait = TURN_MS } = {}) {
	const read = () => {
		const { token = "", name = "", user = "", was = "" } = store.read(key) ?? {};
		return { token: String(token), name: String(name), user: String(user), was: String(was) };
	};
	const first = read();
	let known = { token: token ?? first.token, name: name ?? first.name, user: token === undefined ? first.user : "" };
	/** Held while this tab is the one that becomes a guest. @type {Claims | undefined} */
	let held;
	/** @type {Promise<void> | undefined} */
	let waiting;

	const load = () => {
		const { was, ...kept } = read();
		const other = known.token && kept.user !== known.user && was !== known.user;
		if (kept.token && !other) known = { ...kept, name: kept.name || known.name };
		return known;
	};
	const end = () => {
		held?.end();
		held = undefined;
	};
	/** @param {Partial<Identity>} change */
	const save = (change) => {
		if (change.token === undefined) load(); // else a welcome of this page, which stands
		const { token, name, user } = { ...known, ...change };
		const { user: other, was } = read();
		const before = known.user;
		known = { token, name, user };
		if (!before || !other || other === before) store.write(key, { ...known, was: user === before ? was : before });
		if (token) end();
	};
	const claim = async () => {
		const mine = claims();
		if ((await mine.take([key])).length > 0) {
			held = mine;
			return;
		}
		mine.end();
		const over = new AbortController();
		await new Promise((resolve) => {
			const timer = setTimeout(resolve, wait);
			const look = () => {
				if (!read().token) return;
				clearTimeout(timer);
				resolve(undefined);
			};
			globalThis.addEventListener?.("storage", look, { signal: over.signal });
			look();
		});
		over.abort();
	};
	const turn = () => {
		if (held || load().token || !store.keeps) return undefined;
		return (waiting ??= claim().finally(() => (waiting = undefined)));
	};
	return { load, save, turn, end };
}
