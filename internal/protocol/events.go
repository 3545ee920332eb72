package protocol

import (
	"github.com/go-json-experiment/json/jsontext"
)

// The structs of this file are the replies and events as they travel, without the
// name in "type" and without "ref". A node encodes them (method Event); a client
// decodes them. docs/protocol.md lists the same fields, which a test compares.
//
// [JoinedEvent], [HistoryEvent] and [MessageEvent] are encoded by [Joined],
// [Histories] and [Draft.Entry] instead: these copy the JSON of log entries without
// decoding it.

// The names of the replies and events that are not also names of commands.
const (
	WelcomeName   = "welcome"
	JoinedName    = "joined"
	LeftName      = "left"
	SentName      = "sent"
	MessageName   = "message"
	PresenceName  = "presence"
	RenamedName   = "renamed"
	NodesName     = "nodes"
	StatusName    = "status"
	ResetName     = "reset"
	ModeratedName = "moderated"
	PongName      = "pong"
	ErrorName     = "error"
)

// WelcomeEvent is the reply to hello.
type WelcomeEvent struct {
	User User `json:"user"`
	// Token makes the same user of a later hello.
	Token string `json:"token"`
	// Node is the node that answers. Nodes are all live nodes, Node first.
	Node   Node   `json:"node"`
	Nodes  []Node `json:"nodes"`
	Limits Limits `json:"limits"`
	// Version is [Version].
	Version int `json:"version"`
	// Renewed reports that the token of the hello was not valid any more, and User
	// is a new guest.
	Renewed bool `json:"renewed,omitzero"`
}

// Event encodes the reply.
func (w WelcomeEvent) Event() Event { return encode(WelcomeName, w) }

// JoinedEvent is the reply to join.
type JoinedEvent struct {
	Room string `json:"room"`
	// Head is the id of the room's newest entry, "0-0" where it has none: a cursor
	// either way.
	Head string `json:"head"`
	// Recovered reports that Messages are the entries after the cursor of the join,
	// and not the newest messages as they stand at Head.
	Recovered bool `json:"recovered"`
	// Messages are objects with the fields of MessageEvent, oldest first.
	Messages []jsontext.Value `json:"messages"`
	// More reports that the rest of Messages follows, each as an event "message".
	More bool `json:"more,omitzero"`
	// Members lists at most [MaxListed] users; Count counts all.
	Members []User `json:"members"`
	Count   int    `json:"count"`
	// Rules are the decisions in force that keep this user from writing.
	Rules []BindingRule `json:"rules,omitzero"`
}

// BindingRule is a decision in force that keeps a user from writing.
type BindingRule struct {
	// Action is Mute, Slow or Lock.
	Action string `json:"action"`
	// Room is where it holds; "" for all rooms.
	Room string `json:"room,omitzero"`
	// Until is when it ends, in milliseconds since the epoch; 0 where it does not end
	// by itself.
	Until int64 `json:"until,omitzero"`
	// Seconds is the pause between two messages that Slow asks for.
	Seconds int64 `json:"seconds,omitzero"`
	// By is the moderator; nil for a decision of an earlier version.
	By     *User  `json:"by,omitzero"`
	Reason string `json:"reason,omitzero"`
	// RetryAfter is after how many milliseconds the user may write; 0 for now, or where
	// the decision does not end by itself.
	RetryAfter int64 `json:"retry_after,omitzero"`
}

// LeftEvent is the reply to leave.
type LeftEvent struct {
	Room string `json:"room"`
}

// Event encodes the reply.
func (l LeftEvent) Event() Event { return encode(LeftName, l) }

// SentEvent is the reply to send, edit, delete and react: the entry is in the room's
// log.
type SentEvent struct {
	Room string `json:"room"`
	Key  string `json:"key"`
	// ID is the entry's id; "" where the key had been accepted before and the log no
	// longer holds its entry.
	ID string `json:"id"`
	// Time is when the key was first accepted, in milliseconds since the epoch.
	Time int64 `json:"time"`
	// Duplicate reports that the key had been accepted before.
	Duplicate bool `json:"duplicate"`
}

// Event encodes the reply.
func (s SentEvent) Event() Event { return encode(SentName, s) }

// MessageEvent is one entry of a room's log, as the event "message" and as an element
// of "messages". [Draft.Entry] encodes it, as it writes "on" and "count" of a reaction
// also where they are false and 0.
type MessageEvent struct {
	ID   string `json:"id"`
	Room string `json:"room"`
	// Time is when the log took the entry, in milliseconds since the epoch.
	Time int64 `json:"time"`
	// Count is how many users have put the emoji after a reaction.
	Count int    `json:"count,omitzero"`
	Key   string `json:"key"`
	User  User   `json:"user"`
	// Kind is "" for a message, else Edit, Delete or React. A client passes over
	// kinds that it does not know.
	Kind string `json:"kind,omitzero"`
	// Target is the id of the message that an edit, deletion or reaction changes.
	Target string `json:"target,omitzero"`
	// Text is the text of a message or an edit.
	Text string `json:"text,omitzero"`
	// Emoji and On are those of a reaction.
	Emoji string `json:"emoji,omitzero"`
	On    bool   `json:"on,omitzero"`
	// Node is the id of the node that accepted the entry.
	Node string `json:"node"`
	// Edited and Reactions belong to a message as it stands: when its text was
	// edited last (milliseconds since the epoch), and its reactions.
	Edited    int64      `json:"edited,omitzero"`
	Reactions []Reaction `json:"reactions,omitempty"`
}

// HistoryEvent is the reply to history.
type HistoryEvent struct {
	Room string `json:"room"`
	// Messages are objects with the fields of MessageEvent, oldest first.
	Messages []jsontext.Value `json:"messages"`
	// More reports that the log holds older messages.
	More bool `json:"more"`
}

// TypingEvent reports that a user is typing.
type TypingEvent struct {
	Room string `json:"room"`
	User User   `json:"user"`
}

// Event encodes the event.
func (t TypingEvent) Event() Event { return encode(Typing, t) }

// PresenceEvent reports which users joined and left a room.
type PresenceEvent struct {
	Room   string `json:"room"`
	Joined []User `json:"joined"`
	Left   []User `json:"left"`
	// Count is how many users are online in the room now.
	Count int `json:"count"`
}

// Event encodes the event.
func (p PresenceEvent) Event() Event { return encode(PresenceName, p) }

// RenamedEvent reports a user's new name: the reply to rename, and an event for the
// other members of the user's rooms.
type RenamedEvent struct {
	User User `json:"user"`
}

// Event encodes the event.
func (r RenamedEvent) Event() Event { return encode(RenamedName, r) }

// RoomsEvent is the reply to rooms: a page of the list of rooms.
type RoomsEvent = RoomPage

// MembersEvent is the reply to members.
type MembersEvent struct {
	Room string `json:"room"`
	// Members lists at most [MaxListed] users; Count counts all.
	Members []User `json:"members"`
	Count   int    `json:"count"`
}

// Event encodes the reply.
func (m MembersEvent) Event() Event { return encode(Members, m) }

// NodesEvent reports a change of the cluster.
type NodesEvent struct {
	// Nodes are all live nodes, the one that the client is connected to first.
	Nodes []Node `json:"nodes"`
}

// Event encodes the event.
func (n NodesEvent) Event() Event { return encode(NodesName, n) }

// The states of Redis in a StatusEvent.
const (
	BrokerUp   = "up"
	BrokerDown = "down"
)

// StatusEvent reports that the node lost or regained Redis.
type StatusEvent struct {
	// Broker is BrokerUp or BrokerDown.
	Broker string `json:"broker"`
	// Nodes are other nodes that reach Redis, once this one has been without it for
	// some seconds.
	Nodes []Node `json:"nodes,omitempty"`
}

// Event encodes the event.
func (s StatusEvent) Event() Event { return encode(StatusName, s) }

// ResetEvent reports that the room's log is no longer the one that was followed.
type ResetEvent struct {
	Room string `json:"room"`
	// Head is the id of the newest entry of the log that there is now, "0-0" where it
	// has none.
	Head string `json:"head"`
}

// Event encodes the event.
func (r ResetEvent) Event() Event { return encode(ResetName, r) }

// ModeratedEvent is the reply to moderate, and an event for the users it concerns.
type ModeratedEvent struct {
	Action string `json:"action"`
	// Room is "" where the decision is about all rooms, User nil where it is about a
	// room.
	Room string `json:"room,omitzero"`
	User *User  `json:"user,omitzero"`
	// Until is when the decision ends, in milliseconds since the epoch; 0 where it does
	// not end by itself.
	Until int64 `json:"until,omitzero"`
	// Seconds is how long the decision holds; of Slow, the pause between two messages of
	// one user. 0 where it does not end by itself, and where Slow ends.
	Seconds int64 `json:"seconds,omitzero"`
	// By is the moderator.
	By     User   `json:"by"`
	Reason string `json:"reason,omitzero"`
}

// Event encodes the event.
func (m ModeratedEvent) Event() Event { return encode(ModeratedName, m) }

// PongEvent is the reply to ping.
type PongEvent struct{}

// Event encodes the reply.
func (p PongEvent) Event() Event { return encode(PongName, p) }

// ErrorEvent is the reply to a command that was refused.
type ErrorEvent struct {
	Code Code `json:"code"`
	// Message is one English sentence for people.
	Message string `json:"message"`
	// Room and Key are those of the command, as far as they could be read.
	Room string `json:"room,omitzero"`
	Key  string `json:"key,omitzero"`
	// RetryAfter is how long to wait before trying again, in milliseconds.
	RetryAfter int64 `json:"retry_after,omitzero"`
}

// Event encodes the reply.
func (e ErrorEvent) Event() Event { return encode(ErrorName, e) }

// Event encodes the error as the reply to its command.
func (e *Error) Event() Event {
	return ErrorEvent{Code: e.Code, Message: e.Message, Room: e.Room, Key: e.Key, RetryAfter: e.RetryAfter}.Event()
}

// Error returns the error that the event holds.
func (e ErrorEvent) Error() *Error {
	return &Error{Code: e.Code, Message: e.Message, Room: e.Room, Key: e.Key, RetryAfter: e.RetryAfter}
}
