// @ts-check
// Joins what speaks (client), what is known (chat) and what draws (view).

import { Auth } from "./net/auth.js";
import { Chat } from "./model/chat.js";
import { COMMANDS } from "./text/commands.js";
import { Client } from "./net/client.js";
import { claimDrafts } from "./store/drafts.js";
import * as keep from "./store/keep.js";
import { mentions } from "./text/mention.js";
import { isolated } from "./text/names.js";
import { Notices } from "./model/notices.js";
import { NO_NUMBERS, NodeNumbers } from "./model/nodenumbers.js";
import { Outbox } from "./store/outbox.js";
import { listen } from "./net/events.js";
import { reach, serves } from "./net/reach.js";
import { besides, LOBBY, pathOf } from "./model/roomlist.js";
import { claimShelf } from "./store/shelf.js";
import { Actions } from "./view/actions.js";
import { Bar } from "./view/bar.js";
import { Composer } from "./view/composer.js";
import { byId, copyFrom, often, onFrame, paced, setText, part } from "./view/dom.js";
import { show } from "./view/dialog.js";
import { keyName, shortcuts } from "./view/keys.js";
import { LogView } from "./view/log.js";
import { joinPage, Later, loadDesk, openHelp, opens, pickEmoji } from "./view/later.js";
import { shut } from "./view/menu.js";
import { NameLine } from "./view/name.js";
import { PeopleView } from "./view/people.js";
import { Notifier } from "./view/notifier.js";
import { Pill } from "./view/pill.js";
import { RoomMenu } from "./view/roommenu.js";
import { RoomsView } from "./view/rooms.js";
import { RESTARTED, sentence, SLOW_MS } from "./view/row.js";
import { Sides } from "./view/sides.js";
import { drawTab } from "./view/tab.js";
import { saidTime, watchTimes } from "./view/times.js";
import { typingWords, wordsFor } from "./view/words.js";
import { originOf } from "./net/wire.js";

/** In a frame of another page (embed.js): what its address has, so that a reload knows too. */
const EMBED = /^\?embed(=auth)?$/.exec(location.search)?.[0] ?? "";

/** What is said while a message that a link leads to is looked for. */
const SEEKING = {
	"": "",
	looking: "Looking for that message…",
	gone: "That message is no longer available.",
	far: "That message is too far back to be shown here.",
};

/** The authors of so many messages are offered where one is named. */
const SPOKE = 100;

/** How often the list of rooms is asked for while the page is seen, in milliseconds. */
const ROOMS_EVERY = 15_000;

/** What could not be loaded is tried again after so long, or after the next connection, in milliseconds. */
const AGAIN_MS = 500;
const AWAY_MS = 5000;

/** Whether the page shows the cluster. */
const DEMO = document.querySelector('meta[name="chat-ui"]')?.getAttribute("content") === "demo";

const [shelf, drafts] = await Promise.all([claimShelf("chat."), claimDrafts("chat.")]);
const outbox = new Outbox(shelf);
const auth = new Auth(keep.identity, EMBED === "?embed=auth");
const client = new Client({ url: location.origin, identity: auth, outbox, reach: () => reach(location.origin) });
const numbers = DEMO ? new NodeNumbers(keep.seenNodes(), keep.saveNodes) : NO_NUMBERS;
const chat = new Chat(client, numbers, DEMO);

// A frame is small and begins with the room alone; what one folds there is no matter of the page's.
const away = new Set(["rooms", "people"]);
const inFrame = {
	folded: (/** @type {string} */ side) => away.has(side),
	fold: (/** @type {string} */ side, /** @type {boolean} */ folds) => void (folds ? away.add(side) : away.delete(side)),
};
const sides = new Sides(EMBED ? inFrame : keep);
const people = new PeopleView();
const pill = DEMO && new Pill(numbers);
const rooms = new RoomsView(go);
const switcher = new Later("switcher", ({ Switcher }) => new Switcher({
	rows: () => chat.rows(),
	recent: keep.recentRooms,
	current: () => chat.current,
	all: () => chat.allRooms(),
	open: go,
}));
const finder = new Later("search", ({ Finder }) => new Finder({
	now: () => ({ entries: chat.log.entries, more: chat.past.more }),
	back: (wanted) => chat.past.back(wanted),
	href: ({ room, id }) => `${pathOf(room)}#${id}`,
}));
setText(part(byId("go-room"), "kbd"), keyName("K"));
opens("#go-room", keyName("K"), switcher.show);
opens("[data-search]", keyName("F", true), finder.show);
shortcuts({
	switch: () => switcher.show(),
	search: () => finder.show(),
	step(step, unread) {
		const room = besides(chat.rows().own, chat.current, step, unread);
		if (room) go(room);
	},
});
const menu = new RoomMenu({
	mute: (on) => chat.mute(chat.current, on),
	leave,
	address: () => location.origin + pathOf(chat.current),
	help: openHelp,
});
const bar = new Bar(() => (client.hurry(), client.start()));
const name = new NameLine({ rename, done: () => composer.focus() });
const composer = new Composer({
	say,
	edit: (id, text) => !outbox.full && Boolean(client.edit(chat.current, id, text)),
	command: (name, about) => commands[name](about),
	last: () => {
		const last = [...chat.log.entries].reverse().find(({ user }) => user.id === client.user?.id);
		return last && changed(last);
	},
	typing: () => client.typing(chat.current),
	changed: (draft) => drafts.set(chat.current, draft),
	sources: {
		moderator: () => auth.moderator,
		names: () => {
			const { members, entries } = chat.log;
			const spoke = entries.slice(-SPOKE).reverse().map(({ user }) => user);
			return [...members.values(), ...spoke].filter(({ id }) => id !== client.user?.id).map(({ name }) => name);
		},
		rooms: () => Object.values(chat.rows()).flatMap((rows) => rows.map(({ room }) => room)),
	},
});
joinPage({
	reconnected: () => new Promise((resolve) => {
		setTimeout(resolve, chat.state.state === "online" ? AGAIN_MS : AWAY_MS);
		client.addEventListener("welcome", resolve, { once: true });
	}),
	serves: () => serves(location.origin),
	moderator: () => auth.moderator,
	tell: (words) => {
		sides.close();
		composer.note(words, true);
	},
});
/** What commands do, and say that they did. @type {Record<string, (about: string) => string | Promise<string>>} */
const commands = {
	nick: async (wanted) => {
		if (auth.named) throw new Error("your name comes from where you signed in: change it there");
		await rename(wanted);
		return `You are ${isolated(client.user?.name ?? "")} now.`;
	},
	join: (name) => {
		const room = name.replace(/^#/, "");
		if (!/^[\w-][\w.-]{0,63}$/.test(room)) throw new Error("a room's name has 64 letters of a to z, digits, - _ . at most, and begins with no dot");
		go(room);
		return "";
	},
	part: () => (chat.canPart(chat.current) ? (chat.part(chat.current), "") : "There is no other room of yours to go to."),
	help: () => (openHelp(), ""),
};
for (const { name, mod } of COMMANDS) if (mod) commands[name] = async (about) => (await moderating()).command(name, about);
chat.moderator = () => auth.moderator;
people.drawn = (/** @type {import("./view/desk.js").Row[]} */ rows) => desk?.people(rows);
const log = new LogView(
	numbers,
	{
		now: () => ({ log: chat.log, pending: client.pending(chat.current), me: client.user }),
		older: () => chat.past.older(),
		atEnd: () => chat.reading.read(),
		seen: (id) => chat.reading.seen(id),
	},
	(text, name) => mentions(text, name, chat.log.known),
);
const actions = new Actions(log, {
	react: ({ room, id }, emoji, on) => client.react(room, id, emoji, on),
	remove: ({ room, id }) => client.remove(room, id),
	pick: pickEmoji,
	edit: (entry) => composer.edit(changed(entry)),
	reply: (entry) => composer.quote(entry),
	again,
	me: () => client.user?.id ?? "",
	moderator: () => auth.moderator,
	closed: () => chat.situation().closed?.code,
	moderate: ({ user }) => moderating().then((it) => it.about(user), ({ message }) => composer.note(message, true)),
	address: (entry) => `${location.origin}${pathOf(entry.room)}#${entry.id}`,
	copy: copyFrom,
	retry: (key) => client.retry(key),
	discard: (key) => client.cancel(key),
	leave: () => composer.focus(),
});
const looked = () => !document.hidden && document.hasFocus();
chat.reading.looking = () => log.atEnd;
chat.reading.attended = looked;

const notifier = new Notifier(keep, ({ room, id }) => go(room, `#${id}`));
const notices = new Notices({
	me: () => client.user,
	muted: isMuted,
	known: (room) => chat.logs.get(room)?.known,
	looked,
	there: ({ room, id }) => !!chat.logs.get(room)?.get(id) && !chat.attention.isRead(room, id),
	tell: (entry) => notifier.tell(entry),
	load: keep.toldNotices,
	save: keep.saveToldNotices,
	locks: navigator.locks,
});
listen(client, "message", (entry) => notices.heard([entry]));
listen(client, "joined", ({ again, messages }) => {
	if (again) notices.heard(messages); // what came while the connection was away
});

/** What is drawn, by its part of the page. @type {Record<import("./model/chat.js").Part, () => void>} */
const drawings = {
	room: () => {
		const path = pathOf(chat.current) + EMBED + (isCurrent(roomOfAddress()) ? location.hash : "");
		if (location.pathname + location.search + location.hash !== path) history.replaceState(null, "", path);
		// At once: the menu stands behind the name, and acts on this room.
		setText(byId("room-name"), chat.current);
		drawMenu();
		composer.setRoom(chat.current, drafts.get(chat.current));
	},
	log: drawLog,
	people: () => people.draw(chat.log.members, chat.log.count, client.user),
	rooms: () => {
		const { own, others } = chat.rows();
		rooms.draw(chat.current, own, others);
		switcher.draw();
		drawTab(chat.current, own);
		drawMenu();
	},
	node: () => {
		const online = chat.state.state === "online";
		byId("app").classList.toggle("online", online);
		if (pill) pill.draw(client.node, client.nodes, online, chat.current);
	},
	bar: () => {
		const situation = chat.situation();
		bar.show(wordsFor(situation));
		if (situation.state.state === "ask" && !client.user) byId("me").hidden = true;
		composer.close(situation.closed?.code);
		desk?.draw();
	},
	typing: drawTyping,
	me: () => {
		name.show(client.user?.name ?? "", keep.identity.load().name !== "", auth.named);
		composer.setLimit(client.limits.text);
		if (auth.moderator) moderating().then(drawings.people, () => {}); // what opens it later tells
		else if (desk) drawings.people();
	},
};

/** Drawings that wait for the next frame; the rest are cheap, and due in hidden tabs too. */
for (const part of /** @type {const} */ (["people", "node", "typing"])) drawings[part] = onFrame(drawings[part]);
drawings.rooms = often(drawings.rooms);
drawings.log = paced(drawings.log);

/** Closes notifications whose reason is gone: the message is deleted, read, or names one no more. */
function checkNotices() {
	notifier.keep(({ room, id }) => {
		const message = chat.logs.get(room)?.get(id);
		return !!message && !chat.attention.isRead(room, id) && notices.names(message);
	});
}

listen(chat, "change", ({ part }) => {
	if (part === "log") checkNotices(); // in hidden tabs too
	drawings[part]();
});

function drawMenu() {
	menu.draw(isMuted(chat.current), chat.canPart(chat.current));
}

/** @param {string} room */
function isMuted(room) {
	return keep.mutedRooms().includes(room);
}

function drawLog() {
	const { log: room, past } = chat;
	const pending = client.pending(room.name);
	log.draw();
	actions.refresh();
	finder.draw();
	if (past.found && log.show(past.found)) past.found = "";
	const words = SEEKING[past.seeking] || (past.fetching && !log.atEnd ? "Loading earlier messages…" : "");
	setText(byId("older"), words);
	byId("older").hidden = words === "";
	const bare = room.entries.length === 0 && pending.length === 0 && !room.more;
	byId("empty").hidden = !bare || !(room.loaded || room.problem);
	const nothing = room.restarted ? RESTARTED : "No one has said anything here yet.";
	setText(byId("empty-words"), room.problem ? sentence(room.problem) : nothing);
	byId("empty-address").hidden = room.problem !== "";
	byId("empty-back").hidden = room.problem === "" || room.name === LOBBY;
	setText(byId("address"), location.origin + pathOf(room.name));
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typingTimer;

function drawTyping() {
	clearTimeout(typingTimer);
	const names = chat.log.typing;
	setText(byId("typing"), typingWords(names));
	if (names.length > 0) typingTimer = setTimeout(drawTyping, 500);
}

/** @param {string} text */
function say(text) {
	if (outbox.full) return false;
	client.say(chat.current, text);
	chat.reading.answered();
	setTimeout(drawings.log, SLOW_MS + 50);
	log.toEnd();
	return true;
}

/**
 * A message as it will be once its changes that wait have gone out.
 * @param {import("./model/changes.js").Message} message
 */
function changed(message) {
	const edit = client.pending(message.room).filter(({ kind, target, failed }) => kind === "edit" && target === message.id && !failed).at(-1);
	return edit ? { ...message, text: edit.text } : message;
}

/**
 * Takes back what is pending, to be written anew.
 * @param {string} key
 */
function again(key) {
	const pending = client.pending(chat.current).find((one) => one.key === key);
	if (!pending) return;
	const target = pending.target && chat.log.get(pending.target);
	client.cancel(key);
	if (target) composer.edit(target, pending.text);
	else composer.take(pending.text);
}

/** What moderators have, once it is loaded. @type {import("./view/desk.js").Desk | undefined} */
let desk;

/** Loads what moderators have. Rejects with a sentence for others, and where that fails. */
async function moderating() {
	if (!auth.moderator) throw new Error("only moderators do that");
	const Desk = await loadDesk();
	desk ??= new Desk({
		moderator: () => auth.moderator,
		room: () => chat.current,
		me: () => client.user,
		users: () => {
			const { members, entries } = chat.log;
			return [...members.values(), ...entries.slice(-SPOKE).map(({ user }) => user)];
		},
		stands: (room) => chat.closings.stands(room),
		request: (command) => client.request(command),
		tell: (words) => composer.note(words),
		uses: { sentence, saidTime, show, shut },
	});
	return desk;
}

/** @param {string} wanted */
async function rename(wanted) {
	await client.rename(wanted);
	chat.named();
}

/**
 * @param {string} room
 * @param {string} [hash] "#" and a message's id; ""
 */
function go(room, hash = "") {
	if (room !== chat.current || hash !== location.hash) history.pushState(null, "", pathOf(room) + EMBED + hash);
	sides.close();
	follow(room);
	if (!hash) composer.focus();
}

/**
 * Opens the room, and leads to the message, that the address names.
 * @param {string} room
 */
function follow(room) {
	if (room !== chat.current) chat.open(room);
	const id = location.hash.slice(1);
	if (/^\d+-\d+$/.test(id)) chat.past.find(id);
}

function leave() {
	chat.part(chat.current);
	composer.focus();
}

/**
 * Whether a name, as people write it, is that of the room that is looked at.
 * @param {string} room
 */
function isCurrent(room) {
	return room.normalize("NFKC").toLowerCase() === chat.current.toLowerCase();
}

/** @returns {string} the room that the address names */
function roomOfAddress() {
	const [, room] = /^\/r\/([^/]+)\/?$/.exec(location.pathname) ?? [];
	try {
		return decodeURIComponent(room ?? "") || LOBBY;
	} catch {
		return room;
	}
}

/** Links to rooms of this chat open here; with a modifier, as the browser does. */
document.addEventListener("click", (e) => {
	const link = e.target instanceof Element ? e.target.closest("a") : null;
	if (!link || e.button !== 0 || e.defaultPrevented) return;
	// In a message a link of any node is one of this chat; elsewhere it leads to that node.
	const here = [location.origin, ...(link.closest(".text") ? client.nodes.map(({ url }) => originOf(url)) : [])];
	if (!here.includes(link.origin) || link.target && !link.closest(".text")) return;
	if (e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || !link.pathname.startsWith("/r/")) return;
	e.preventDefault();
	go(decodeURIComponent(link.pathname.slice("/r/".length)), link.hash);
});

byId("skip").addEventListener("click", (e) => {
	e.preventDefault(); // the address stays the room's
	sides.close();
	composer.focus();
});
byId("address-copy").addEventListener("click", () => copyFrom(byId("address-copy"), byId("address").textContent ?? ""));
addEventListener("storage", ({ key }) => {
	if (key === keep.READ) {
		chat.readElsewhere();
		checkNotices();
	}
	if (key === keep.RECENT) chat.listedElsewhere();
	if (key === keep.MUTED) drawings.rooms();
});
let paused = false;
addEventListener("pagehide", () => {
	chat.attention.save();
	chat.leaves();
	paused = client.stop(); // a page that is kept for "back" would stay online
});
addEventListener("pageshow", () => paused && client.start());
addEventListener("popstate", () => { // a changed hash is one too
	const taken = auth.take(); // one of the same user renews the connection by itself, unless that has ended
	if (taken === "other") client.stop();
	if (taken === "other" || taken && chat.state.state === "ask") client.start();
	follow(roomOfAddress());
});
// Gone or back: either way the connection is looked at now.
addEventListener("offline", () => chat.leaves());
for (const event of ["online", "offline"]) addEventListener(event, () => client.hurry());
addEventListener("focus", () => chat.reading.returned());
document.addEventListener("visibilitychange", () => {
	if (document.hidden) return;
	client.hurry();
	chat.reading.returned();
	chat.refreshRooms();
});
watchTimes(() => {
	drawings.log();
	drawings.bar();
});
setInterval(() => document.hidden || chat.state.state !== "online" || chat.refreshRooms(), ROOMS_EVERY);

// Where the keyboard covers the page instead of shrinking it, the page shrinks itself.
visualViewport?.addEventListener("resize", () => {
	const { height = innerHeight, scale = 1 } = visualViewport ?? {};
	const covered = scale === 1 && innerHeight - height > 1;
	byId("app").style.setProperty("--height", covered ? `${height}px` : "");
	if (covered) scrollTo(0, 0);
});

byId("cluster-link").hidden = !DEMO;
follow(roomOfAddress());
client.start();
// On a phone the keyboard would cover what one came to read; in a frame it is the page's to say.
if (!EMBED && !matchMedia("(pointer: coarse)").matches) composer.focus();
