// README's lines for the official client, as they stand there:
// node readme.mjs README URL
// They run against the node at URL, which is started anew, without its data, when this
// prints "said"; messages go on being sent meanwhile. It exits with 1 at the first thing
// that does not work. It is run in the folder where the client is installed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { io } = require("socket.io-client");

const [path, url] = process.argv.slice(2);
const PATIENCE = 30_000; // ms
const late = setTimeout(() => {
  console.error(`too late: ${JSON.stringify({ welcomes, shown, answers })}`);
  process.exit(1);
}, PATIENCE);

const section = readFileSync(path, "utf8").split("## With Socket.IO")[1];
const lines = /```js\n([^]*?)```/.exec(section)[1].replace(/"http:[^"]*"/, JSON.stringify(url));
const shown = [];
const show = (name, text) => shown.push(`${name}: ${text}`);
const { socket, rooms } = new Function("io", "show", "text", `${lines}; return { socket, rooms };`)(io, show, "hello");

const welcomes = [];
socket.on("welcome", (w) => welcomes.push(w));
const until = async (ok) => {
  while (!ok()) await new Promise((resolve) => setTimeout(resolve, 20));
};
const answers = [];
const say = (text) => socket.emit("send", { room: "lobby", text, key: `key of ${text}` }, (err, reply) => answers.push(err ?? reply));

await until(() => shown.includes("Ann: hello") && rooms.lobby);
console.log("said");
await until(() => !socket.connected);
for (let i = 1; i <= 5; i++) say(`while away ${i}`);
await until(() => answers.length === 5);
assert.deepEqual(answers.map((a) => a.code ?? a.message), Array(5).fill(undefined), "what was said while away is sent");
await until(() => shown.length === 6);
assert.deepEqual(shown.slice(1), [1, 2, 3, 4, 5].map((i) => `Ann: while away ${i}`));
const [first, second] = welcomes;
assert.deepEqual([first.renewed, second.renewed], [undefined, true]);
assert.notEqual(second.user.id, first.user.id);
assert.equal(second.user.name, "Ann");
console.log("ok");
clearTimeout(late);
process.exit(0);
