// @ts-check
import { recentEmoji, usedEmoji } from "../store/keep.js";
import { stamp } from "./dom.js";
import { make } from "./make.js";

/** @typedef {import("../text/emoji.js").Emoji} Emoji */
/** @typedef {typeof import("../text/emoji.js")} Names */

/** The emoji that there are. @type {Names} */
let names;

/** @type {((emoji: string | null) => void) | null} who waits for what is picked */
let waiting = null;

const search = /** @type {HTMLInputElement} */ (make("input", {
	id: "picker-search", type: "search", "aria-label": "Search emoji by name", placeholder: "Search by name", autocomplete: "off", spellcheck: "false",
}));
const grid = make("div", { class: "picker-grid", id: "picker-grid", role: "group", "aria-label": "Emoji" });
const none = make("p", { id: "picker-none", role: "status" }, "No emoji here has that name.");
const dialog = /** @type {HTMLDialogElement} */ (make("dialog", { class: "picker", id: "picker", "aria-label": "Choose an emoji" }, make("div", { class: "picker-in" }, search, grid, none)));
document.body.append(dialog);

/**
 * Lets one choose an emoji.
 * @param {HTMLElement} anchor what asks, next to which it opens
 * @param {Names} emoji
 * @returns {Promise<string | null>} null where none was chosen
 */
export function pickEmoji(anchor, emoji) {
	names = emoji;
	const { top, right } = anchor.getBoundingClientRect();
	dialog.style.setProperty("--over", `${innerHeight - top + 8}px`);
	dialog.style.setProperty("--beside", `${innerWidth - right}px`);
	search.value = "";
	draw();
	dialog.showModal();
	// On a phone the keyboard would cover what one chooses from.
	const first = matchMedia("(pointer: coarse)").matches ? grid.firstElementChild : search;
	if (first instanceof HTMLElement) first.focus();
	return new Promise((resolve) => (waiting = resolve));
}

/** @param {string | null} emoji */
function picked(emoji) {
	if (emoji) usedEmoji(emoji);
	waiting?.(emoji);
	waiting = null;
	dialog.close();
}

function draw() {
	const wanted = search.value.trim().replaceAll(":", "");
	const { EMOJI, named } = names;
	const recent = new Set(recentEmoji());
	const shown = wanted ? named(wanted) : [...EMOJI.filter(({ emoji }) => recent.has(emoji)), ...EMOJI.filter(({ emoji }) => !recent.has(emoji))];
	grid.replaceChildren(...shown.map(buttonOf));
	const [first] = grid.children;
	if (first instanceof HTMLElement) first.tabIndex = 0;
	none.hidden = shown.length > 0;
}

/** @param {Emoji} one */
function buttonOf({ emoji, names }) {
	const button = stamp("t-quick");
	button.textContent = emoji;
	button.dataset.emoji = emoji;
	button.tabIndex = -1;
	button.title = names[0].replaceAll("_", " ");
	button.setAttribute("aria-label", button.title);
	return button;
}

/** @param {KeyboardEvent} e within the grid */
function move(e) {
	const buttons = /** @type {HTMLElement[]} */ ([...grid.children]);
	const at = buttons.findIndex((button) => button === document.activeElement);
	const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
	const step = getComputedStyle(grid).direction === "rtl" ? -1 : 1;
	const to = {
		ArrowRight: at + step, ArrowLeft: at - step, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: buttons.length - 1,
	}[e.key];
	if (to === undefined || at < 0) return;
	e.preventDefault();
	if (to < 0) return search.focus();
	if (to >= buttons.length) return;
	buttons[at].tabIndex = -1;
	buttons[to].tabIndex = 0;
	buttons[to].focus();
}

search.addEventListener("input", draw);
search.addEventListener("keydown", (e) => {
	const first = /** @type {HTMLElement | null} */ (grid.firstElementChild);
	if (!first || (e.key !== "ArrowDown" && e.key !== "Enter")) return;
	e.preventDefault();
	if (e.key === "Enter") picked(first.dataset.emoji ?? null);
	else first.focus();
});
grid.addEventListener("keydown", move);
dialog.addEventListener("click", (e) => {
	const button = e.target instanceof Element ? e.target.closest("button") : null;
	if (button) picked(button.dataset.emoji ?? null);
	else if (e.target === dialog) picked(null); // beside it
});
dialog.addEventListener("close", () => waiting && picked(null));
