package room

import (
	"context"

	"example.com/chat/internal/protocol"
)

// Broker is all that a Hub needs of whatever joins the nodes, one field for each
// role. The implementations are in redisbroker and membroker.
//
// All calls end with their context. An error means that a write may or may not
// have been carried out; each call may be repeated. Implementations may be used
// concurrently. What they hear they deliver to a Feed.
type Broker struct {
	Log
	Subscriber
	Presence
	Names
	Rulebook
}

// Log appends to the rooms' logs and reads them.
type Log interface {
	// Append adds drafts to the room's log in their order, each at most once by
	// its user and key, and publishes what is new. The receipts answer the drafts
	// one by one.
	Append(ctx context.Context, room string, drafts []protocol.Draft) ([]protocol.Receipt, error)
	// Messages reads the newest n messages before an id, or of all where that is
	// zero, as they stand.
	Messages(ctx context.Context, room string, before protocol.ID, n int) (protocol.Page, error)
	// Before reads up to n entries of any kind just before id, oldest first, between
	// which nothing but deleted ones is missing, and whether more come before them.
	Before(ctx context.Context, room string, id protocol.ID, n int) (list []protocol.Entry, more bool, err error)
	// After reads up to n entries of any kind after the cursor, oldest first; found is
	// false when the log does not hold that very cursor, nor knows it as deleted, or
	// when others than deleted entries are missing after it.
	After(ctx context.Context, room string, cursor protocol.ID, n int) (list []protocol.Entry, found, more bool, err error)
	// Heads reads the id of each room's newest entry.
	Heads(ctx context.Context, rooms []string) ([]protocol.ID, error)
	// Moved returns those of the rooms whose newest entry may be another than the given
	// head; others may be among them. It finds the entries of a room that were appended
	// since the call before that, if that contained the room. Calls must not be concurrent.
	Moved(ctx context.Context, rooms []protocol.RoomHead) (names []string, err error)
}

// Subscriber subscribes to what is published in rooms, and publishes what no log
// keeps.
type Subscriber interface {
	// Follow subscribes to the room; Feed.Following reports when that is in force. It
	// does not wait.
	Follow(room string)
	// Unfollow ends the subscription. It does not wait.
	Unfollow(room string)
	// Typing publishes that the user is typing in the room; it may be lost.
	Typing(ctx context.Context, room string, user protocol.User) error
}

// Presence writes and reads which users are in which rooms.
type Presence interface {
	// Instance is this node's present identity for Here and Vacate.
	Instance() string
	// Here writes which of this node's users are in the room, and publishes what
	// that changes. It returns how many users are in the room.
	Here(ctx context.Context, instance, room string, changes []protocol.Change) (int, error)
	// Vacate removes all that the instance wrote about the rooms.
	Vacate(ctx context.Context, instance string, rooms ...string) error
	// Present reads the users in the room, on all nodes, each user once.
	Present(ctx context.Context, room string) ([]protocol.User, error)
}

// Names gives display names to users.
type Names interface {
	// Claim registers the user at this node, and returns its name. Unless the name
	// is shared, no other user who is online may hold it: else protocol.ErrNameTaken.
	Claim(ctx context.Context, c protocol.NameClaim) (string, error)
	// Rename is Claim for a user of this node. It publishes the name to all nodes,
	// with mark, which must not hold a newline.
	Rename(ctx context.Context, c protocol.NameClaim, mark string) (string, error)
	// Release ends Claim; with keep the name is remembered. It never waits, and calls
	// done once.
	Release(user string, keep bool, done func(error))
}

// Rulebook keeps the decisions of moderators.
type Rulebook interface {
	// Rules reads the rules in force for the room, or those for all rooms with "", by
	// their fields (see protocol.Decision).
	Rules(ctx context.Context, room string) (map[string]protocol.Rule, error)
	// Decide writes a decision for its room, or for all rooms where it names none,
	// and publishes it.
	Decide(ctx context.Context, d protocol.Decision) error
}

// Feed takes what a Broker hears. Calls that concern one room come one after the
// other, in the order in which they were published; those of different rooms may come
// at the same time. Calls of Entries, Presence, Typing, Moderated and Renamed may be
// lost, late and repeated, and after a loss Following is called again. No method
// blocks.
type Feed interface {
	// Entries delivers entries that were appended to a followed room's log, oldest
	// first. before is the entry that the first of them follows; zero for none.
	Entries(room string, before protocol.ID, list []protocol.Entry)
	// Presence delivers which users joined and left a followed room.
	Presence(room string, d protocol.PresenceDelta)
	// Typing delivers that a user is typing in a followed room.
	Typing(room string, user protocol.User)
	// Moderated delivers a decision for a followed room, or for all rooms where it
	// names none.
	Moderated(d protocol.Decision)
	// Renamed delivers the new name of a user, and the mark given to Names.Rename.
	Renamed(mark string, user protocol.User)
	// Doubt reports that something was published in a followed room that cannot be
	// decoded: what is known of the room has to be read again.
	Doubt(room string)
	// Following reports that all that is published in the room from now on will be
	// delivered: what was published before may have been missed.
	Following(room string)
	// Lost reports that what this node wrote about its users is gone, and has to be
	// written again.
	Lost()
	// Reachable reports that the broker is lost (false) or back (true).
	Reachable(up bool)
}
