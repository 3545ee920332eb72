package room

import (
	"context"

	"example.com/chat/internal/protocol"
)

// Broker is what the hub needs of Redis. All calls end with their context. An
// error means that a write may or may not have been done; each may be repeated.
// Implementations may be used concurrently.
type Broker interface {
	// Append takes drafts into the room's log in their order, each at most
	// once by its user and key, and publishes what is new. The receipts answer
	// the drafts one by one.
	Append(ctx context.Context, room string, drafts []protocol.Draft) ([]protocol.Receipt, error)
	// Messages reads the newest n messages before an id, or of all where that is
	// zero, as they stand.
	Messages(ctx context.Context, room string, before protocol.ID, n int) (protocol.Page, error)
	// Before reads up to n entries of any kind just before id, oldest first, between
	// which nothing but deleted ones is missing, and whether more come before them.
	Before(ctx context.Context, room string, id protocol.ID, n int) (list []protocol.Entry, more bool, err error)
	// After reads up to n entries of any kind after the cursor, oldest first; found is
	// false when the log doesn't hold that very cursor, nor knows it as deleted, or
	// when others than deleted entries are missing after it.
	After(ctx context.Context, room string, cursor protocol.ID, n int) (list []protocol.Entry, found, more bool, err error)
	// Heads reads the id of each room's newest entry.
	Heads(ctx context.Context, rooms []string) ([]protocol.ID, error)

	// Follow asks for what is published in the room, and Unfollow ends it. The
	// hub is told by its Following when it has begun. Neither waits.
	Follow(room string)
	Unfollow(room string)
	// Publish sends a hint to all who follow the room; it may be lost.
	Publish(ctx context.Context, room string, payload []byte) error

	// Instance is this node's present identity for Here and Vacate.
	Instance() string
	// Here writes which of this node's users are in the room.
	Here(ctx context.Context, instance, room string, changes []protocol.Change) (int, error)
	// Vacate takes away all that the instance wrote about the room.
	Vacate(ctx context.Context, instance, room string) error
	// Present reads who is in the room, on all nodes, each user once.
	Present(ctx context.Context, room string) ([]protocol.User, error)

	// Claim makes the user one of this node's, and returns its name. Unless it is
	// shared, nobody else who is online may hold it: else protocol.ErrNameTaken.
	Claim(ctx context.Context, c protocol.NameClaim) (string, error)
	// Rename is Claim for a user of this node, and tells the cluster, with mark.
	Rename(ctx context.Context, c protocol.NameClaim, mark string) (string, error)
	// Release ends Claim; with keep the name is remembered. It never waits.
	Release(user string, keep bool, done func(error))

	// Rules reads what moderators decided for the room, or for all with "".
	Rules(ctx context.Context, room string) (map[string]string, error)
	// Rule sets one of them, or takes it away when value is empty, and
	// publishes the payload to those who follow the room, or to all nodes.
	Rule(ctx context.Context, room, field, value string, payload []byte) error
}
