// @ts-check

/**
 * Which rows of a long list are in the document, and how high is what is not.
 * Everything is in the list's own pixels: 0 is the top of its first row.
 */
export class Span {
	/** The rows in the document: from `start` on, before `end`. */
	start = 0;
	end = 0;
	/** The heights of the rows before `start`, and from `end` on. */
	above = 0;
	below = 0;

	#count = 0;
	#total = 0;
	#bottom = 0; // of the row before `end`

	/** Whether the last row is in the document. */
	get atEnd() {
		return this.end === this.#count;
	}

	/**
	 * Begins anew, after rows came or went elsewhere than at the end.
	 * @param {number} start the index of the row to begin with
	 * @param {number} count
	 * @param {(index: number) => number} height
	 */
	reset(start, count, height) {
		this.#count = count;
		this.start = this.end = Math.max(0, Math.min(start, count));
		this.above = 0;
		for (let i = 0; i < this.start; i++) this.above += height(i);
		this.#bottom = this.#total = this.above;
		for (let i = this.start; i < count; i++) this.#total += height(i);
	}

	/**
	 * Rows came at the end.
	 * @param {number} count
	 * @param {(index: number) => number} height
	 */
	extend(count, height) {
		while (this.#count < count) this.#total += height(this.#count++);
	}

	/** @param {number} more by which rows that are in the document are higher now */
	grew(more) {
		this.#total += more;
		this.#bottom += more;
	}

	/**
	 * Covers a stretch with rows, walking there from where it was.
	 * @param {number} top
	 * @param {number} bottom Infinity for the end
	 * @param {number} slack rows this far above are let be
	 * @param {number} most so many rows at once; those at the bottom are worth more
	 * @param {(index: number) => number} height
	 * @param {{first: number, last: number}} [kept] rows that stay beside them, where there are not too many between
	 */
	cover(top, bottom, slack, most, height, { first, last } = { first: Infinity, last: -1 }) {
		if (bottom === Infinity) top += this.#total;
		while (this.start > 0 && this.above > top) this.above -= height(--this.start);
		while (this.start < this.#count - 1 && this.above + height(this.start) <= top - slack) this.above += height(this.start++);
		this.end = this.start;
		this.#bottom = this.above;
		while (this.end < this.#count && this.#bottom < bottom) {
			this.#bottom += height(this.end++);
			if (this.end - this.start > most) this.above += height(this.start++);
		}
		if (this.end - first <= most) while (this.start > first) this.above -= height(--this.start);
		if (last - this.start < most) while (this.end <= last && this.end < this.#count) this.#bottom += height(this.end++);
		// Sums of guesses and fractions drift; the ends are certain.
		if (this.start === 0) this.above = 0;
		if (this.end === this.#count) this.#total = this.#bottom;
		this.below = Math.max(0, this.#total - this.#bottom);
	}
}
