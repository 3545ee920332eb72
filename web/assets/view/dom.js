// @ts-check

/**
 * The element of the page with this id.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
	const element = document.getElementById(id);
	if (!element) throw new Error(`the page has no #${id}`);
	return /** @type {T} */ (element);
}

/**
 * A copy of what a template holds.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function stamp(id) {
	const template = /** @type {HTMLTemplateElement} */ (/** @type {unknown} */ (byId(id)));
	const copy = template.content.firstElementChild?.cloneNode(true);
	return /** @type {HTMLElement} */ (copy);
}

/**
 * Puts text in place of a part of a field's, as if it were typed: it can be undone, and
 * the field's "input" event follows.
 * @param {HTMLTextAreaElement | HTMLInputElement} field gets the focus
 * @param {string} text
 * @param {number} [from] the selection by default
 * @param {number} [to]
 */
export function insertText(field, text, from = field.selectionStart ?? 0, to = field.selectionEnd ?? from) {
	field.focus({ preventScroll: true });
	field.setSelectionRange(from, to);
	if (!text && from === to) return;
	// Setting the value empties the undo stack. No other call keeps it.
	if (document.execCommand(text ? "insertText" : "delete", false, text)) return;
	field.setRangeText(text, from, to, "end");
	field.dispatchEvent(new InputEvent("input", { bubbles: true }));
}

/**
 * The element within another that the selector finds.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {Element} root
 * @param {string} selector
 * @returns {T}
 */
export function part(root, selector) {
	const element = root.querySelector(selector);
	if (!element) throw new Error(`there is no ${selector}`);
	return /** @type {T} */ (element);
}

/**
 * Sets a text only where it changes, so that nothing is announced twice.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

/**
 * Puts children into an order with as few moves as it takes; a child that stays
 * keeps its focus.
 * @param {Element} parent
 * @param {Element[]} children
 */
export function arrange(parent, children) {
	const wanted = new Set(children);
	for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
	let at = parent.firstElementChild;
	for (const child of children) {
		if (child === at) at = at.nextElementSibling;
		else parent.insertBefore(child, at);
	}
}

/**
 * Runs a drawing once before the next frame, however often it is asked for.
 * @param {() => void} draw
 */
export function onFrame(draw) {
	let due = false;
	return () => {
		if (due) return;
		due = true;
		requestAnimationFrame(() => {
			due = false;
			draw();
		});
	};
}

/** A drawing that is due in hidden tabs too is done no more often, in milliseconds. */
const OFTEN_MS = 100;

/**
 * Runs a drawing at once, and then no more often than is seen. Hidden tabs have no
 * frames to wait for.
 * @param {() => void} draw
 */
export function often(draw) {
	let due = false;
	let last = -Infinity;
	const run = () => {
		due = false;
		last = performance.now();
		draw();
	};
	return () => {
		if (due) return;
		const wait = last + OFTEN_MS - performance.now();
		if (wait <= 0) return run();
		due = true;
		setTimeout(run, wait);
	};
}

/** A drawing that took its time is not done again for so many times as long. */
const REST = 12;

/** So long after a letter another one is expected, in milliseconds. */
const LETTER_MS = 250;

/**
 * Like onFrame, for a drawing that is asked for all the time where much goes on:
 * most of the time stays free, on slow machines too. While somebody types, it is
 * done in the pause after a letter, which is on the screen first.
 * @param {() => void} draw
 */
export function paced(draw) {
	let due = false;
	let rests = 0; // until when
	let typed = -Infinity;
	const run = () => {
		due = false;
		const start = performance.now();
		draw();
		const end = performance.now();
		rests = end + (end - start) * REST;
	};
	const start = () => {
		if (performance.now() - typed > LETTER_MS) return requestAnimationFrame(run);
		const waiting = new AbortController();
		const { signal } = waiting;
		const over = () => {
			waiting.abort();
			clearTimeout(timer);
			requestAnimationFrame(() => setTimeout(run)); // the task after that frame
		};
		const timer = setTimeout(over, LETTER_MS);
		addEventListener("input", over, { signal });
		addEventListener("keydown", (e) => e.key === "Enter" && over(), { signal });
	};
	addEventListener("input", () => (typed = performance.now()), true);
	addEventListener("keydown", (e) => e.key === "Enter" && (typed = -Infinity), true);
	return () => {
		if (due) return;
		due = true;
		const wait = rests - performance.now();
		if (wait > 0) setTimeout(start, wait);
		else start();
	};
}

/**
 * Copies a text, and says in the element whether it went.
 * @param {HTMLElement} element
 * @param {string} text
 */
export async function copyFrom(element, text) {
	const words = element.textContent;
	element.textContent = (await copied(text)) ? "Copied" : "Can't copy";
	setTimeout(() => (element.textContent = words), 1500);
}

/** @param {string} text */
async function copied(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		// Not there without TLS, or not allowed: as it was done before there was a clipboard.
		const field = document.createElement("textarea");
		const focused = /** @type {HTMLElement | null} */ (document.activeElement);
		field.value = text;
		field.className = "unseen";
		document.body.append(field);
		field.select();
		const done = document.execCommand("copy");
		field.remove();
		focused?.focus({ preventScroll: true });
		return done;
	}
}
