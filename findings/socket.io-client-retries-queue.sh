#!/usr/bin/env bash
# socket.io-client (npm): with `retries`, an event that asks for no acknowledgement waits for one, and holds up all behind it.
#
# Expected: an emit without a callback needs no acknowledgement, so the server gets it once and the next one follows at once.
# Seen: the client asks for an acknowledgement by itself. Where the server's handler calls none, the event is sent retries + 1 times,
# ackTimeout apart, and only then comes the next event.
# Consequence: a server for such clients acknowledges every event, also those that have no answer, as "typing".
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --save-exact socket.io@4.8.4 socket.io-client@4.8.4 >/dev/null
cat >run.mjs <<'EOJ'
import http from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";

const server = http.createServer();
const io4 = new Server(server);
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const seen = [];
const over = new Promise((done) => io4.on("connection", (s) => {
  s.on("typing", () => seen.push("typing"));
  s.on("send", (ack) => { seen.push("send"); ack(); done(); });
}));
const c = io(`http://127.0.0.1:${server.address().port}`, { transports: ["websocket"], retries: 2, ackTimeout: 200 });
await new Promise((done) => c.once("connect", done));
c.emit("typing");
c.emit("send", () => {});
await over;
console.log(seen.join(" "));
process.exit(0);
EOJ
echo "typing typing typing send" >want
echo "socket.io-client 4.8.4, node $(node --version); expected: typing send; seen:"
timeout 60 node run.mjs | tee got
diff want got
