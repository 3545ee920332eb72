package session

import (
	"sync/atomic"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// member is the part of a session that rooms use. Its methods are safe for concurrent
// use and do not block.
type member struct {
	transport Transport
	origin    string                 // by which the client reached this node, "http://host:port"
	mark      atomic.Pointer[string] // of the last rename
}

// Deliver queues an event for the client (room.Member).
func (m *member) Deliver(b *room.Broadcast) { m.transport.Deliver(b) }

// Pending returns how many bytes wait for the client (room.Buffered).
func (m *member) Pending() int { return m.transport.Pending() }

// Unsent returns Pending plus the bytes that the kernel has not sent yet, if the
// transport knows them (room.Queued).
func (m *member) Unsent() int {
	if t, ok := m.transport.(room.Queued); ok {
		return t.Unsent()
	}
	return m.transport.Pending()
}

// Stalled closes a connection whose client reads nothing (room.Stallable).
func (m *member) Stalled() { m.transport.Close(protocol.CloseSlow, "you read too slowly") }

// Expel closes the connection after a moderator's decision (room.Member).
func (m *member) Expel(reason string) { m.transport.Close(protocol.CloseKicked, reason) }

// Close closes the connection with a code of the protocol.
func (m *member) Close(code int, reason string) { m.transport.Close(code, reason) }

// Origin returns the origin by which the client reached this node.
func (m *member) Origin() string { return m.origin }

// Mark returns the mark of this connection's newest rename (room.Marked).
func (m *member) Mark() string {
	if mark := m.mark.Load(); mark != nil {
		return *mark
	}
	return ""
}
