// @ts-check
import { mentioned, parse } from "./markup.js";
import { foldName, Names } from "./names.js";

/**
 * Reports whether somebody is named in a text, as @name, in any spelling that the
 * nodes fold to the same name. Where a longer known name fits, its user is meant.
 * @param {string} text
 * @param {string} name "" is nobody's
 * @param {Names} [known] names of others
 * @returns {boolean}
 */
export function mentions(text, name, known) {
	if (name === "" || !mayMention(text)) return false;
	const wanted = foldName(name);
	return mentioned(parse(text, known ? [known, new Names([name])] : [new Names([name])])).some((one) => foldName(one) === wanted);
}

/**
 * Reports whether a text may name anybody, so that it depends on the names that are known.
 * @param {string} text
 */
export const mayMention = (text) => /[@＠]/.test(text);
