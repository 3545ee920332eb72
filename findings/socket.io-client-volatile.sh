#!/usr/bin/env bash
# socket.io-client (npm): whether a volatile event survives being offline depends on whether the socket was ever connected.
#
# Expected (https://socket.io/docs/v4/emitting-events/#volatile-events: volatile events "will not be sent if the underlying
# connection is not ready"): a volatile event that is emitted while there is no connection is dropped.
# Seen: before the first connection it is dropped; after the connection broke it is kept and sent on the next connection.
# An emit with a timeout that ran out meanwhile is withdrawn.
# Consequence: "typing" and the like can arrive minutes late; give them a time, or check socket.connected first.
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
const url = `http://127.0.0.1:${server.address().port}`;
let seen = [];
let last;
io4.on("connection", (s) => s.onAny((name) => { seen.push(name); if (name === "end") last(); }));
const until = (s) => new Promise((done) => { last = done; s.emit("end"); });

const a = io(url, { transports: ["websocket"], autoConnect: false });
a.volatile.emit("volatile");
a.emit("plain");
a.connect();
await until(a);
console.log("before the first connection:", seen.join(" "));

seen = [];
a.io.engine.close();
a.volatile.emit("volatile");
a.emit("plain");
await new Promise((done) => a.timeout(20).emit("timed", done));
await until(a);
console.log("after a broken connection:", seen.join(" "));
process.exit(0);
EOJ
cat >want <<'EOW'
before the first connection: plain end
after a broken connection: volatile plain end
EOW
echo "socket.io-client 4.8.4, node $(node --version); expected: plain end, twice; seen:"
node run.mjs | tee got
diff want got
