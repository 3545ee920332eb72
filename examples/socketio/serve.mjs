// Serves the page and the client's bundle at http://localhost:3000. The chat itself
// is elsewhere: this server knows nothing of it.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const PORT = 3000;
const here = (name) => new URL(name, import.meta.url);
const files = {
  "/": [here("index.html"), "text/html; charset=utf-8"],
  "/chat.js": [here("chat.js"), "text/javascript"],
  "/socket.io.js": [here("node_modules/socket.io-client/dist/socket.io.min.js"), "text/javascript"],
};

createServer(async (request, response) => {
  const file = files[new URL(request.url, "http://localhost").pathname];
  if (!file) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "Content-Type": file[1] }).end(await readFile(file[0]));
}).listen(PORT, "localhost", () => console.log(`http://localhost:${PORT}`));
