// Many of the official clients, with their default options or the transports given,
// who talk through a proxy while a node dies, also while they are away:
// node crowd.mjs PROXY CONTROL CLIENTS SECONDS [TRANSPORT,...] [retries]
// With "retries" the clients repeat by themselves what got no answer; else this does.
// Each notes what it was told, and at the end it is checked that nothing was lost,
// doubled or out of order. It prints what it counted as JSON, and exits with 1
// where anything was wrong. It is run in the folder where the client is installed.
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { io } = require("socket.io-client");

const [proxy, control] = process.argv.slice(2);
const CLIENTS = Number(process.argv[4]);
const SECONDS = Number(process.argv[5]);
const transports = process.argv[6] ? process.argv[6].split(",") : undefined; // the default where they are not given
const retries = process.argv[7] === "retries";
const IN_A_ROOM = 20;
const EVERY = 2000; // ms between two messages of one client
const ANSWER = 5000; // ms
const PATIENCE = 45_000; // ms for all to be told at the end

const wrong = [];
const count = { sent: 0, heard: 0, away: 0, upgrades: 0, recovered: 0, again: 0, duplicates: 0, reasons: {} };
const acked = new Map(); // room to the ids of what was acknowledged, by key
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const seq = (id) => Number(id.split("-")[1]);

class Client {
  /** @param {number} number */
  constructor(number) {
    this.number = number;
    this.room = `crowd-${Math.floor(number / IN_A_ROOM)}`;
    this.head = ""; // the last id that it knows of
    this.seen = []; // [id, key] since the first join
    this.joined = false;
    this.rooms = { [this.room]: "" }; // to join, with head
    this.socket = io(proxy, {
      forceNew: true,
      ...(transports && { transports }),
      ...(retries && { retries: 20, ackTimeout: ANSWER }),
      auth: { name: `c${process.pid}-${number}`, join: this.rooms },
    });
    this.socket.on("welcome", ({ token, renewed }) => {
      this.socket.auth = { token, join: this.rooms };
      if (renewed) wrong.push(`${this.number} is somebody else now`);
    });
    this.socket.on("joined", (joined) => this.#join(joined));
    this.socket.on("error", (error) => error.room && setTimeout(() => this.socket.emit("join", { room: this.room, after: this.head }), 200));
    this.socket.on("message", (m) => this.#take(m));
    this.socket.on("reset", () => wrong.push(`${this.number} was told of a reset`));
    this.socket.on("disconnect", (reason) => {
      this.joined = false;
      count.away++;
      count.reasons[reason] = (count.reasons[reason] ?? 0) + 1;
    });
    this.socket.on("connect", () => this.socket.io.engine.once("upgrade", () => count.upgrades++));
  }

  #join({ head, more, recovered, messages }) {
    const after = this.head;
    if (after && !recovered) wrong.push(`${this.number} has a gap after ${after}`);
    if (after) {
      count.recovered++;
      for (const m of messages) this.#take(m);
    } else if (!more) {
      this.head = this.rooms[this.room] = head;
    }
    this.joined = true;
  }

  #take(m) {
    const due = this.head ? seq(this.head) + 1 : 1;
    if (seq(m.id) !== due) wrong.push(`${this.number} heard ${m.id} after ${this.head}`);
    this.head = this.rooms[this.room] = m.id;
    this.seen.push([m.id, m.key]);
    count.heard++;
  }

  /** Says one thing, whether connected or not, until it is acknowledged. */
  async say(key) {
    const message = { room: this.room, text: `message ${key}`, key };
    for (;;) {
      try {
        const reply = await (retries ? this.socket : this.socket.timeout(ANSWER)).emitWithAck("send", message);
        if (!reply.code) {
          if (reply.duplicate) count.duplicates++;
          acked.get(this.room).set(key, reply.id);
          count.sent++;
          return;
        }
        if (reply.code === "not_joined") wrong.push(`${this.number} was not in its room when it said ${key}`);
      } catch {} // no answer
      count.again++;
      await sleep(200);
    }
  }

  /** Talks for as long as the crowd does. */
  async talk(until) {
    await sleep(Math.random() * EVERY);
    for (let i = 0; Date.now() < until; i++) {
      await this.say(`${this.number}-${i}`);
      await sleep(EVERY);
    }
  }
}

async function eventually(what, ok) {
  const late = Date.now() + PATIENCE;
  while (!ok()) {
    if (Date.now() > late) {
      wrong.push(`waited for ${what}`);
      return;
    }
    await sleep(50);
  }
}

/** Everybody in a room has heard the same, and all that was acknowledged, once. */
function check(room, members) {
  const longest = members.reduce((a, b) => (a.seen.length >= b.seen.length ? a : b)).seen;
  const keys = new Map(longest.map(([id, key]) => [key, id]));
  if (keys.size !== longest.length) wrong.push(`${room}: a key was entered twice`);
  for (const [key, id] of acked.get(room)) {
    if (keys.get(key) !== id) wrong.push(`${room}: ${key} was acknowledged as ${id}, and heard as ${keys.get(key)}`);
  }
  for (const m of members) {
    const end = longest.slice(longest.length - m.seen.length);
    if (JSON.stringify(end) !== JSON.stringify(m.seen)) wrong.push(`${room}: ${m.number} heard other things than the rest`);
  }
}

const clients = Array.from({ length: CLIENTS }, (_, i) => new Client(i));
for (const c of clients) acked.set(c.room, new Map());
await eventually("all to be in", () => clients.every((c) => c.joined));
const until = Date.now() + SECONDS * 1000;
const talking = Promise.all(clients.map((c) => c.talk(until)));
await sleep(SECONDS * 500);
await fetch(`${control}/kill`, { method: "POST" });
await Promise.race([talking, sleep(SECONDS * 1000 + PATIENCE)]);
await eventually("all to be told", () => clients.every((c) => c.joined && [...acked.get(c.room).values()].every((id) => seq(id) <= seq(c.head))));
for (const room of acked.keys()) check(room, clients.filter((c) => c.room === room));
console.log(JSON.stringify({ ...count, wrong: wrong.length }));
if (wrong.length) console.error(wrong.slice(0, 20).join("\n"));
process.exit(wrong.length ? 1 : 0);
