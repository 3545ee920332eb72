#!/usr/bin/env bash
# socket.io-client (npm): in Node.js a Blob is announced as an attachment and never sent, and the next event ends the connection.
#
# Expected: an event with a Blob arrives as a Buffer, as it does from a browser and as one with a Buffer does; or emit throws.
# Seen: the server waits for the attachment; whatever the client emits next is no attachment, so that the server closes the
# connection, with WebSocket and with polling alike. The client reconnects; the event with the Blob is lost in silence.
# Consequence: convert with Buffer.from(await blob.arrayBuffer()) first.
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
for (const transport of ["websocket", "polling"]) {
  const seen = [];
  io4.removeAllListeners("connection");
  const done = new Promise((resolve) => io4.on("connection", (s) => {
    s.onAny((name, _, got) => { seen.push(name); if (name === "end") resolve(); got?.(); });
    s.on("disconnect", (why) => seen.push(`[${why}]`));
  }));
  const c = io(url, { transports: [transport], forceNew: true });
  await new Promise((resolve) => c.once("connect", resolve));
  await c.emitWithAck("buffer", Buffer.from("x"));
  c.emit("blob", new Blob(["x"]));
  const again = new Promise((resolve) => c.once("connect", resolve));
  await new Promise((resolve) => setImmediate(resolve));
  c.emit("next");
  await again;
  c.emit("end");
  await done;
  console.log(transport, seen.join(" "));
  c.close();
}
process.exit(0);
EOJ
cat >want <<'EOW'
websocket buffer [forced close] end
polling buffer [forced close] end
EOW
echo "socket.io-client 4.8.4, node $(node --version); expected: buffer blob next end; seen:"
timeout 60 node run.mjs | tee got
diff want got
