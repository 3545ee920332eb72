// The official client against a cluster: node chat.mjs PROXY CONTROL NODE...
// PROXY hands requests to the nodes by turns, CONTROL/kill and CONTROL/drain end
// the node that is named, NODE are the nodes' own URLs. It is run in the folder
// where the client is installed; it prints a line for each thing that works, and
// exits with 1 at the first that does not.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { io } = require("socket.io-client");
const { WebSocket } = require("ws");

const [proxy, control, ...nodes] = process.argv.slice(2);
const PATIENCE = 20_000; // ms

/** Every way in which the client connects. */
const ways = {
  "polling only": { transports: ["polling"] },
  "WebSocket only": { transports: ["websocket"] },
  "the default": {},
};

/** @param {Promise<any>} promise @param {string} what */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited for ${what}`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Waits for an event that fits, and returns its argument. */
function next(socket, name, fits = () => true) {
  const found = new Promise((resolve) => {
    socket.on(name, function look(arg) {
      if (fits(arg)) {
        socket.off(name, look);
        resolve(arg);
      }
    });
  });
  return within(found, name);
}

/** Sends a command, and returns what it is acknowledged with. */
const ask = (socket, command, argument) => socket.timeout(PATIENCE).emitWithAck(command, argument);

let count = 0;
const unique = (what) => `${what}-${process.pid}-${++count}`;

/** A user of Socket.IO who is welcome, and comes back as the same. */
async function user(options, url = proxy) {
  const socket = io(url, { forceNew: true, auth: { name: unique("io") }, ...options });
  socket.on("welcome", (w) => {
    socket.auth = { token: w.token };
    socket.welcome = w;
  });
  await next(socket, "welcome");
  return socket;
}

/** A user of /ws, in a room. */
async function plain(url, room) {
  const ws = new WebSocket(url.replace("http", "ws") + "/ws");
  const seen = [];
  const heard = new Set();
  ws.on("message", (data) => {
    seen.push(JSON.parse(data));
    for (const tell of heard) tell();
  });
  const find = (type, fits = () => true) => {
    const look = () => seen.find((e) => e.type === type && fits(e));
    return within(new Promise((resolve) => {
      const tell = () => look() && (heard.delete(tell), resolve(look()));
      heard.add(tell);
      tell();
    }), `${type} on /ws`);
  };
  const say = (type, fields) => ws.send(JSON.stringify({ type, ...fields }));
  await within(new Promise((resolve) => ws.once("open", resolve)), "/ws");
  say("hello", {});
  say("join", { room });
  await find("joined");
  return { say, find, close: () => ws.close() };
}

const gone = new Set(); // ports of nodes that were ended

/** The URL of a node that lives and is another one. */
const elsewhere = (node) => nodes.find((url) => {
  const { port } = new URL(url);
  return port !== new URL(node.url).port && !gone.has(port);
});

async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== "websocket") {
    await within(new Promise((resolve) => engine.once("upgrade", resolve)), "the upgrade");
  }
}

async function talks(way, options) {
  const room = unique("talk");
  const socket = await user(options);
  const { node, user: me, limits } = socket.welcome;
  assert.ok(nodes.length > 1 && limits.text > 0);
  const joined = await ask(socket, "join", { room });
  assert.equal(joined.room, room);
  assert.equal(joined.recovered, false);
  const other = await plain(elsewhere(node), room);
  if (way === "the default") await upgraded(socket);
  else assert.equal(socket.io.engine.transport.name, options.transports[0]);
  const heard = next(socket, "message", (m) => m.text === "to Socket.IO ü€😀");
  other.say("send", { room, text: "to Socket.IO ü€😀", key: "1" });
  assert.equal((await heard).room, room);
  const sent = await ask(socket, "send", { room, text: "to /ws", key: "2" });
  const got = await other.find("message", (m) => m.text === "to /ws");
  assert.equal(got.id, sent.id);
  assert.deepEqual(got.user, me);
  assert.equal((await ask(socket, "send", { room, text: "to /ws", key: "2" })).duplicate, true);
  const refused = await ask(socket, "send", { room: "elsewhere", text: "x", key: "3" });
  assert.equal(refused.code, "not_joined");
  assert.equal((await ask(socket, "send", { room, key: "4", text: Buffer.from("x") })).code, "bad_field");
  const pong = next(socket, "pong");
  socket.emit("ping");
  await pong;
  const error = next(socket, "error");
  socket.emit("dance", {});
  assert.equal((await error).code, "unknown_type");
  other.close();
  socket.disconnect();
}

async function refused() {
  const socket = io(proxy, { forceNew: true, auth: { name: "<b>" } });
  const error = await next(socket, "connect_error");
  assert.equal(error.data.code, "bad_name");
  assert.equal(error.message, error.data.message);
  assert.equal(socket.active, false);
  socket.auth = {};
  socket.connect();
  await next(socket, "welcome");
  socket.disconnect();
}

/** A token that does not hold any more makes a new guest, who is told so. */
async function renewed() {
  const socket = io(proxy, { forceNew: true, auth: { token: "of.another-secret" } });
  const first = await next(socket, "welcome");
  assert.equal(first.renewed, true);
  const back = next(socket, "welcome");
  socket.auth = { token: first.token };
  socket.disconnect().connect();
  const second = await back;
  assert.deepEqual([second.user, second.renewed], [first.user, undefined]);
  socket.disconnect();
}

/** Its node ends; it comes back at another by itself, as the same, to all that it missed. */
async function comesBack(end, options) {
  const room = unique("back");
  const socket = await user({ reconnectionDelay: 100, ...options });
  await ask(socket, "join", { room });
  await upgraded(socket);
  const { node, user: me } = socket.welcome;
  const last = await ask(socket, "send", { room, text: "before", key: "1" });
  const other = await plain(elsewhere(node), room);
  const away = next(socket, "disconnect");
  const back = next(socket, "welcome");
  const { port } = new URL(node.url);
  gone.add(port);
  await fetch(`${control}/${end}?port=${port}`, { method: "POST" });
  const reason = await away;
  assert.ok(["transport close", "transport error"].includes(reason), reason);
  other.say("send", { room, text: "missed", key: "a" });
  await other.find("sent");
  const welcome = await back;
  assert.deepEqual(welcome.user, me);
  assert.notEqual(welcome.node.id, node.id);
  const joined = await ask(socket, "join", { room, after: last.id });
  assert.equal(joined.recovered, true);
  assert.deepEqual(joined.messages.map((m) => m.text), ["missed"]);
  const again = await ask(socket, "send", { room, text: "before", key: "1" });
  assert.deepEqual([again.duplicate, again.id], [true, last.id]);
  other.close();
  socket.disconnect();
}

async function run(name, test) {
  try {
    await test();
    console.log(`ok: ${name}`);
  } catch (error) {
    console.error(`${name}: ${error.stack}`);
    process.exit(1);
  }
}

for (const [way, options] of Object.entries(ways)) await run(`talks, ${way}`, () => talks(way, options));
await run("a hello that is refused", refused);
await run("a token that does not hold", renewed);
await run("its node is killed", () => comesBack("kill"));
await run("its node is drained", () => comesBack("drain"));
process.exit(0);
