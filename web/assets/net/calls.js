// @ts-check

/** @typedef {import("./wire.js").Refusal} Refusal */

/** Codes of this side's own refusals: the connection, or the time, went first. */
export const GONE = "gone";
export const LATE = "late";

/** So often the time for an answer may begin anew, because something else came. */
const PATIENCE = 8;

/** The list of rooms has so many pages at most. */
const PAGES_MOST = 10;

/**
 * @typedef {object} Call A command that waits for its answer.
 * @property {(reply: any) => void} done
 * @property {(refusal: Refusal) => void} refused
 * @property {ReturnType<typeof setTimeout>} [timer]
 */

/** The commands that wait for an answer: each gets exactly one. */
export class Calls {
	#transmit;
	#within;
	#ref = 0;
	#heardAt = -Infinity;
	/** @type {Map<number, Call>} */
	#waiting = new Map();

	/**
	 * @param {(command: object) => void} transmit
	 * @param {number} within milliseconds an answer comes, or a part of what is before it
	 */
	constructor(transmit, within) {
		this.#transmit = transmit;
		this.#within = within;
	}

	get size() {
		return this.#waiting.size;
	}

	/**
	 * @param {object} command
	 * @param {(reply: any) => void} done
	 * @param {(refusal: Refusal) => void} refused
	 */
	make(command, done, refused) {
		const ref = ++this.#ref;
		/** @type {Call} */
		const call = { done, refused };
		let left = PATIENCE;
		const wait = (/** @type {number} */ ms) => {
			call.timer = setTimeout(() => {
				const quiet = performance.now() - this.#heardAt;
				if (quiet < this.#within && left-- > 0) return wait(this.#within - quiet);
				this.#waiting.delete(ref);
				refused({ code: LATE, message: "the node did not answer: try again" });
			}, ms);
		};
		wait(this.#within);
		this.#waiting.set(ref, call);
		this.#transmit({ ...command, ref });
	}

	/** @param {any} frame that may be an answer */
	answer(frame) {
		this.#heardAt = performance.now();
		const call = this.#waiting.get(frame.ref);
		if (!call) return;
		this.#waiting.delete(frame.ref);
		clearTimeout(call.timer);
		if (frame.type === "error") call.refused(frame);
		else call.done(frame);
	}

	/** No more answers come on this connection. */
	end() {
		const waiting = [...this.#waiting.values()];
		this.#waiting.clear();
		for (const call of waiting) {
			clearTimeout(call.timer);
			call.refused({ code: GONE, message: "the connection broke: try again" });
		}
	}
}

/**
 * Joins the pages of the list of rooms.
 * @param {(after: string | undefined) => Promise<{rooms: any[], next?: string}>} ask for the page after that one
 * @param {number} [most] pages
 */
export async function pagesOf(ask, most = PAGES_MOST) {
	const { rooms, next } = await ask(undefined);
	for (let after = next; after && most > 1; most--) {
		const page = await ask(after);
		rooms.push(...page.rooms);
		after = page.next;
	}
	return rooms;
}
