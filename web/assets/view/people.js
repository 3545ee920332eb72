// @ts-check
import { arrange, byId, part, setText, stamp } from "./dom.js";
import { drawAvatar } from "./text.js";

/** @typedef {import("../net/wire.js").User} User */

const byName = new Intl.Collator(undefined, { sensitivity: "base", numeric: true });

/** Who is in the room. */
export class PeopleView {
	#list = byId("people-list");
	/** @type {Map<string, {element: HTMLElement, name: string}>} by the user's id */
	#drawn = new Map();
	/** Called with all rows once they are drawn. @type {(rows: {element: HTMLElement, user: User}[]) => void} */
	drawn = () => {};

	/**
	 * @param {Map<string, User>} members
	 * @param {number} count how many there are, listed or not
	 * @param {User | null} me
	 */
	draw(members, count, me) {
		const people = [...members.values()].sort((a, b) => byName.compare(a.name, b.name));
		const drawn = new Map();
		for (const user of people) drawn.set(user.id, this.#drawPerson(user, user.id === me?.id));
		this.#drawn = drawn;
		arrange(this.#list, [...drawn.values()].map(({ element }) => element));
		this.drawn(people.map((user) => ({ user, element: drawn.get(user.id).element })));
		const number = count ? count.toLocaleString() : "";
		setText(byId("people-count"), number);
		byId("people-toggle").setAttribute("aria-label", count === 1 ? "1 person" : `${number} people`);
		setText(byId("people-title"), count ? `People (${number})` : "People");
		const more = byId("people-more");
		more.hidden = count <= people.length;
		setText(more, `and ${(count - people.length).toLocaleString()} more`);
	}

	/**
	 * @param {User} user
	 * @param {boolean} isMe
	 */
	#drawPerson(user, isMe) {
		const drawn = this.#drawn.get(user.id);
		const element = drawn?.element ?? stamp("t-person");
		part(element, ".person-you").hidden = !isMe;
		if (drawn?.name === user.name) return drawn;
		drawAvatar(part(element, ".avatar"), user);
		const name = part(element, ".person-name");
		setText(name, user.name);
		name.title = user.name;
		return { element, name: user.name };
	}
}
