// @ts-check
/** @typedef {import("./watch.js").Row} Row */
/** @typedef {{x: number, y: number, r: number, row: Row}} Place */

const SVG = "http://www.w3.org/2000/svg";

/** So many nodes have a place in the picture; the table has all. */
const NODES_MOST = 24;

/** So many people at a node are drawn, and so many where nodes are small; the rest is a number. */
const DOTS_MOST = 12;
const DOTS_MOST_SMALL = 5;

/** The size of a node where there is room. */
const RADIUS = 28;

/** One message in so long is drawn, in milliseconds. */
const PASS_MS = 1000;

/** What one half of a message's way takes to be drawn, in milliseconds. */
const HALF_MS = 420;

/** Redis, the nodes around it, and what passes. The table says the same in words. */
export class Picture {
	#svg;
	#numbers;
	#still = document.createElementNS(SVG, "g");
	#moving = document.createElementNS(SVG, "g");
	#narrow = matchMedia("(max-width: 599.98px)");
	#calm = matchMedia("(prefers-reduced-motion: reduce)");
	/** @type {Place[]} */
	#places = [];
	#middle = { x: 0, y: 0 };
	#passed = 0;

	/**
	 * @param {Element} svg
	 * @param {import("../model/nodenumbers.js").NodeNumbers} numbers
	 */
	constructor(svg, numbers) {
		this.#svg = svg;
		this.#numbers = numbers;
		svg.append(this.#still, this.#moving);
	}

	/**
	 * @param {Row[]} rows
	 * @param {string} redis how it is
	 */
	draw(rows, redis) {
		const [width, height] = this.#narrow.matches ? [340, 340] : [640, 380];
		this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
		const shown = rows.slice(0, NODES_MOST);
		const r = shown.length > 8 ? (shown.length > 14 ? 15 : 20) : RADIUS;
		const middle = (this.#middle = { x: width / 2, y: height / 2 });
		this.#places = shown.map((row, i) => {
			const angle = (i / shown.length - (shown.length === 2 ? 0.5 : 0.25)) * 2 * Math.PI;
			return { x: middle.x + Math.cos(angle) * (middle.x - r - 42), y: middle.y + Math.sin(angle) * (middle.y - r - 36), r, row };
		});
		const rate = rows.reduce((sum, { live, seen }) => sum + (live ? (seen?.rate ?? 0) : 0), 0);
		const centre = make("g", { class: redis === "running" ? "pic-redis" : "pic-redis away", transform: `translate(${middle.x} ${middle.y})` },
			make("rect", { x: -48, y: -28, width: 96, height: 56, rx: 12 }),
			words("Redis", 0, -1, "pic-name"),
			words(redis === "running" ? `${rate.toFixed(1)} a second` : redis, 0, 17));
		this.#still.replaceChildren(...this.#places.map((place) => this.#line(place)), centre, ...this.#places.map((place) => this.#node(place)));
	}

	/**
	 * A message that this node took goes to all.
	 * @param {string} id
	 */
	pass(id) {
		const now = performance.now();
		const from = this.#places.find(({ row }) => row.id === id);
		if (!from || this.#calm.matches || now - this.#passed < PASS_MS || document.hidden) return;
		this.#passed = now;
		const colour = this.#numbers.colour(id);
		this.#move(colour, from, this.#middle, 0);
		for (const to of this.#places) if (to.row.live) this.#move(colour, this.#middle, to, HALF_MS);
	}

	/**
	 * @param {string} colour
	 * @param {{x: number, y: number}} from
	 * @param {{x: number, y: number}} to
	 * @param {number} delay in milliseconds
	 */
	#move(colour, from, to, delay) {
		const dot = make("circle", { r: 6, class: `pic-message ${colour}` });
		const at = (/** @type {{x: number, y: number}} */ { x, y }) => `translate(${x}px, ${y}px)`;
		this.#moving.append(dot);
		const way = [{ transform: at(from), opacity: 0 }, { opacity: 1, offset: 0.2 }, { transform: at(to), opacity: 1 }];
		const move = dot.animate(way, { duration: HALF_MS, delay, easing: "ease-in-out", fill: "backwards" });
		move.onfinish = () => dot.remove();
	}

	/** @param {Place} place */
	#line({ x, y, row }) {
		return make("line", { x1: x, y1: y, x2: this.#middle.x, y2: this.#middle.y, class: this.#style(row) });
	}

	/** @param {Row} row */
	#style({ id, live }) {
		return `pic-node ${this.#numbers.colour(id)}${live ? "" : " away"}`;
	}

	/** @param {Place} place */
	#node({ x, y, r, row }) {
		const number = String(this.#numbers.of(row.id) || "");
		const node = make("g", { class: this.#style(row), transform: `translate(${x} ${y})` },
			make("circle", { r }), words(number, 0, r / 4, "pic-number"));
		if (row.state !== "running") node.append(words(row.state, 0, r + 18));
		if (!row.live) return node;
		const out = Math.atan2(y - this.#middle.y, x - this.#middle.x);
		const users = row.seen?.users ?? 0;
		const drawn = Math.min(users, r < RADIUS ? DOTS_MOST_SMALL : DOTS_MOST);
		const step = 13 / (r + 11);
		for (let i = 0; i < drawn; i++) {
			const angle = out + (i - (drawn - 1) / 2) * step;
			node.append(make("circle", { cx: Math.cos(angle) * (r + 11), cy: Math.sin(angle) * (r + 11), r: 4, class: "pic-user" }));
		}
		if (users > drawn) node.append(words(`+${users - drawn}`, Math.cos(out) * (r + 34), Math.sin(out) * (r + 26) + 4));
		return node;
	}
}

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {...Element} children
 */
function make(name, attributes, ...children) {
	const element = document.createElementNS(SVG, name);
	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
	element.append(...children);
	return element;
}

/**
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {string} [style]
 */
function words(text, x, y, style = "pic-words") {
	const element = make("text", { x, y, class: style });
	element.textContent = text;
	return element;
}
