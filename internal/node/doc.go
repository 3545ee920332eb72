// Package node is one node of the chat: it connects the rooms, the broker, the
// transports and the HTTP routes, and starts, drains and closes them. It reads
// neither flags nor environment.
package node
