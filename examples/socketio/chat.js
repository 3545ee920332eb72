// The chat of Socket.IO's tutorial, moved over to chat.
const ROOM = "lobby";
const TRIES = 3; // of one message, before it is given up
const ANSWER = 10_000; // ms
const query = new URLSearchParams(location.search);
const rooms = { [ROOM]: "" }; // to join, with the id of the newest message that is shown
const socket = io(query.get("chat") ?? "http://localhost:8080", {
  auth: { name: query.get("name") ?? undefined, join: rooms },
});

const form = document.getElementById("form");
const input = document.getElementById("input");
const messages = document.getElementById("messages");

let limit = Infinity; // bytes of one text
let joined = false;
let busy = false; // the first of unsent is on its way, or waits to be sent again
const unsent = []; // { key, text, tries }, in order

// After every connect, also one after a break: the same user again. A node that has
// forgotten the user makes a new guest: what may have been entered under the earlier
// one would be entered twice.
socket.on("welcome", ({ token, limits, renewed }) => {
  socket.auth = { token, join: rooms };
  limit = limits.text;
  if (renewed && unsent[0]?.tries) giveUp("It is not known whether this was sent:");
});

// The node joins the rooms of auth.join by itself, and brings what was missed.
socket.on("joined", ({ head, more, recovered, messages: missed }) => {
  if (rooms[ROOM] && !recovered) add("Too long away: some messages are missing here.", "note");
  missed.forEach(show);
  if (!more) rooms[ROOM] = head;
  joined = true;
  next();
});

socket.on("message", show);
socket.on("reset", () => {
  messages.replaceChildren();
  rooms[ROOM] = "";
  join();
});
socket.on("error", (error) => {
  add(error.message, "note");
  if (error.room === ROOM && !joined && mayPass(error)) setTimeout(join, error.retry_after ?? 1000);
});
socket.on("connect_error", (error) => error.data && add(error.message, "note"));
socket.on("disconnect", () => {
  joined = false;
  add("Away…", "note");
});

function join() {
  if (socket.connected) socket.emit("join", { room: ROOM, after: rooms[ROOM] });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!input.value) return;
  if (isTooLong(input.value)) return add(`Too long: ${limit} bytes at most.`, "note");
  unsent.push({ key: `${Date.now()}-${Math.random()}`, text: input.value, tries: 0 });
  input.value = "";
  next();
});

// Sends the first message that waits. Without an answer it is sent again under its
// key, after the next join: it is entered once, however often it comes. One that is
// refused for good, or that ends the connection each time, is given up, so that the
// others go on.
function next() {
  const [first] = unsent;
  if (!first || busy || !joined) return;
  if (isTooLong(first.text)) return giveUp("Too long for this server:");
  if (first.tries >= TRIES) return giveUp("This could not be sent:");
  busy = true;
  first.tries++;
  socket.timeout(ANSWER).emit("send", { room: ROOM, text: first.text, key: first.key }, (late, reply) => {
    const again = !late && reply.code && mayPass(reply);
    if (again) first.tries--;
    setTimeout(() => { busy = false; next(); }, again ? Math.min(reply.retry_after ?? 1000, 60_000) : 0);
    if (late || again || unsent[0] !== first) return;
    if (reply.code) giveUp(reply.message);
    else unsent.shift();
  });
}

// mayPass tells whether the same command may be taken later.
function mayPass({ code }) {
  return ["rate_limited", "slow_mode", "unavailable"].includes(code);
}

function giveUp(why) {
  add(`${why} “${unsent.shift().text.slice(0, 100)}”`, "note");
  next();
}

function isTooLong(text) {
  return new TextEncoder().encode(text).length > limit;
}

function show(message) {
  rooms[ROOM] = message.id;
  if (!message.kind) add(`${message.user.name}: ${message.text}`);
}

function add(text, kind = "") {
  const item = document.createElement("li");
  item.textContent = text;
  item.className = kind;
  messages.appendChild(item);
  window.scrollTo(0, document.body.scrollHeight);
}
