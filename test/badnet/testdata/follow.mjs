// The official client follows a room until it has so many messages:
// node follow.mjs URL ROOM AFTER COUNT PATIENCE [TRANSPORT]. It is run in the folder
// where the client is installed, and prints what it got as one line of JSON.
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { io } = require("socket.io-client");

const [url, room, after, count, patience, transport] = process.argv.slice(2);
const ids = [];
const lost = [];
let last = after;
let recovered = null; // as the first join said
let connects = 0;

const socket = io(url, transport ? { transports: [transport] } : {});
socket.on("welcome", ({ token }) => {
  connects++;
  socket.auth = { token };
  socket.emit("join", { room, after: last }, (joined) => {
    recovered ??= joined.recovered;
    joined.messages.forEach(show);
  });
});
socket.on("message", show);
socket.on("disconnect", (reason) => lost.push(reason));
socket.on("connect_error", (error) => lost.push(String(error.message)));
setTimeout(end, Number(patience));

function show({ id }) {
  ids.push(id);
  last = id;
  if (ids.length >= Number(count)) setTimeout(end, 100); // more would be too many
}

function end() {
  console.log(JSON.stringify({ ids, recovered, connects, lost: lost.slice(), transport: socket.io.engine?.transport.name ?? "" }));
  process.exit(0);
}
