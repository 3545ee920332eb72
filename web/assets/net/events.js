// @ts-check
// Events with types.

/**
 * An EventTarget whose events carry a detail. Events maps each name to the type of its detail.
 * @template {object} Events
 */
export class Emitter extends EventTarget {
	/** Never set: listen infers the types of the events from it. @type {Events | undefined} */
	types;

	/**
	 * Dispatches an event. Only the object itself does.
	 * @protected
	 * @template {keyof Events & string} Name
	 * @param {Name} name
	 * @param {Events[Name]} [detail]
	 */
	emit(name, detail) {
		this.dispatchEvent(new CustomEvent(name, { detail }));
	}
}

/**
 * Calls hear with the detail of each event of that name.
 * @template {object} Events
 * @template {keyof Events & string} Name
 * @param {Emitter<Events>} emitter
 * @param {Name} name
 * @param {(detail: Events[Name]) => void} hear
 * @returns {() => void} stops it
 */
export function listen(emitter, name, hear) {
	const listener = (/** @type {Event} */ e) => hear(/** @type {CustomEvent<Events[Name]>} */ (e).detail);
	emitter.addEventListener(name, listener);
	return () => emitter.removeEventListener(name, listener);
}
