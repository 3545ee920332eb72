// @ts-check

/**
 * @typedef {{token: string, name: string, auth?: string}} Identity Who one is; the name only
 *   if it was chosen, not given. `auth` is a JWT, where nodes demand one.
 *
 * @typedef {object} IdentityStore
 * @property {() => Identity} load
 * @property {(identity: Partial<Identity>) => void} save
 */

/**
 * An identity that is known as long as the page lives.
 * @param {Partial<Identity>} [first]
 * @returns {IdentityStore}
 */
export function remembered(first) {
	let known = { token: "", name: "", ...first };
	return { load: () => known, save: (change) => void (known = { ...known, ...change }) };
}
