// @ts-check
// Asks nodes how the cluster is and what they noted of a message, and in the demo
// says what is to be done to it.

/**
 * @typedef {object} Seen A node, as any node tells of it. One of an older version has no more than its name and place.
 * @property {string} id
 * @property {string} url
 * @property {"ready" | "draining" | "away"} [state]
 * @property {number} [users]
 * @property {number} [rooms]
 * @property {number} [rate] messages a second that it accepts
 * @property {number} [rtt_ms] its way through Redis and back
 * @property {number} [age_ms] of what it heard from Redis last
 * @property {number} [seen_ms] of all this
 *
 * @typedef {object} Demo
 * @property {{node: number, url: string, state: "running" | "frozen" | "starting" | "draining"}[]} nodes
 * @property {"running" | "stopped"} broker
 * @property {boolean} freeze whether this system can
 *
 * @typedef {object} Look
 * @property {string} from who answered; "" where none did
 * @property {Seen[]} nodes
 * @property {Demo | null} demo
 *
 * @typedef {object} Row A node as it is shown.
 * @property {string} id
 * @property {string} url
 * @property {string} state a word
 * @property {boolean} live
 * @property {number} demo its number in the demo; 0 where it is in none
 * @property {Seen | undefined} seen what it tells, where that is so still
 *
 * @typedef {"kill" | "freeze" | "wake" | "drain" | "stop" | "start"} Action
 *
 * @typedef {{node: string, now: number, received?: number, append_began?: number, append_ended?: number, heard?: number, handed?: number}} Noted
 *   What a node noted of a message, in microseconds of its own clock; what is 0 or missing did not happen there.
 *
 * @typedef {{noted: Noted, asked: number, answered: number}} Answer With when it was asked for and there, by the page's clock in milliseconds.
 *
 * @typedef {{node: string, at: number}} Copy A browser at this node got it.
 *
 * @typedef {{kind: string, node: string, from: number, to: number}} Hop In milliseconds since it was sent; `kind` is a key of the table's hopWords.
 */

/** In milliseconds. `silent` is a few beats; a killed node is back long before `gone`. */
const TIMES = Object.freeze({ answer: 2000, act: 20_000, silent: 4000, gone: 60_000 });

/** So many nodes are shown, and known as places to ask. */
const MOST = 64;

/** The page's clock in milliseconds, with parts of one. */
export function now() {
	return performance.timeOrigin + performance.now();
}

/** Asks whichever node answers: the page goes on when its own was killed. */
export class Watch {
	/** @type {string[]} the one that answered last first */
	#places;
	#token;
	#fetch;

	/**
	 * @param {string} origin the page's
	 * @param {string} token the demo's; ""
	 * @param {typeof fetch} [get]
	 */
	constructor(origin, token, get = (url, options) => fetch(url, options)) {
		this.#places = [origin];
		this.#token = token;
		this.#fetch = get;
	}

	/** @returns {Promise<Look>} */
	async look() {
		const at = async (/** @type {string} */ from) => {
			const state = this.#token ? this.#get(`${from}/cluster/state`).catch(() => null) : null;
			const { nodes } = await this.#get(`${from}/api/nodes`);
			const known = nodes.filter((/** @type {Seen} */ { url }) => /^https?:/.test(url));
			return { from, nodes: known.slice(0, MOST), demo: await state };
		};
		const [first, ...others] = this.#places;
		const look = await at(first).catch(() => Promise.any(others.map(at))).catch(() => ({ from: "", nodes: [], demo: null }));
		const urls = [look.from, ...look.nodes.map((/** @type {Seen} */ { url }) => url), ...this.#places];
		this.#places = [...new Set(urls.filter(Boolean))].slice(0, MOST);
		return look;
	}

	/**
	 * Done when it resolves; else the error has words for people.
	 * @param {Action} action
	 * @param {number | undefined} node none for Redis
	 * @param {string} place who is asked
	 */
	async act(action, node, place) {
		const body = JSON.stringify({ token: this.#token, action, node });
		const headers = { "Content-Type": "application/json" };
		const signal = AbortSignal.timeout(TIMES.act);
		const answer = await this.#fetch(`${place}/cluster/control`, { method: "POST", headers, body, signal }).catch(() => null);
		if (answer?.ok) return;
		const said = await answer?.json().catch(() => null);
		throw new Error(said?.error?.message ?? "The node that was asked did not answer. Try again.");
	}

	/**
	 * @param {string[]} urls of nodes
	 * @param {string} key of a message
	 * @returns {Promise<Answer[]>} of those that know it
	 */
	async noted(urls, key) {
		const asks = urls.map(async (url) => {
			/** @type {Answer[]} the quickest tells most of the node's clock */
			const answers = [];
			for (let i = 0; i < 3; i++) {
				const asked = now();
				const noted = await this.#get(`${url}/api/trace?key=${key}`);
				answers.push({ noted, asked, answered: now() });
			}
			return answers.sort((a, b) => a.answered - a.asked - b.answered + b.asked)[0];
		});
		return (await Promise.allSettled(asks)).flatMap((ask) => (ask.status === "fulfilled" ? [ask.value] : []));
	}

	/**
	 * @param {string} url
	 * @returns {Promise<any>}
	 */
	async #get(url) {
		const answer = await this.#fetch(url, { signal: AbortSignal.timeout(TIMES.answer), cache: "no-store" });
		if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
		return answer.json();
	}
}

/** What is known of the nodes, those included that went away a moment ago. */
export class Known {
	redis = true;
	/** @type {Row[]} in the order of their names, so that none changes its place */
	rows = [];

	/** @type {Map<string, Row & {last: number}>} */
	#rows = new Map();

	/**
	 * @param {Look} look where nobody answered, all are gone
	 * @param {number} now
	 */
	learn({ nodes, demo }, now) {
		this.redis = demo ? demo.broker === "running" : nodes.some(({ state, age_ms = 0 }) => state !== "away" && age_ms < TIMES.silent);
		const learn = (/** @type {Seen | undefined} */ seen, number = 0, place = "", state = "running") => {
			const id = seen?.id ?? `node-${number}`;
			if (state === "running") state = seen ? this.#word(seen) : "starting";
			const live = state === "running" || state === "draining";
			const still = state === "frozen" || state === "starting"; // what it wrote last is past
			this.#rows.set(id, { id, url: seen?.url ?? place, state, live, demo: number, seen: still ? undefined : seen, last: now });
		};
		for (const seen of nodes) learn(seen);
		for (const { node, url, state } of demo?.nodes ?? []) learn(nodes.find((seen) => portOf(seen.url) === portOf(url)), node, url, state);
		for (const [id, row] of this.#rows) {
			if (now - row.last > TIMES.gone) this.#rows.delete(id);
			else if (row.last < now) this.#rows.set(id, { ...row, state: "gone", live: false, seen: undefined });
		}
		this.rows = [...this.#rows.values()].sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true })).slice(0, MOST);
	}

	/** @param {Seen} seen */
	#word({ state = "ready", seen_ms = 0 }) {
		if (this.redis && seen_ms > TIMES.silent) return "silent"; // without Redis nobody hears of anybody
		return state === "ready" ? "running" : state;
	}
}

/** @param {string} url */
function portOf(url) {
	return /:(\d+)\/?$/.exec(url)?.[1] ?? url;
}

/**
 * Puts the way of a message on the page's clock. A node's answer was written between
 * question and answer, so its clock is known to half of that; and no node had the
 * message before it was sent, or handed it on after a browser got it, which narrows it
 * further.
 * @param {number} sent
 * @param {number} acknowledged 0 where it never was
 * @param {Copy[]} copies
 * @param {Answer[]} answers
 * @returns {{hops: Hop[], within: number}} `within` is how wrong a node's time may be, in milliseconds
 */
export function align(sent, acknowledged, copies, answers) {
	/** @type {Hop[]} */
	const hops = [];
	const hop = (/** @type {string} */ kind, /** @type {string} */ node, from = 0, to = 0) => {
		if (from && to) hops.push({ kind, node, from: from - sent, to: Math.max(from, to) - sent });
	};
	const aligned = answers.map((answer) => onPageClock(answer, sent, acknowledged, copies));
	const first = aligned.find(({ received }) => received);
	if (first) {
		const { node, received, append_began, append_ended } = first;
		hop("received", node, sent, received);
		hop("judged", node, received, append_began);
		hop("appended", node, append_began, append_ended);
		hop("acknowledged", node, append_ended, acknowledged);
	}
	for (const { node, heard, handed } of aligned) {
		hop("heard", node, first?.append_began ?? sent, heard);
		hop("handed", node, heard, handed);
		for (const copy of copies) if (copy.node === node) hop("got", node, handed || heard, copy.at);
	}
	return { hops, within: Math.max(0, ...answers.map(({ asked, answered }) => (answered - asked) / 2)) };
}

/**
 * @param {Answer} answer
 * @param {number} sent
 * @param {number} acknowledged
 * @param {Copy[]} copies
 * @returns {Noted} in milliseconds
 */
function onPageClock({ noted, asked, answered }, sent, acknowledged, copies) {
	const { node, now, ...times } = noted;
	const { received, heard, handed, append_ended } = times;
	const off = (asked + answered) / 2 - now / 1000;
	const after = (/** @type {number | undefined} */ micros, latest = 0) => (micros && latest ? latest - micros / 1000 : Infinity);
	const latest = Math.min(after(append_ended, acknowledged), ...copies.map((copy) => (copy.node === node ? after(handed, copy.at) : Infinity)));
	const earliest = sent - (received || heard || Infinity) / 1000;
	const shift = Math.max(earliest, Math.min(off, latest));
	return Object.assign({ node, now }, ...Object.entries(times).map(([name, micros]) => micros && { [name]: micros / 1000 + shift }));
}
