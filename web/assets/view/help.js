// @ts-check
import { COMMANDS } from "../commands.js";
import { show } from "./dialog.js";
import { byId } from "./dom.js";

const dialog = /** @type {HTMLDialogElement} */ (byId("help"));

/** Tells what one can do, by keys, marks and commands. */
export function openHelp() {
	show(dialog);
}

byId("help-commands").replaceChildren(...COMMANDS.flatMap(({ name, wants, does }) => [worded("dt", `/${name} ${wants}`), worded("dd", does)]));

/**
 * @param {string} element
 * @param {string} words
 */
function worded(element, words) {
	const made = document.createElement(element);
	made.textContent = words;
	return made;
}
