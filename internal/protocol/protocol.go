// Package protocol defines the messages between clients and nodes: a struct for each
// command and event, ids, the rules for names, rooms and texts, and the tables of error
// and close codes. It does no I/O and keeps no state, so all transports and clients share
// it. docs/protocol.md describes the same for people.
//
// Commands and events are the same on every transport; a transport only decides where
// their name is written.
package protocol

// Version is the protocol's version, sent in every welcome.
const Version = 1

// Limits of the protocol itself. Those that an operator can configure are in [Limits].
const (
	// MaxRoomLen is the longest room name, in characters (all are ASCII).
	MaxRoomLen = 64
	// MaxNameLen is the longest display name, in characters after NFC.
	MaxNameLen = 32
	// MaxKeyLen is the longest client key, in characters.
	MaxKeyLen = 64
	// MaxRefLen is the longest ref, in characters as it was written.
	MaxRefLen = 64
	// MaxReasonLen is the longest reason of a moderation, in characters.
	MaxReasonLen = 200
	// NewestCount is how many messages a join without a usable cursor returns.
	NewestCount = 50
	// MaxRecovered is the most entries that a join with a cursor recovers.
	MaxRecovered = 1000
	// MaxJoined is the most bytes that the messages of one joined have; a single longer
	// message is sent alone.
	MaxJoined = 32 << 10
	// MaxHistory is the largest limit of one history command.
	MaxHistory = 200
	// MaxHistoryBytes is the most bytes that the messages of one history have, as slow
	// connections take seconds for them; a single longer message is sent alone.
	MaxHistoryBytes = 64 << 10
	// MaxListed is the most members or rooms that a reply lists; its count counts all.
	MaxListed = 500
	// KeysKept is how many of its newest entries' keys a room remembers at least; see
	// also KeyAgeMS.
	KeysKept = 1000
	// KeyAgeMS is for how many milliseconds a room remembers a key at least.
	KeyAgeMS = 10 * 60 * 1000
)

// Limits are the limits that an operator configures. A client gets them in welcome.
type Limits struct {
	// Text is the longest text of a message, in bytes of UTF-8.
	Text int `json:"text"`
	// Rooms is how many rooms one connection may join.
	Rooms int `json:"rooms"`
	// Rate is how many messages a second one user may send in the long run; 0 for no
	// limit.
	Rate float64 `json:"rate"`
	// Burst is how many messages one user may send at once.
	Burst int `json:"burst"`
}

// FrameLimit returns the largest WebSocket message that a node with these limits accepts:
// six bytes, JSON's longest escape, for each byte of text, and 4 KiB for the rest of the
// command.
func (l Limits) FrameLimit() int64 { return 6*int64(l.Text) + 4096 }

// User is a user as others see it.
type User struct {
	// ID identifies the user; it never changes.
	ID string `json:"id"`
	// Name is the display name; it may change.
	Name string `json:"name"`
}

// Node is a node of the cluster, as clients see it.
type Node struct {
	// ID is unique among the live nodes.
	ID string `json:"id"`
	// URL is the http or https base URL for clients.
	URL string `json:"url"`
}

// RoomCount is one row of the list of rooms.
type RoomCount struct {
	// Room is the room's name.
	Room string `json:"room"`
	// Count is how many users are online in it.
	Count int `json:"count"`
	// Last is the time of its newest entry in milliseconds since the epoch, or of one a
	// little older; 0 if it has none.
	Last int64 `json:"last,omitzero"`
}

// RoomHead is a room and the id of its newest entry; zero if it has none.
type RoomHead struct {
	Room string
	Head ID
}

// RoomPage is a page of the list of rooms.
type RoomPage struct {
	Rooms []RoomCount `json:"rooms"`
	// Next is the cursor of the next page; "" on the last one.
	Next string `json:"next,omitzero"`
}

// NameClaim is a user's claim to a display name.
type NameClaim struct {
	// User is the user's id.
	User string
	// Name is the display name, within the rules of [Name].
	Name string
	// Keep prefers the name that the user has, or had within the last week, to Name.
	Keep bool
	// Shared allows a name that other users with Shared have too: they are told apart by
	// their ids, the subjects of JWTs. Other users can't take the name meanwhile.
	Shared bool
}

// Change is one user's arrival in a room on one node (Here), or departure from it.
type Change struct {
	User User
	Here bool
}

// Errors that many commands have in common. They are shared and must not be changed: a
// reply that names a room or a key has a copy.
var (
	// ErrNameTaken refuses a name that another user who is online has.
	ErrNameTaken = Errorf(CodeNameTaken, "another user who is online has this name: choose another")
	// ErrNotJoined refuses a command that only members of the room may use.
	ErrNotJoined = Errorf(CodeNotJoined, "join the room first")
	// ErrUnavailable answers a command while Redis can't be reached.
	ErrUnavailable = Errorf(CodeUnavailable, "the servers can't reach each other right now: try again")
)
