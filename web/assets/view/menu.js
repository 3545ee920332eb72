// @ts-check
import { part } from "./dom.js";

/**
 * Closes a menu, a `<details>`, by a click elsewhere, when the focus goes elsewhere, and by Escape.
 * @param {HTMLDetailsElement} menu
 */
export function closes(menu) {
	const leaves = (/** @type {EventTarget | null} */ to) => {
		if (to && !menu.contains(/** @type {Node} */ (to))) menu.open = false;
	};
	document.addEventListener("click", ({ target }) => leaves(target));
	menu.addEventListener("focusout", ({ relatedTarget }) => leaves(relatedTarget));
	menu.addEventListener("keydown", (e) => {
		if (e.key !== "Escape" || !menu.open) return;
		e.stopPropagation();
		shut(menu);
	});
}

/**
 * Closes a menu in which something was chosen; the focus goes back to what opened it.
 * @param {HTMLDetailsElement} menu
 */
export function shut(menu) {
	menu.open = false;
	part(menu, "summary").focus();
}
