// @ts-check

/**
 * Shows a dialog alone, and closes it by its button or a click beside it. Escape is the browser's.
 * @param {HTMLDialogElement} dialog
 */
export function show(dialog) {
	const other = /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog[open]"));
	if (other === dialog) return;
	other?.close();
	dialog.onclick = ({ target }) => {
		if (target === dialog || target instanceof Element && target.closest("[data-shut]")) dialog.close();
	};
	dialog.showModal();
}
