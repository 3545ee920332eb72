// @ts-check
import { Attention } from "./attention.js";
import { Closings } from "./closed.js";
import * as keep from "../store/keep.js";
import { backlogOf, KEPT_AT_MOST, Past } from "./past.js";
import { Listing } from "./listing.js";
import { LOBBY, pathOf, rowsOf } from "./roomlist.js";
import { Reading } from "./reading.js";
import { RoomLog } from "./roomlog.js";
import { BRIEF_MS } from "./situation.js";
import { Emitter, listen } from "../net/events.js";
import { pauseOf } from "../net/following.js";
import { originOf } from "../net/wire.js";

/** @typedef {import("../net/client.js").Client} Client */
/** @typedef {import("../net/client.js").ClientEvents} ClientEvents */
/** @typedef {"log" | "people" | "rooms" | "node" | "bar" | "typing" | "me" | "room"} Part A part of the page. */
/** @typedef {import("../net/client.js").Arrival} Arrival */
/** @typedef {import("../net/wire.js").Entry} Entry */
/** @typedef {import("../net/wire.js").Moderated} Moderated */
/** @typedef {import("./nodenumbers.js").Numbers} NodeNumbers */
/** @typedef {import("./situation.js").Situation} Situation */
/** @typedef {import("./roomlist.js").Row} Row */

/** So many messages of a room are kept that is not looked at. */
const KEPT = 1000;

/** So many rooms are followed at once; the one not looked at longest is left. */
const FOLLOWED = 20;

/** For how long the bar tells that one was carried to another node, in milliseconds. */
const MOVED_MS = 5000;

/** A node that lost the others tells sooner than this which ones did not, if there are any; in milliseconds. */
const ALONE_MS = 7000;

/** All who are out try again within so long of each other, in milliseconds. */
const SPREAD_MS = 1000;

/** Why one can't write without being let in. @type {import("./closed.js").Closed} */
const OUT = { code: "barred", until: Infinity, by: "", reason: "" };

/**
 * What the page shows, made of what the client tells: the rooms, the one that is
 * looked at, how things stand. The event `change` names a part that is to be drawn again.
 * @extends {Emitter<{change: {part: Part}}>}
 */
export class Chat extends Emitter {
	/** @type {Map<string, RoomLog>} */
	logs = new Map();
	current = "";
	/** @type {import("../net/client.js").State} */
	state = { state: "connecting" };
	attention = new Attention();
	/** @type {Reading} */
	reading;
	/** @type {Past} */
	past;

	#backlog;
	#client;
	#numbers;
	#demo;
	/** How the node reaches the others. @type {Situation["broker"]} */
	#broker = "up";
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#cutTimer;
	/** Since when there is no connection, on the monotonic clock; 0 while there is one. */
	#awaySince = performance.now();
	#listing;
	/** The connection ended by this side's doing. */
	#left = false;
	/** @type {{from: number, to: number} | null} until the room is joined again */
	#moving = null;
	/** @type {Situation["moved"]} */
	#moved = null;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#movedTimer;
	/** @type {Moderated | null} */
	#moderated = null;
	/** @type {ReturnType<typeof setTimeout> | undefined} */
	#backTimer;
	closings = new Closings();
	/** Whether what closes rooms for others does not bind this user. */
	moderator = () => false;
	#lostName = "";
	/** The list as it was known last. @type {string[]} */
	#recent = [];

	/**
	 * @param {Client} client
	 * @param {NodeNumbers} numbers
	 * @param {boolean} [demo] whether nodes are shown
	 */
	constructor(client, numbers, demo = false) {
		super();
		this.#demo = demo;
		this.#client = client;
		this.#numbers = numbers;
		this.#listing = new Listing((pages) => client.listRooms(pages), () => this.#changed("rooms"));
		this.reading = new Reading(this.attention, {
			log: () => this.log,
			me: () => client.user,
			changed: (...parts) => this.#changed(...parts),
		});
		const older = (log = this.log) => {
			this.reading.older(log);
			this.#changed("log", "rooms");
		};
		this.#backlog = backlogOf({
			history: (room, before, limit) => client.history(room, before, limit),
			online: () => this.state.state === "online",
			follows: (log) => this.logs.get(log.name) === log,
			current: () => this.log,
			got: older,
		});
		this.past = new Past({
			room: () => this.log,
			online: () => this.state.state === "online",
			history: (room, before, limit) => client.history(room, before, limit),
			changed: () => older(),
		});
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
			this.past.leave();
		}
		this.current = room;
		const log = this.#log(room);
		if (log.loaded) this.reading.opened(log);
		this.logs.delete(room); // the last one is the one looked at last
		this.logs.set(room, log);
		this.#client.join(room);
		this.#leaveOld();
		if (log.loaded) keep.visited(room);
		this.#closes();
		this.#changed("room", "log", "people", "rooms", "node", "typing");
		this.past.mend();
	}

	/**
	 * Takes a room out of one's list. From the one that is looked at it goes on to the
	 * one visited before, or to the lobby.
	 * @param {string} room
	 */
	part(room) {
		if (!this.canPart(room)) return;
		keep.forget(room);
		if (room === this.current) this.open(this.#own().find((other) => other !== room) ?? LOBBY);
		this.#leave(room);
		this.#changed("rooms");
	}

	/** Another tab changed the list: what it left is left here too, but for what is looked at. */
	listedElsewhere() {
		const before = this.#recent;
		this.#recent = keep.recentRooms();
		const gone = before.filter((room) => room !== this.current && !this.#recent.includes(room));
		// A list that is full loses its end to what is new; that was not left.
		if (this.#recent.length < before.length) for (const room of gone) this.#leave(room);
		this.#changed("rooms");
	}

	/**
	 * Where there is no other room, the lobby stays.
	 * @param {string} room
	 */
	canPart(room) {
		return room !== LOBBY || this.#own().some((other) => other !== room);
	}

	/**
	 * @param {string} room
	 * @param {boolean} on
	 */
	mute(room, on) {
		keep.mute(room, on);
		this.#changed("rooms");
	}

	/** The connection ends because this page, or its device, leaves the net: no node went away. */
	leaves() {
		this.#left = true;
	}

	/** Another tab read what this one may still count. */
	readElsewhere() {
		this.attention.reload();
		for (const log of this.logs.values()) if (log.loaded) this.reading.count(log);
		this.#changed("log", "rooms");
	}

	refreshRooms = () => this.#listing.refresh();

	/** Gets the whole list of rooms, which may be long, for somebody who looks for one. */
	allRooms = () => this.#listing.all();

	/** @returns {{own: Row[], others: Row[]}} */
	rows() {
		return rowsOf(this.#own().sort(), this.#listing.rooms, this.logs, keep.mutedRooms());
	}

	/** @returns {Situation} */
	situation() {
		const { user, node, nodes } = this.#client;
		const { count, members, loaded } = this.log;
		const other = nodes.find(({ id, url }) => id !== node?.id && originOf(url) !== location.origin && originOf(url));
		const alone = loaded && count === 1 && !!user && members.has(user.id);
		return {
			state: this.state,
			broker: this.#broker,
			loading: this.#client.loading(this.current),
			since: this.#awaySince,
			address: location,
			moved: this.#moved,
			moderated: this.#moderated,
			closed: this.#out ? OUT : this.closings.now(this.current, this.moderator()),
			lostName: this.#lostName,
			unkept: !this.#client.kept && this.#client.rooms.some((room) => this.#client.pending(room).length > 0),
			alone,
			elsewhere: this.#demo && other ? { label: new URL(other.url).host, href: originOf(other.url) + pathOf(this.current) } : null,
		};
	}

	/** What was told about one's name has been heeded. */
	named() {
		this.#lostName = "";
		this.#changed("me", "bar");
	}

	#listen() {
		/** @type {{[Name in keyof ClientEvents]?: (detail: ClientEvents[Name]) => void}} */
		const heard = {
			state: (state) => this.#stateIs(state),
			welcome: (welcome) => this.#welcomed(welcome),
			joined: (arrival) => this.#arrived(arrival),
			refused: ({ room, refusal }) => {
				this.#log(room).problem = refusal.message;
				this.closings.barred(room, refusal);
				this.#closes();
				this.#changed("log");
			},
			message: (entry) => this.#message(entry),
			sent: (entry) => {
				if (!entry.id) return;
				if (!entry.kind) {
					this.#log(entry.room).answered();
					this.closings.said(entry.room);
					this.#closes();
				}
				this.#put(entry);
			},
			standing: (entry) => this.#put(entry),
			loaded: () => this.#changed("bar"),
			outbox: () => this.#changed("log", "bar"),
			presence: (presence) => {
				const log = this.#log(presence.room);
				const { version } = log.known;
				log.presence(presence);
				for (const user of presence.left) log.typedNoMore(user.id);
				this.#changed("people", "rooms", "bar", "typing");
				if (log.known.version === version) return;
				this.reading.count(log); // a longer name may be the one that is mentioned
				this.#changed("log");
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
			error: (refusal) => {
				this.closings.refused(refusal);
				this.#closes();
			},
			nodes: ({ nodes }) => this.#sawNodes(nodes),
			status: (status) => this.#statusIs(status),
		};
		for (const [name, hear] of Object.entries(heard)) listen(this.#client, /** @type {keyof ClientEvents} */ (name), /** @type {any} */ (hear));
	}

	/** @param {import("../net/client.js").State} state */
	#stateIs(state) {
		this.state = state;
		this.#comesBack(state);
		if (state.state === "online") this.refreshRooms();
		else this.#awaySince ||= performance.now();
		this.#changed("bar", "node");
	}

	/** The node refused the user, or put them out. */
	get #out() {
		return this.state.state === "kicked" || this.state.state === "ask";
	}

	/**
	 * Tries again after a ban, which ends or is lifted; no event announces that to those who are out.
	 * @param {import("../net/client.js").State} state
	 */
	#comesBack({ state, refusal }) {
		clearTimeout(this.#backTimer);
		const { action, until } = this.#moderated ?? {};
		const banned = state === "kicked" && action === "ban" ? { code: "forbidden", message: "", retry_after: until && Math.max(until - Date.now(), 1) } : null;
		const why = state === "ask" && refusal?.code === "forbidden" ? refusal : banned;
		if (why) this.#backTimer = setTimeout(() => this.#client.start(true), pauseOf(why) + Math.random() * SPREAD_MS);
	}

	/** @param {ClientEvents["status"]} status */
	#statusIs({ broker, nodes }) {
		const known = broker === "up" || nodes || this.#client.nodes.length < 2;
		if (known) clearTimeout(this.#cutTimer);
		else if (this.#broker === "up") this.#cutTimer = setTimeout(() => this.#statusIs({ broker, nodes: [] }), ALONE_MS);
		if (known || this.#broker === "up") this.#broker = broker === "up" ? broker : nodes?.length || !known ? "lost" : "down";
		this.#changed("bar");
	}

	/** @param {ClientEvents["welcome"]} welcome */
	#welcomed({ nodes, node, from, lost }) {
		this.#sawNodes(nodes);
		const long = this.#awaySince > 0 && performance.now() - this.#awaySince > BRIEF_MS;
		this.#awaySince = 0;
		this.#moving = from && long && !this.#left ? { from: this.#numbers.of(from.id), to: this.#numbers.of(node.id) } : null;
		this.#left = false;
		this.#lostName = lost ? keep.identity.load().name : "";
		if (lost) keep.identity.save({ name: "" });
		this.#moderated = null;
		this.#changed("me", "bar", "log");
	}

	/** @param {import("../net/wire.js").Node[]} nodes */
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
		if (first && room === this.current) this.reading.opened(log);
		this.reading.count(log);
		this.#backlog(log);
		this.closings.joined(room, arrival.rules);
		this.#closes();
		this.#changed("log", "people", "rooms");
		this.past.joined(room);
		if (room !== this.current) return;
		this.past.mend();
		if (first) this.#followOwn();
	}

	/** How many rooms are followed at most. */
	get #most() {
		return Math.min(FOLLOWED, this.#client.limits.rooms);
	}

	/** Joins the rooms of one's list, so that what comes there counts. */
	#followOwn() {
		const most = this.#most;
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
		this.past.folded(asked, room);
		this.#changed("room");
	}

	/** @param {boolean} whole nothing of the room was lost */
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
		if (!entry.kind && entry.user.id === this.#client.user?.id) log.answered();
		log.typedNoMore(entry.user.id);
		this.reading.count(log);
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

	/** @param {RoomLog} log */
	#trim(log) {
		log.trim(log.name === this.current ? KEPT_AT_MOST : KEPT);
	}

	/** The bar and the field say why the room is closed, until it is not. */
	#closes() {
		this.closings.onEnd(this.current, () => this.#closes());
		this.#changed("bar");
	}

	/** @param {Moderated} moderated */
	#wasModerated(moderated) {
		this.closings.decided(moderated, this.#client.user?.id ?? "");
		this.#closes();
		if (moderated.action === "mute" || !moderated.user || moderated.user.id !== this.#client.user?.id) return;
		const lifted = moderated.action === "unmute" || moderated.action === "unban";
		this.#moderated = lifted ? null : moderated;
		const left = (moderated.until ?? 0) - Date.now();
		if (left > 0) setTimeout(() => this.#changed("bar"), Math.min(left + 500, 2 ** 31 - 1));
		this.#changed("bar");
	}

	/** Leaves the rooms not looked at for longest. */
	#leaveOld() {
		const most = this.#most;
		for (const room of this.#joined().slice(0, -most || undefined)) {
			if (this.#joined().length <= most) return;
			if (room === this.current || this.#client.pending(room).length > 0) continue;
			this.#leave(room);
		}
	}

	/** @param {string} room */
	#leave(room) {
		this.#client.leave(room);
		this.logs.delete(room);
	}

	/** @returns {string[]} the rooms of one's list, the one visited last first */
	#own() {
		this.#recent = keep.recentRooms();
		return [...new Set([this.current, ...this.#recent, ...this.#joined()])];
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

	/** @param {Part[]} parts */
	#changed(...parts) {
		for (const part of parts) this.emit("change", { part });
	}
}
