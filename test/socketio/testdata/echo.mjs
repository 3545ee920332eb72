// The official client against the echo server: node echo.mjs http://host:port
// It prints a line for each test that passes, and exits with 1 at the first that
// fails.
import assert from "node:assert/strict";
import { io } from "socket.io-client";

const url = process.argv[2];
const PATIENCE = 10_000; // ms

/** Every way in which the client connects. */
const ways = {
  "polling only": { transports: ["polling"] },
  "WebSocket only": { transports: ["websocket"] },
  "polling, then the upgrade": {},
};

/** @param {Promise<any>} promise @param {string} what */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited for ${what}`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Waits for one event, and returns its arguments. */
const once = (socket, name) => within(new Promise((resolve) => socket.once(name, (...args) => resolve(args))), name);

/** Opens a connection of its own. */
function open(namespace, options) {
  return io(url + namespace, { forceNew: true, reconnection: false, ...options });
}

async function connected(options, namespace = "/") {
  const socket = open(namespace, { auth: { name: "Ann" }, ...options });
  const auth = once(socket, "auth");
  await once(socket, "connect");
  assert.deepEqual(await auth, [{ name: "Ann" }]);
  return socket;
}

async function upgraded(socket) {
  const engine = socket.io.engine;
  if (engine.transport.name !== "websocket") {
    await within(new Promise((resolve) => engine.once("upgrade", resolve)), "the upgrade");
  }
  assert.equal(engine.transport.name, "websocket");
}

const tests = {
  async "connect, events and acknowledgements"(options) {
    const socket = await connected(options);
    socket.emit("message", 1, "zwei ü€😀", { three: [true, null] });
    assert.deepEqual(await once(socket, "message-back"), [1, "zwei ü€😀", { three: [true, null] }]);
    assert.deepEqual(await socket.timeout(PATIENCE).emitWithAck("message-with-ack", "a"), "a");
    socket.disconnect();
  },

  async "binary, in events and acknowledgements"(options) {
    const socket = await connected(options);
    const bytes = Buffer.from([0, 1, 30, 254, 255]);
    const large = Buffer.alloc(200_000, 7);
    socket.emit("message", bytes, { deep: [large] });
    const [back, { deep }] = await once(socket, "message-back");
    assert.deepEqual(Buffer.from(back), bytes);
    assert.deepEqual(Buffer.from(deep[0]), large);
    const acked = await socket.timeout(PATIENCE).emitWithAck("message-with-ack", bytes);
    assert.deepEqual(Buffer.from(acked), bytes);
    socket.disconnect();
  },

  async "two namespaces on one connection"(options) {
    const socket = await connected(options);
    const custom = socket.io.socket("/custom", { auth: { x: 1 } });
    const auth = once(custom, "auth");
    assert.deepEqual(await auth, [{ x: 1 }]);
    custom.emit("message", "custom");
    socket.emit("message", "main");
    assert.deepEqual(await once(custom, "message-back"), ["custom"]);
    custom.disconnect();
    socket.emit("message", "still");
    const got = [];
    socket.on("message-back", (m) => got.push(m));
    await once(socket, "message-back");
    assert.ok(socket.connected);
    socket.disconnect();
  },

  async "an unknown namespace is refused"(options) {
    const socket = open("/nowhere", options);
    const [error] = await once(socket, "connect_error");
    assert.equal(error.message, "Invalid namespace");
    socket.disconnect();
  },

  async "the heartbeat keeps it, and the client's close ends it"(options) {
    const socket = await connected(options);
    let pings = 0;
    await within(
      new Promise((resolve) => socket.io.on("ping", () => ++pings === 4 && resolve(undefined))),
      "four pings",
    );
    assert.ok(socket.connected);
    const gone = once(socket, "disconnect");
    socket.disconnect();
    assert.equal((await gone)[0], "io client disconnect");
  },

  async "a thousand in order, while it upgrades"(options) {
    const socket = open("/", { auth: {}, ...options });
    const count = 1000;
    const got = [];
    const all = within(
      new Promise((resolve) => {
        socket.on("message-back", (n) => got.push(n) === count && resolve(undefined));
      }),
      "a thousand events",
    );
    await once(socket, "connect");
    for (let n = 0; n < count; n++) {
      socket.emit("message", n);
      if (n % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await all;
    assert.deepEqual(got, [...Array(count).keys()]);
    if (!options.transports) await upgraded(socket);
    socket.disconnect();
  },
};

for (const [way, options] of Object.entries(ways)) {
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test(options);
    } catch (error) {
      console.error(`${way}: ${name}:`, error);
      process.exit(1);
    }
    console.log(`${way}: ${name}`);
  }
}
process.exit(0);
