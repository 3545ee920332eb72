// @ts-check
import { Attention } from "./attention.js";
import * as keep from "./keep.js";
import { RoomLog } from "./roomlog.js";
import { pathOf } from "./view/rooms.js";
import { HISTORY_MAX, Refused, seqOf } from "./wire.js";

/** @typedef {import("./client.js").Client} Client */
/** @typedef {import("./client.js").Arrival} Arrival */
/** @typedef {import("./wire.js").Entry} Entry */
/** @typedef {import("./wire.js").Moderated} Moderated */
/** @typedef {import("./wire.js").RoomCount} RoomCount */
/** @typedef {import("./nodenumbers.js").NodeNumbers} NodeNumbers */
/** @typedef {import("./view/words.js").Situation} Situation */
/** @typedef {import("./roomlist.js").Row} Row */

/** So many messages of a room are kept; more of the one that is looked at. */
const KEPT = 1000;
const KEPT_AT_MOST = 12_000;

/** So many rooms are followed at once; the one not looked at longest is left. */
const FOLLOWED = 20;

/** How many older messages are asked for at once. */
const PAGE = 100;

/** For how long it is said that a message can't be found, in milliseconds. */
const NOT_FOUND_MS = 8000;

/** The list of rooms is not asked for more often, in milliseconds. */
const REFRESH_MS = 5000;

/** For how long the bar tells that one was carried to another node, in milliseconds. */
const MOVED_MS = 5000;

/**
 * What the page shows, made of what the client tells: the rooms, the one that is
 * looked at, how things stand. Event `change` (detail: {part}, one of "log",
 * "people", "rooms", "node", "bar", "typing", "me", "room"): that part is to be
 * drawn again.
 */
export class Chat extends EventTarget {
	/** @type {Map<string, RoomLog>} */
	logs = new Map();
	current = "";
	/** @type {RoomCount[]} */
	listed = [];
	/** @type {import("./client.js").State} */
	state = { state: "connecting" };
	attention = new Attention();
	/** Whether the newest message is in view. */
	looking = () => true;
	/** The id of a message that was looked for and is there, until it is shown; "" */
	found = "";
	/** How looking for one stands: "far" is further back than what can be kept. @type {"" | "looking" | "gone" | "far"} */
	seeking = "";

	#client;
	#numbers;
	#brokerUp = true;
	/** @type {Promise<void> | null} */
	#fetching = null;
	/** What is looked for. @type {{room: string, id: string} | null} */
	#sought = null;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#seekTimer;
	#refreshedAt = 0;
	/** @type {{from: number, to: number} | null} until the room is joined again */
	#moving = null;
	/** @type {Situation["moved"]} */
	#moved = null;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#movedTimer;
	/** @type {Moderated | null} */
	#moderated = null;
	#lostName = "";

	/**
	 * @param {Client} client
	 * @param {NodeNumbers} numbers
	 */
	constructor(client, numbers) {
		super();
		this.#client = client;
		this.#numbers = numbers;
		this.#listen();
	}

	/** The room that is looked at. */
	get log() {
		return this.#log(this.current);
	}

	/** @param {string} room */
	open(room) {
		if (room !== this.current) {
			this.#log(this.current).trim(KEPT);
			this.#seek(null);
		}
		this.current = room;
		const log = this.#log(room);
		if (log.loaded) this.attention.opened(log, this.#client.user);
		this.attention.read(log);
		this.logs.delete(room); // the last one is the one looked at last
		this.logs.set(room, log);
		this.#client.join(room);
		this.#leaveOld();
		if (log.loaded) keep.visited(room);
		this.#changed("room", "log", "people", "rooms", "node", "bar", "typing");
		this.#mend();
	}

	/** Everything is read that came. */
	read() {
		const { unread } = this.log;
		this.attention.read(this.log);
		if (!unread) return;
		this.#changed("log", "rooms");
	}

	/** Somebody looks at the page again. */
	returned() {
		if (this.log.unread) this.attention.opened(this.log, this.#client.user);
		if (this.looking()) this.read();
		this.#changed("log");
	}

	/** Another tab read what this one may still count. */
	readElsewhere() {
		this.attention.reload();
		for (const log of this.logs.values()) if (log.loaded) this.#count(log);
		this.#changed("log", "rooms");
	}

	/** Gets the messages before those that are kept. */
	async older() {
		if (!this.#fetching && this.#canFetch) await this.#fetchOlder(PAGE);
	}

	get fetching() {
		return this.#fetching !== null;
	}

	/**
	 * Looks for a message of the room that is looked at, back to where it can be.
	 * @param {string} id
	 */
	async find(id) {
		const sought = { room: this.current, id };
		this.#seek(sought);
		for (;;) {
			const { log } = this;
			if (this.#sought !== sought || !log.loaded) return; // looked for again when the room is joined
			if (log.get(id)) {
				this.found = id;
				return this.#seek(null);
			}
			if (this.state.state !== "online") return;
			if (log.hole) await this.#mend();
			else if (!log.more || seqOf(log.oldest) <= seqOf(id)) return this.#seek(null, "gone");
			else if (log.entries.length >= KEPT_AT_MOST) return this.#seek(null, "far");
			else await (this.#fetching ?? this.#fetchOlder(HISTORY_MAX));
		}
	}

	/**
	 * @param {{room: string, id: string} | null} sought
	 * @param {Chat["seeking"]} [end]
	 */
	#seek(sought, end = "") {
		clearTimeout(this.#seekTimer);
		this.#sought = sought;
		this.seeking = sought ? "looking" : end;
		if (end) this.#seekTimer = setTimeout(() => this.#seek(null), NOT_FOUND_MS);
		this.#changed("log");
	}

	get #canFetch() {
		const { more, oldest, entries } = this.log;
		return this.state.state === "online" && more && oldest !== "" && entries.length < KEPT_AT_MOST;
	}

	/** @param {number} most so many messages */
	#fetchOlder(most) {
		const { log } = this;
		const { oldest } = log;
		return this.#fetch(most, oldest, (messages, more) => log.oldest === oldest && log.addOlder(messages, more));
	}

	/** Gets what was missed while the page was away, if it still can be had. */
	async #mend() {
		const { log } = this;
		while (log === this.log && log.hole && this.state.state === "online") {
			const { before } = log.hole;
			if (log.entries.length >= KEPT_AT_MOST) log.cut();
			else if (this.#fetching) await this.#fetching;
			else await this.#fetch(HISTORY_MAX, before, (messages, more) => log.hole?.before === before && log.fill(messages, more));
		}
		this.#changed("log");
	}

	/**
	 * @param {number} most so many messages
	 * @param {string} before an id
	 * @param {(messages: Entry[], more: boolean) => void} take
	 */
	async #fetch(most, before, take) {
		const { name } = this.log;
		const get = async () => {
			try {
				const { messages, more } = await this.#client.history(name, before, most);
				take(messages, more);
			} catch (refused) {
				// Whoever asked asks again, but not at once.
				const wait = refused instanceof Refused ? refused.retryAfter : 0;
				await new Promise((resolve) => setTimeout(resolve, Math.max(wait, 1000)));
			}
		};
		this.#fetching = get();
		this.#changed("log");
		await this.#fetching;
		this.#fetching = null;
		this.#changed("log");
	}

	async refreshRooms() {
		if (Date.now() - this.#refreshedAt < REFRESH_MS) return;
		this.#refreshedAt = Date.now();
		try {
			this.listed = await this.#client.listRooms();
			this.#changed("rooms");
		} catch {
			// The list stays as it was until the next time.
		}
	}

	/** @returns {{own: Row[], others: Row[]}} */
	rows() {
		const counts = new Map(this.listed.map(({ room, count }) => [room, count]));
		const row = (/** @type {string} */ room) => {
			const log = this.logs.get(room);
			const { unread = 0, unreadMore: more = false, mentions = 0 } = log ?? {};
			return { room, count: log?.loaded ? log.count : counts.get(room) ?? 0, unread, more, mentions };
		};
		const own = [...new Set([this.current, ...this.#joined(), ...keep.recentRooms()])].sort();
		const others = this.listed.map(({ room }) => room).filter((room) => !own.includes(room));
		return { own: own.map(row), others: others.map(row) };
	}

	/** @returns {Situation} */
	situation() {
		const { user, node, nodes } = this.#client;
		const { count, members, loaded } = this.log;
		const other = nodes.find(({ id, url }) => id !== node?.id && originOf(url) !== location.origin && originOf(url));
		const alone = loaded && count === 1 && !!user && members.has(user.id);
		return {
			state: this.state,
			brokerUp: this.#brokerUp,
			moved: this.#moved,
			moderated: this.#moderated,
			lostName: this.#lostName,
			alone,
			elsewhere: other ? { label: new URL(other.url).host, href: originOf(other.url) + pathOf(this.current) } : null,
		};
	}

	/** What was told about one's name has been heeded. */
	named() {
		this.#lostName = "";
		this.#changed("me", "bar");
	}

	#listen() {
		/** @type {Record<string, (detail: any) => void>} */
		const heard = {
			state: (state) => this.#stateIs(state),
			welcome: (welcome) => this.#welcomed(welcome),
			joined: (arrival) => this.#arrived(arrival),
			refused: ({ room, refusal }) => {
				this.#log(room).problem = refusal.message;
				this.#changed("log");
			},
			message: (entry) => this.#message(entry),
			sent: (entry) => this.#put(entry),
			outbox: () => this.#changed("log"),
			presence: (presence) => {
				this.#log(presence.room).presence(presence);
				for (const user of presence.left) this.#log(presence.room).typedNoMore(user.id);
				this.#changed("people", "rooms", "bar", "typing");
			},
			typing: ({ room, user }) => {
				if (user.id !== this.#client.user?.id) this.#log(room).typed(user);
				this.#changed("typing");
			},
			renamed: ({ user }) => {
				for (const log of this.logs.values()) log.renamed(user);
				this.#changed("me", "people", "log");
			},
			reset: ({ room }) => {
				this.#log(room).restart();
				this.#changed("log");
			},
			moderated: (moderated) => this.#wasModerated(moderated),
			nodes: ({ nodes }) => this.#sawNodes(nodes),
			status: ({ broker }) => {
				this.#brokerUp = broker === "up";
				this.#changed("bar");
			},
		};
		for (const [name, hear] of Object.entries(heard))
			this.#client.addEventListener(name, (e) => hear(/** @type {CustomEvent} */ (e).detail));
	}

	/** @param {import("./client.js").State} state */
	#stateIs(state) {
		this.state = state;
		if (state.state === "online") this.refreshRooms();
		this.#changed("bar", "node");
	}

	/** @param {any} welcome */
	#welcomed({ nodes, node, from, lost }) {
		this.#sawNodes(nodes);
		this.#moving = from ? { from: this.#numbers.of(from.id), to: this.#numbers.of(node.id) } : null;
		this.#lostName = lost ? keep.identity.load().name : "";
		if (lost) keep.identity.save({ name: "" });
		this.#moderated = null;
		this.#changed("me", "bar", "log");
	}

	/** @param {import("./wire.js").Node[]} nodes */
	#sawNodes(nodes) {
		if (this.#numbers.see(nodes.map(({ id }) => id))) this.#changed("log");
		this.#changed("node", "bar");
	}

	/** @param {Arrival} arrival */
	#arrived(arrival) {
		const { asked, room, gap, restarted } = arrival;
		if (asked !== room) this.#folded(asked, room);
		const log = this.#log(room);
		const first = !log.loaded;
		log.arrive(arrival);
		if (room === this.current) {
			keep.visited(room);
			if (this.#moving) this.#hasMoved(!gap && !restarted);
		}
		this.#trim(log);
		if (first && room === this.current) this.attention.opened(log, this.#client.user);
		this.#count(log);
		this.#changed("log", "people", "rooms", "bar");
		if (this.#sought?.room === room) this.find(this.#sought.id);
		if (room !== this.current) return;
		this.#mend();
		if (first) this.#followOwn();
	}

	/** Joins the rooms of one's list, so that what comes there counts. */
	#followOwn() {
		const most = Math.min(FOLLOWED, this.#client.limits.rooms);
		for (const room of keep.recentRooms()) {
			if (this.#client.rooms.length >= most) return;
			if (this.logs.has(room)) continue; // also one that could not be joined
			this.logs = new Map([[room, new RoomLog(room)], ...this.logs]); // as one not looked at
			this.#client.join(room);
		}
	}

	/**
	 * The node knows the room by another name, in lower case.
	 * @param {string} asked
	 * @param {string} room
	 */
	#folded(asked, room) {
		this.logs.delete(asked);
		if (this.current !== asked) return;
		this.current = room;
		if (this.#sought) this.#sought.room = room;
		this.#changed("room");
	}

	/** @param {boolean} whole nothing of the room was missed */
	#hasMoved(whole) {
		this.#moved = this.#moving && { ...this.#moving, whole };
		this.#moving = null;
		clearTimeout(this.#movedTimer);
		this.#movedTimer = setTimeout(() => {
			this.#moved = null;
			this.#changed("bar");
		}, MOVED_MS);
	}

	/** @param {Entry} entry */
	#message(entry) {
		const log = this.#put(entry);
		log.typedNoMore(entry.user.id);
		this.#count(log);
		this.#changed("typing", "rooms");
	}

	/** @param {Entry} entry */
	#put(entry) {
		const log = this.#log(entry.room);
		log.add([entry]);
		this.#trim(log);
		this.#changed("log");
		return log;
	}

	/**
	 * Counts what came while nobody looked.
	 * @param {RoomLog} log
	 */
	#count(log) {
		const seen = log.name === this.current && this.looking() && !document.hidden;
		if (seen) this.attention.read(log);
		else this.attention.count(log, this.#client.user);
	}

	/** @param {RoomLog} log */
	#trim(log) {
		log.trim(log.name === this.current ? KEPT_AT_MOST : KEPT);
	}

	/** @param {Moderated} moderated */
	#wasModerated(moderated) {
		if (!moderated.user || moderated.user.id !== this.#client.user?.id) return;
		const lifted = moderated.action === "unmute" || moderated.action === "unban";
		this.#moderated = lifted ? null : moderated;
		const left = (moderated.until ?? 0) - Date.now();
		if (left > 0) setTimeout(() => this.#changed("bar"), Math.min(left + 500, 2 ** 31 - 1));
		this.#changed("bar");
	}

	/** Leaves the rooms not looked at for longest. */
	#leaveOld() {
		const most = Math.min(FOLLOWED, this.#client.limits.rooms);
		for (const room of this.#joined().slice(0, -most || undefined)) {
			if (this.#joined().length <= most) return;
			if (room === this.current || this.#client.pending(room).length > 0) continue;
			this.#client.leave(room);
			this.logs.delete(room);
		}
	}

	/** Followed rooms, the one looked at last at the end. */
	#joined() {
		const followed = new Set(this.#client.rooms);
		return [...this.logs.keys()].filter((room) => followed.has(room));
	}

	/** @param {string} room */
	#log(room) {
		let log = this.logs.get(room);
		if (!log) {
			log = new RoomLog(room);
			if (room) this.logs.set(room, log);
		}
		return log;
	}

	/** @param {string[]} parts */
	#changed(...parts) {
		for (const part of parts) this.dispatchEvent(new CustomEvent("change", { detail: { part } }));
	}
}

/**
 * @param {string} url
 * @returns {string} "" for what is no web address
 */
function originOf(url) {
	return /^https?:/.test(url) && URL.canParse(url) ? new URL(url).origin : "";
}
