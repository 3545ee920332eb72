// @ts-check

/** There the Control key is for the text. */
const MAC = /^(Mac|iP)/.test(navigator.platform);

/** @param {string} key a letter @param {boolean} [shift] */
export function keyName(key, shift = false) {
	return MAC ? `${shift ? "⇧" : ""}⌘${key}` : `Ctrl+${shift ? "Shift+" : ""}${key}`;
}

/**
 * @typedef {object} Shortcuts
 * @property {() => void} switch
 * @property {() => void} search
 * @property {(step: 1 | -1, unread: boolean) => void} step to the next room, or the one before
 */

/**
 * Keeps keys from all else while an input method composes: they are its own. 229 is what
 * Safari reports for the key that ended a composition.
 */
addEventListener("keydown", (e) => {
	if (!e.isComposing && e.keyCode !== 229) return;
	e.stopImmediatePropagation();
	if (e.key === "Escape") e.preventDefault(); // it would close the dialog around the field
}, true);

/**
 * Keys that work wherever the focus is.
 * @param {Shortcuts} does
 */
export function shortcuts(does) {
	document.addEventListener("keydown", (e) => {
		const act = actOf(e, does);
		if (!act) return;
		// Nobody else's: not the browser's, nor the field's.
		e.preventDefault();
		e.stopPropagation();
		act();
	}, true);
}

/**
 * @param {KeyboardEvent} e
 * @param {Shortcuts} does
 */
function actOf(e, does) {
	const { altKey: alt, shiftKey: shift, key } = e;
	if (MAC ? e.metaKey && !e.ctrlKey : e.ctrlKey && !e.metaKey) {
		if (alt) return null;
		if (!shift && isLetter(e, "k")) return does.switch;
		return shift && isLetter(e, "f") ? does.search : null;
	}
	const step = key === "ArrowUp" ? -1 : key === "ArrowDown" ? 1 : 0;
	const free = alt && !e.ctrlKey && !e.metaKey && !document.querySelector("dialog[open]");
	return free && step ? () => does.step(step, shift) : null;
}

/**
 * Whether a key is this one: by its letter, or by its place where the keyboard has others.
 * @param {KeyboardEvent} e
 * @param {string} letter
 */
function isLetter({ key, code }, letter) {
	return key.toLowerCase() === letter || !/^[a-z]$/i.test(key) && code === `Key${letter.toUpperCase()}`;
}
