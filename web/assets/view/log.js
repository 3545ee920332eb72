// @ts-check
import { Announcer } from "./announce.js";
import { arrange, byId, part, setText, stamp } from "./dom.js";
import { Layout } from "./layout.js";
import { drawRow, markOf } from "./row.js";
import { Span } from "./span.js";
import { look } from "./times.js";

/** @typedef {import("./layout.js").Item} Item */
/** @typedef {import("../model/changes.js").Message} Message */
/** @typedef {import("../net/wire.js").User} User */
/** @typedef {import("../store/outbox.js").Pending} Pending */
/** @typedef {import("../model/roomlog.js").RoomLog} RoomLog */
/** @typedef {import("../model/nodenumbers.js").Numbers} NodeNumbers */

/** How near to an edge counts as there, in pixels. */
const NEAR_END = 48;
const NEAR_START = 600;

/** So many rows are in the document at once. */
const ROWS_MOST = 200;

/** How far beyond what is seen there are rows, in parts of its height: wanted, and least. */
const BEYOND = 0.75;
const BEYOND_LEAST = 0.25;

/** So long after what the reader did a scrolling is their doing, in milliseconds. */
const MOMENT_MS = 500;

/** What a row is taken for until it was drawn once, in pixels. */
const GUESS = 40;

/** Where in the view the first unread message is put, in parts of its height. */
const LINE_AT = 0.15;

/** How long the message that a link led to stays marked, in milliseconds. */
const MARKED_MS = 2500;

/**
 * @typedef {object} Hooks
 * @property {() => {log: RoomLog, pending: Pending[], me: User | null}} now what is to be shown
 * @property {() => void} older the beginning of what is shown came near
 * @property {() => void} atEnd the newest message is in view
 * @property {(id: string) => void} seen this message is in view, and newer ones that are unread are not
 *
 * @typedef {{row: HTMLElement, mark: string, about: Message | Pending, item: Item}} Drawn
 */

/**
 * Draws a room's messages and keeps the reader's place in them. Only the rows
 * around what is seen are in the document; space stands for the others.
 */
export class LogView {
	/** The key of the message of which is asked whether to delete it; "" */
	asking = "";

	#scroll = byId("scroll");
	#log = byId("log");
	#jump = byId("jump");
	#announcer = new Announcer(byId("announcer"));
	#numbers;
	#hooks;
	#mentions;

	#span = new Span();
	/** @type {WeakMap<Message | Pending, number>} rows' heights in pixels, as far as they were drawn */
	#heights = new WeakMap();
	/** @type {Layout | null} */
	#layout = null;
	/** @type {RoomLog | null} */
	#room = null;
	/** @type {User | null} */
	#me = null;
	#times = "";
	/** How the rows stand that are not at the end; when it is another, all is summed anew. */
	#order = "";
	/** @type {Map<string, Drawn>} */
	#drawn = new Map();
	#atEnd = true;
	/** A press on a message is not over yet. */
	#pressed = false;
	/** How much of the view was empty above the messages when it began, in pixels. */
	#held = 0;
	/** By how much the space above is not what it should be, so that nothing had to move. */
	#drift = 0;
	/** When the reader did something that scrolls, and when they wrote. */
	#touched = -Infinity;
	#typed = -Infinity;
	/** When the reader was led to the first unread message. */
	#landed = -Infinity;
	/** Where it was scrolled to, and how high the view was, in pixels. */
	#top = 0;
	#viewed = 0;
	/**
	 * The reader's place: the rows that are seen, and where on the screen their text
	 * begins: a name and a day above it go when older messages come.
	 * @type {{row: Element, top: number, whole: boolean}[]}
	 */
	#places = [];
	#marked = "";
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#markedTimer;

	/**
	 * @param {NodeNumbers} numbers
	 * @param {Hooks} hooks
	 * @param {(text: string, name: string) => boolean} mentions
	 */
	constructor(numbers, hooks, mentions) {
		this.#numbers = numbers;
		this.#hooks = hooks;
		this.#mentions = mentions;
		this.#scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
		this.#jump.addEventListener("click", () => this.toEnd());
		this.#holdWhilePressed();
		for (const name of ["wheel", "touchmove", "pointerdown", "keydown"])
			this.#scroll.addEventListener(name, () => (this.#touched = performance.now()), { passive: true });
		document.addEventListener("input", () => (this.#typed = performance.now()));
		const observer = new ResizeObserver(() => this.#resized());
		observer.observe(this.#scroll);
		observer.observe(this.#log); // fonts came, a row opened
	}

	/** While the mouse or a finger presses on a message, nothing moves under it. */
	#holdWhilePressed() {
		let end = false; // it was in view when the press began
		let top = 0;
		this.#log.addEventListener("pointerdown", ({ button }) => {
			if (button !== 0) return;
			this.#pressed = true;
			end = this.#atEnd;
			top = this.#scroll.scrollTop;
			const column = /** @type {HTMLElement} */ (this.#log.parentElement);
			this.#held = this.#log.getBoundingClientRect().top - column.getBoundingClientRect().top - parseFloat(getComputedStyle(column).paddingTop);
		});
		const release = () => {
			if (!this.#pressed) return;
			this.#pressed = false;
			this.#held = 0;
			if (!end || this.#atEnd) return;
			const stayed = Math.abs(this.#scroll.scrollTop - top) < NEAR_END;
			// The click comes after the release, and finds its target in place.
			setTimeout(() => this.#pressed || (stayed ? this.toEnd() : this.draw()));
		};
		for (const name of ["pointerup", "pointercancel", "contextmenu"]) addEventListener(name, release, true); // a menu may swallow the release
	}

	/** Whether the newest message is in view. */
	get atEnd() {
		const { log } = this.#hooks.now();
		return this.#atEnd && log === this.#room && !log.landing;
	}

	toEnd() {
		this.#atEnd = true;
		if (this.#sync()) this.#render(true);
		this.#hooks.atEnd();
		this.#drawJump();
	}

	draw() {
		const { log } = this.#hooks.now();
		const other = log !== this.#room;
		if (other) this.#clear(log);
		this.#remember();
		if (this.#pressed) this.#atEnd = false;
		this.#sync();
		this.#render(other);
		if (log.landing) this.#land(log);
		this.#drawJump();
		this.#tell();
		if (log.loaded) this.#announcer.heard(log, this.#me, other);
		// Where one can't scroll further, no scrolling would ask for more.
		if (log.more && this.#scroll.scrollTop < NEAR_START) this.#hooks.older();
	}

	/**
	 * @param {Element | null} element within a row
	 * @returns {Item | undefined} what it shows
	 */
	itemOf(element) {
		/** @type {HTMLElement | null | undefined} */
		const message = element?.closest(".message");
		return this.#drawn.get(message?.dataset.key ?? "")?.item;
	}

	/**
	 * The message next to another one, in the document and in view.
	 * @param {string} key "" for one at the edge of what is seen
	 * @param {number} step 1 for the next, -1 for the one before
	 * @returns {HTMLElement | null} null where there is none
	 */
	next(key, step) {
		const layout = this.#sync() && this.#layout;
		if (!layout || layout.count === 0) return null;
		const seen = this.#places.map(({ row }) => row);
		const edge = step < 0 ? seen.at(-1) : seen[0];
		const from = key ? layout.indexOf(key) + step : edge ? this.#span.start + [...this.#log.children].indexOf(edge) : layout.count - 1;
		if (from < 0 || from >= layout.count) return null;
		if (from < this.#span.start || from >= this.#span.end) this.#go(from, 0.5);
		const row = /** @type {HTMLElement} */ (this.#log.children[from - this.#span.start]);
		const [box, frame] = [row.getBoundingClientRect(), this.#scroll.getBoundingClientRect()];
		if (box.top < frame.top) this.#scroll.scrollTop += box.top - frame.top - 8;
		else if (box.bottom > frame.bottom) this.#scroll.scrollTop += Math.min(box.bottom - frame.bottom + 8, box.top - frame.top);
		return row.querySelector(".message");
	}

	/**
	 * Leads the reader to a message, and marks it for a moment.
	 * @param {string} id
	 */
	show(id) {
		if (!this.#sync() || !this.#layout || !this.#room?.get(id)) return false;
		clearTimeout(this.#markedTimer);
		this.#marked = id;
		this.#markedTimer = setTimeout(() => {
			this.#marked = "";
			this.draw();
		}, MARKED_MS);
		this.#go(this.#layout.indexOf(id), 0.3);
		return true;
	}

	/**
	 * Leads the reader to the first unread message, where it is not in view.
	 * @param {RoomLog} log
	 */
	#land(log) {
		const { landing } = log;
		log.landing = "";
		if (landing === "older" && this.#touched > this.#landed) return; // they went on from there
		this.#landed = performance.now();
		const index = log.indexOf(log.newFrom);
		const row = this.#log.children[index - this.#span.start];
		const frame = this.#scroll.getBoundingClientRect();
		if (!row || row.getBoundingClientRect().top < frame.top) this.#go(index, LINE_AT);
	}

	/** Reports up to where the messages are in view. */
	#tell() {
		const room = this.#room;
		if (!room?.loaded) return;
		if (this.atEnd) return this.#hooks.atEnd();
		if (!room.unread) return;
		const { top, bottom } = this.#scroll.getBoundingClientRect();
		const last = [...this.#places].reverse().find(({ row }) => {
			const box = row.getBoundingClientRect();
			return box.bottom <= bottom + 1 || box.top <= top; // all of it, or it fills the view
		});
		const id = last && this.itemOf(part(last.row, ".message"))?.entry?.id;
		if (id) this.#hooks.seen(id);
	}

	/** @param {RoomLog} log */
	#clear(log) {
		this.#room = log;
		this.#drawn.clear();
		this.#log.replaceChildren();
		this.#heights = new WeakMap();
		this.#layout = null;
		this.#order = this.#marked = this.asking = "";
		this.#atEnd = true;
		this.#drift = 0;
		this.#places = [];
	}

	/** @param {number} index of a row or of where there was none */
	#height = (index) => {
		const about = this.#layout?.at(index);
		return (about && this.#heights.get(about)) ?? GUESS;
	};

	/**
	 * Takes what is known by now. Of what came at the end the heights are added;
	 * else all are summed.
	 * @returns {boolean} false where another room is about to be drawn
	 */
	#sync() {
		const { log, pending, me } = this.#hooks.now();
		if (log !== this.#room) return false;
		const layout = new Layout(log, pending, me);
		const order = [log.moves, ...layout.said.map(({ key }) => key)].join();
		const first = this.#layout && this.#drawn.keys().next().value;
		this.#layout = layout;
		this.#me = me;
		this.#times = look();
		if (order === this.#order) {
			this.#span.extend(layout.count, this.#height);
		} else {
			const { above } = this.#span;
			this.#span.reset(first ? layout.indexOf(first) : layout.count, layout.count, this.#height);
			this.#drift -= this.#span.above - above; // as yet nothing has moved
		}
		this.#order = order;
		return true;
	}

	/**
	 * Shows a row at a part of the view's height.
	 * @param {number} index
	 * @param {number} part
	 */
	#go(index, part) {
		const layout = this.#layout;
		if (!layout) return;
		this.#span.reset(index, layout.count, this.#height);
		this.#atEnd = false;
		this.#drift = 0;
		const { clientHeight } = this.#scroll;
		const top = this.#span.above - clientHeight * part;
		this.#render(true, top);
		const row = this.#log.children[index - this.#span.start];
		if (row) this.#scroll.scrollTop += row.getBoundingClientRect().top - this.#scroll.getBoundingClientRect().top - clientHeight * part;
		this.#scrolled();
	}

	/**
	 * Puts the rows that are wanted into the document.
	 * @param {boolean} [still] nothing moves: all of it is new
	 * @param {number} [to] where to scroll to first, in the list's pixels
	 */
	#render(still = false, to) {
		const layout = this.#layout;
		if (!layout) return;
		const { clientHeight } = this.#scroll;
		const beyond = clientHeight * BEYOND;
		if (to !== undefined) this.#places = [];
		const kept = to === undefined ? this.#kept(layout) : undefined;
		// Rows are often higher than they were taken for: then there are enough at once.
		for (let round = 0; round < 3; round++) {
			const top = to ?? this.#scroll.scrollTop - this.#drift;
			if (this.#atEnd) this.#span.cover(-clientHeight * (1 + BEYOND_LEAST), Infinity, clientHeight, ROWS_MOST, this.#height, kept);
			else this.#span.cover(top - beyond, top + clientHeight + beyond, beyond, ROWS_MOST, this.#height, kept);
			this.#fill(layout, still);
			const enough = !this.#measure();
			if (to !== undefined) this.#scroll.scrollTop = to;
			this.#settle();
			if (enough) break;
		}
		this.#remember();
	}

	/**
	 * The rows from the first to the last one that has the focus or an end of the selection.
	 * @param {Layout} layout
	 */
	#kept(layout) {
		const { anchorNode = null, focusNode = null, isCollapsed = true } = getSelection() ?? {};
		const ends = [document.activeElement, ...(isCollapsed ? [] : [anchorNode, focusNode])].filter((node) => this.#log.contains(node));
		const keys = ends.map((node) => this.itemOf(node instanceof Element ? node : node?.parentElement ?? null)?.key ?? "");
		const indexes = keys.filter((key) => this.#room?.get(key)).map((key) => layout.indexOf(key));
		return { first: Math.min(...indexes), last: Math.max(-1, ...indexes) };
	}

	/**
	 * @param {Layout} layout
	 * @param {boolean} still
	 */
	#fill(layout, still) {
		const { activeElement } = document;
		const focused = this.#log.contains(activeElement);
		/** @type {HTMLElement | null | undefined} */
		const message = focused ? activeElement?.closest(".message") : null;
		/** @type {Map<string, Drawn>} */
		const drawn = new Map();
		for (let i = this.#span.start; i < this.#span.end; i++) {
			const one = this.#drawItem(layout.item(i), layout.at(i), still || !this.#atEnd || i < layout.count - 1);
			drawn.set(one.item.key, one);
		}
		this.#drawn = drawn;
		arrange(this.#log, [...drawn.values()].map(({ row }) => row));
		if (focused && !this.#log.contains(document.activeElement)) (message?.isConnected ? message : this.#scroll).focus({ preventScroll: true });
		this.#space();
	}

	/**
	 * @param {Item} item
	 * @param {Message | Pending} about
	 * @param {boolean} still
	 * @returns {Drawn}
	 */
	#drawItem(item, about, still) {
		const common = {
			room: this.#room?.name ?? "", me: this.#me, known: this.#room?.known, numbers: this.#numbers, mentions: this.#mentions, times: this.#times, marked: this.#marked, asking: this.asking,
		};
		const mark = markOf(item, common);
		// A pending message that got its place stays the element that it was.
		const drawn = this.#drawn.get(item.key) ?? this.#drawn.get(item.was);
		if (drawn && drawn.mark === mark && drawn.about === about) return drawn;
		const row = drawn?.row ?? stamp("t-message");
		if (drawn) this.#heights.set(about, this.#heights.get(drawn.about) ?? GUESS);
		drawRow(row, item, common);
		row.classList.toggle("arrives", !drawn && !still);
		return { row, mark, about, item };
	}

	/** The space that stands for the rows that are not in the document. */
	#space() {
		this.#log.style.paddingBlockStart = `${Math.max(0, this.#span.above + this.#drift) + this.#held}px`;
		this.#log.style.paddingBlockEnd = `${this.#span.below}px`;
	}

	/** @returns {boolean} whether rows are lower than they were taken for, so that there may be too few */
	#measure() {
		let [more, less] = [0, 0];
		for (const { row, about } of this.#drawn.values()) {
			const height = row.getBoundingClientRect().height;
			const grown = height - (this.#heights.get(about) ?? GUESS);
			this.#heights.set(about, height);
			if (grown > 0) more += grown;
			else less -= grown;
		}
		this.#span.grew(more - less);
		return less - more > 1;
	}

	#scrolled() {
		const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
		const now = performance.now();
		const byHand = now - this.#touched < MOMENT_MS;
		// A field that grows pushes the messages; that is not the reader's doing.
		if (this.#atEnd && !byHand && now - this.#typed < MOMENT_MS) return this.#settle();
		// Who scrolls up leaves the end at once, or new messages would pull them back.
		const near = byHand && scrollTop < this.#top - 1 ? 1 : NEAR_END;
		const atEnd = scrollHeight - scrollTop - clientHeight < near && this.#span.atEnd;
		this.#top = scrollTop;
		const reached = atEnd && !this.#atEnd;
		this.#atEnd = atEnd;
		this.#remember();
		const least = clientHeight * BEYOND_LEAST;
		const top = scrollTop - this.#drift;
		const { start, above } = this.#span;
		const bottom = scrollHeight - this.#span.below;
		const short = start > 0 && above > top - least || !this.#span.atEnd && bottom < scrollTop + clientHeight + least;
		if (short && this.#sync()) this.#render();
		if (reached || this.#room?.unread) this.#tell();
		if (scrollTop < NEAR_START) this.#hooks.older();
		this.#drawJump();
	}

	#resized() {
		this.#measure();
		this.#settle();
		const { clientHeight } = this.#scroll;
		if (clientHeight === this.#viewed) return;
		this.#viewed = clientHeight;
		requestAnimationFrame(() => this.draw()); // more rows may be seen
	}

	/** Notes where the reader is: the rows that are in view. */
	#remember() {
		this.#places = [];
		const { top, bottom } = this.#scroll.getBoundingClientRect();
		const rows = this.#log.children;
		let low = 0;
		let high = rows.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (rows[middle].getBoundingClientRect().bottom <= top) low = middle + 1;
			else high = middle;
		}
		for (let i = low; i < rows.length; i++) {
			const { top: begins } = textOf(rows[i]).getBoundingClientRect();
			if (begins >= bottom) break;
			this.#places.push({ row: rows[i], top: begins, whole: begins >= top });
		}
	}

	/** Puts the reader back to where they were. */
	#settle() {
		if (this.#atEnd) {
			this.#drift = 0;
			this.#space();
			this.#scroll.scrollTop = this.#scroll.scrollHeight;
			this.#top = this.#scroll.scrollTop;
			return;
		}
		const places = this.#places.filter(({ row }) => row.isConnected);
		const place = places.find(({ whole }) => whole) ?? places[0]; // one whose beginning is seen
		if (!place) return;
		const off = () => textOf(place.row).getBoundingClientRect().top - place.top;
		// Space that gives way doesn't disturb a finger's scrolling, as scrolling by script would.
		const { start, above } = this.#span;
		const drift = this.#drift - off();
		const gives = start > 0 && above + drift > above / 2 && above + drift < above * 2;
		this.#drift = gives ? drift : 0;
		this.#space();
		if (!gives && off()) this.#scroll.scrollTop += off();
	}

	#drawJump() {
		const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
		const { unread = 0, unreadMore = false } = this.#room ?? {};
		this.#jump.hidden = this.#atEnd || scrollHeight - scrollTop - clientHeight < clientHeight / 2 && !unread;
		setText(byId("jump-words"), unread ? `${unread.toLocaleString()}${unreadMore ? "+" : ""} new` : "Newest");
	}
}

/** @param {Element} row */
const textOf = (row) => part(row, ".text");
