package node

import (
	"context"

	"example.com/chat/internal/protocol"
)

// directory provides what sessions need to know about other nodes and all rooms
// (session.Cluster). It has no state of its own, and is safe for concurrent use.
type directory struct {
	members  *members
	fallback *fallback
	broker   Broker
}

// NodesFor returns the live nodes, this one first (session.Cluster).
func (d directory) NodesFor(origin string) []protocol.Node { return d.members.list(origin) }

// Status returns the event for a client that reached this node by origin while Redis
// is not reachable (session.Cluster).
func (d directory) Status(origin string) protocol.Event { return d.fallback.event(origin) }

// Rooms lists the rooms with users online or entries (session.Cluster).
func (d directory) Rooms(ctx context.Context, after string) (protocol.RoomPage, error) {
	return d.broker.Rooms(ctx, after)
}

// RoomsOf lists those of the named rooms that have users online or entries
// (session.Cluster).
func (d directory) RoomsOf(ctx context.Context, names []string, after string) (protocol.RoomPage, error) {
	return d.broker.RoomsOf(ctx, names, after)
}
