// The chat of Socket.IO's tutorial, moved over to chat.
const ROOM = "lobby";
const query = new URLSearchParams(location.search);
const socket = io(query.get("chat") ?? "http://localhost:8080", {
  auth: { name: query.get("name") ?? undefined },
});

const form = document.getElementById("form");
const input = document.getElementById("input");
const messages = document.getElementById("messages");

let last = ""; // the id of the newest message that is shown
const unsent = new Map(); // texts that nobody has acknowledged, by key

// After every connect, also one after a break: the same user again, and all that
// was missed meanwhile.
socket.on("welcome", ({ token }) => {
  socket.auth = { token };
  socket.emit("join", { room: ROOM, after: last }, (joined) => {
    if (joined.code) return add(joined.message, "note");
    if (last && !joined.recovered) add("Too long away: some messages are missing here.", "note");
    joined.messages.forEach(show);
    for (const key of unsent.keys()) send(key);
  });
});

socket.on("message", show);
socket.on("error", (error) => add(error.message, "note"));
socket.on("connect_error", (error) => error.data && add(error.message, "note"));
socket.on("disconnect", () => add("Away…", "note"));

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!input.value) return;
  const key = `${Date.now()}-${Math.random()}`;
  unsent.set(key, input.value);
  input.value = "";
  send(key);
});

// A message without an answer is sent again under its key, after the next join: it
// is taken once, however often it comes.
function send(key) {
  if (!socket.connected) return;
  socket.emit("send", { room: ROOM, text: unsent.get(key), key }, (reply) => {
    if (reply.code === "rate_limited" || reply.code === "unavailable") {
      setTimeout(() => send(key), reply.retry_after ?? 1000);
      return;
    }
    unsent.delete(key);
    if (reply.code) add(reply.message, "note");
  });
}

function show(message) {
  last = message.id;
  if (!message.kind) add(`${message.user.name}: ${message.text}`);
}

function add(text, kind = "") {
  const item = document.createElement("li");
  item.textContent = text;
  item.className = kind;
  messages.appendChild(item);
  window.scrollTo(0, document.body.scrollHeight);
}
