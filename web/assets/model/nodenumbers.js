// @ts-check

/** @typedef {Pick<NodeNumbers, "see" | "of" | "colour">} Numbers */

/** There are as many colours; a ninth node has the first one's. */
const COLOURS = 8;

/** How many nodes are remembered. */
const MOST = 64;

/**
 * Gives nodes the numbers and colours that they keep. Where each id ends in a
 * small number of its own ("node-2"), that is the node's; else they are counted
 * in the order of their ids, those gone included, so that none changes when
 * another dies.
 */
export class NodeNumbers {
	/** @type {string[]} */
	#ids;
	#numbered;
	#save;

	/**
	 * @param {string[]} ids those seen before
	 * @param {(ids: string[]) => void} save
	 */
	constructor(ids, save) {
		this.#ids = ids.slice(0, MOST);
		this.#numbered = numbered(this.#ids);
		this.#save = save;
	}

	/**
	 * @param {string[]} ids
	 * @returns {boolean} whether one of them is new
	 */
	see(ids) {
		const fresh = ids.filter((id) => !this.#ids.includes(id));
		if (fresh.length === 0) return false;
		this.#ids = [...this.#ids, ...fresh].slice(-MOST).sort(byNumber);
		this.#numbered = numbered(this.#ids);
		this.#save(this.#ids);
		return true;
	}

	/**
	 * @param {string} id
	 * @returns {number} from 1; 0 for a node that was never seen
	 */
	of(id) {
		return this.#numbered ? ownNumber(id) : this.#ids.indexOf(id) + 1;
	}

	/**
	 * @param {string} id
	 * @returns {string} the colour's class
	 */
	colour(id) {
		const number = this.of(id);
		return number === 0 ? "node-gone" : `node-${((number - 1) % COLOURS) + 1}`;
	}
}

/** Where the page is not to show nodes: none has a number or a colour. @type {Numbers} */
export const NO_NUMBERS = { see: () => false, of: () => 0, colour: () => "" };

/**
 * Whether each of the ids has a number of its own.
 * @param {string[]} ids
 */
function numbered(ids) {
	const numbers = new Set(ids.map(ownNumber));
	return ids.length > 0 && numbers.size === ids.length && !numbers.has(0);
}

/**
 * @param {string} id
 * @returns {number} 0 for none
 */
function ownNumber(id) {
	return Number(/(?:^|\D)([1-9]\d?)$/.exec(id)?.[1] ?? 0);
}

/**
 * @param {string} a
 * @param {string} b
 */
function byNumber(a, b) {
	return a.localeCompare(b, "en", { numeric: true });
}
