// The page's client follows a room until it has so many messages:
// node page.mjs CLIENT URL ROOM COUNT PATIENCE. CLIENT is the path of client.js. It
// is run in the folder where the npm package ws is installed, whose WebSocket stands
// for a browser's. It prints "joined" when it is in the room, and at the end what it
// got as one line of JSON.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { WebSocket } = createRequire(process.cwd() + "/")("ws");
globalThis.WebSocket = WebSocket;

const [path, url, room, count, patience] = process.argv.slice(2);
const { Client } = await import(pathToFileURL(path));
const ids = [];
let joined = false;
let connects = 0;
let gaps = 0;

// Unlike a browser's, a WebSocket of ws throws where nobody hears of an error.
const dial = (/** @type {string} */ address) => new WebSocket(address).on("error", () => {});
const client = new Client({ url, dial });
const on = (name, does) => client.addEventListener(name, ({ detail }) => does(detail));
on("welcome", () => connects++);
on("joined", ({ messages, gap, restarted }) => {
  if (gap || restarted) gaps++;
  if (!joined) console.log("joined");
  joined = true;
  messages.forEach(show);
});
on("message", show);
on("standing", show);
on("reset", () => gaps++);
setTimeout(end, Number(patience));
client.join(room);
client.start();

function show({ id }) {
  ids.push(id);
  if (ids.length >= Number(count)) setTimeout(end, 100); // more would be too many
}

function end() {
  console.log(JSON.stringify({ ids, connects, gaps }));
  process.exit(0);
}
