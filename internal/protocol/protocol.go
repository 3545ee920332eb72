// Package protocol holds the wire of the chat: what a client and a node say to
// each other, the rules that names, rooms and texts must keep, and the tables
// of error and close codes. It does no I/O and keeps no state, so every
// transport (WebSocket, HTTP, …) and every client can share it.
//
// The same commands and events travel over every transport; a transport only
// decides where the name of a command or event stands.
package protocol

import "slices"

// Version is the number of the protocol, told in every welcome.
const Version = 1

// The bounds that the protocol itself sets; those an operator may choose are
// in [Limits].
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
	// NewestCount is how many entries a join without a usable cursor gets.
	NewestCount = 50
	// MaxRecovered is the most entries that a join with a cursor recovers.
	MaxRecovered = 1000
	// MaxJoined is how many bytes the messages of one joined have at most, but for
	// a single one that is longer.
	MaxJoined = 32 << 10
	// MaxHistory is the largest limit of one history command.
	MaxHistory = 200
	// MaxHistoryBytes is how many bytes the messages of one history have at most,
	// but for a single one that is longer: a slow connection takes seconds for it.
	MaxHistoryBytes = 64 << 10
	// MaxListed is how many members or rooms a reply lists; counts count all.
	MaxListed = 500
	// KeysKept is how many of a room's newest client keys are remembered at
	// least; see also KeyAge.
	KeysKept = 1000
	// KeyAgeMS is for how many milliseconds a client key is remembered at least.
	KeyAgeMS = 10 * 60 * 1000
)

// Limits are the bounds that the operator of a node chooses and that welcome
// tells the client.
type Limits struct {
	// Text is the longest text of a message, in bytes of UTF-8.
	Text int `json:"text"`
	// Rooms is how many rooms one connection may be in.
	Rooms int `json:"rooms"`
	// Rate is how many commands a second one user may send in the long run;
	// 0 means that there is no limit.
	Rate float64 `json:"rate"`
	// Burst is how many commands one user may send at once.
	Burst int `json:"burst"`
}

// FrameLimit is the largest WebSocket message that a node with these limits
// takes: JSON's longest escape of a character is six bytes, and 4 KiB are for
// the rest of the command.
func (l Limits) FrameLimit() int64 { return 6*int64(l.Text) + 4096 }

// User is somebody, as others see them.
type User struct {
	// ID never changes for one user.
	ID string `json:"id"`
	// Name is the display name, which may.
	Name string `json:"name"`
}

// Node is one server of the cluster, as clients see it.
type Node struct {
	// ID is unique among the live nodes.
	ID string `json:"id"`
	// URL is the http or https URL by which clients reach it.
	URL string `json:"url"`
}

// RoomCount is one row of the list of rooms.
type RoomCount struct {
	// Room is the room's name.
	Room string `json:"room"`
	// Count is how many users are online in it.
	Count int `json:"count"`
	// Last is when its newest entry was made, in milliseconds since the epoch, or a
	// little before; 0 where it has none.
	Last int64 `json:"last,omitzero"`
}

// RoomPage is a page of the list of rooms.
type RoomPage struct {
	Rooms []RoomCount `json:"rooms"`
	// Next is the cursor for the next page; "" on the last one.
	Next string `json:"next,omitzero"`
}

// Only returns the page with the rooms alone that may be entered.
func (p RoomPage) Only(mayEnter func(room string) bool) RoomPage {
	p.Rooms = slices.DeleteFunc(slices.Clone(p.Rooms), func(r RoomCount) bool { return !mayEnter(r.Room) })
	return p
}

// NameClaim is what a user wants to be called.
type NameClaim struct {
	// User is the user's id.
	User string
	// Name is the display name, within the rules of [Name].
	Name string
	// Keep lets a name that the user holds or is remembered by go before Name.
	Keep bool
	// Shared lets the user show a name that others show too: it is told apart by its
	// id, the subject of a JWT. Nobody else may take the name meanwhile.
	Shared bool
}

// Change is one user's coming to a room, or going from it, on one node.
type Change struct {
	User User
	Here bool
}

// Errors that many commands can meet. They are shared and never changed: an
// answer that names a room or a key is a copy.
var (
	// ErrNameTaken is answered when somebody else who is online holds the name.
	ErrNameTaken = Errorf(CodeNameTaken, "somebody who is online has this name: choose another")
	// ErrNotJoined is answered to what only a member of the room may ask for.
	ErrNotJoined = Errorf(CodeNotJoined, "join the room first")
	// ErrUnavailable is answered while Redis can't be reached.
	ErrUnavailable = Errorf(CodeUnavailable, "the servers can't reach each other right now: try again")
)
