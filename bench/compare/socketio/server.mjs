// A classic chat on Socket.IO with its Redis adapter, as its documentation shows one: it is what "bench/compare" loads. Its
// only argument is the URL of a Redis. It prints its own URL once it takes clients.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const publisher = createClient({ url: process.argv[2] });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);

const http = createServer();
const io = new Server(http, { adapter: createAdapter(publisher, subscriber), serveClient: false });
io.on("connection", (socket) => {
	socket.on("join", (room, done) => {
		socket.join(room);
		done();
	});
	socket.on("send", ({ room, key, text }, done) => {
		io.to(room).emit("message", { room, key, user: { id: socket.id }, text, time: Date.now() });
		done();
	});
});
http.listen(0, "127.0.0.1", () => console.log(`node http://127.0.0.1:${http.address().port}`));
