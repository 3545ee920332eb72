package protocol

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The structs of this file are the commands as a client writes them, without the name
// in "type" and without "ref". A field with omitzero or omitempty is optional; the
// others are required. [DecodeFrame] reads what EncodeCommand wrote, and checks it.
// docs/protocol.md lists the same fields, which a test compares.

// ClientCommand is one of the structs of commands.
type ClientCommand interface {
	// Type returns the command's name.
	Type() string
	// Subject returns the room and the key that an error about the command repeats;
	// "" for those that it does not have.
	Subject() (room, key string)
}

// HelloCommand says who the user is; it comes first on a connection.
type HelloCommand struct {
	// Name is the display name to ask for.
	Name string `json:"name,omitzero"`
	// Token is that of an earlier welcome, Auth a JWT.
	Token string `json:"token,omitzero"`
	Auth  string `json:"auth,omitzero"`
	// Join holds the rooms to join, each with the id of the last entry seen, or "".
	Join map[string]string `json:"join,omitempty"`
}

// JoinCommand joins a room.
type JoinCommand struct {
	Room string `json:"room"`
	// After is the id of the last entry seen; "" for none.
	After string `json:"after,omitzero"`
}

// LeaveCommand leaves a room.
type LeaveCommand struct {
	Room string `json:"room"`
}

// SendCommand puts a message into a room's log.
type SendCommand struct {
	Room string `json:"room"`
	Text string `json:"text"`
	Key  string `json:"key"`
}

// EditCommand replaces the text of a message.
type EditCommand struct {
	Room   string `json:"room"`
	Target string `json:"target"`
	Text   string `json:"text"`
	Key    string `json:"key"`
}

// DeleteCommand deletes a message.
type DeleteCommand struct {
	Room   string `json:"room"`
	Target string `json:"target"`
	Key    string `json:"key"`
}

// ReactCommand adds the user's reaction to a message, or removes it where On is
// false.
type ReactCommand struct {
	Room   string `json:"room"`
	Target string `json:"target"`
	Emoji  string `json:"emoji"`
	On     bool   `json:"on"`
	Key    string `json:"key"`
}

// HistoryCommand asks for messages of a room as they stand.
type HistoryCommand struct {
	Room string `json:"room"`
	// Before is the id of the entry before which the messages stand; "" for the
	// newest ones.
	Before string `json:"before,omitzero"`
	// Limit is 1–200; 0 means 50.
	Limit int `json:"limit,omitzero"`
}

// TypingCommand reports that the user is typing.
type TypingCommand struct {
	Room string `json:"room"`
}

// RoomsCommand asks for a page of the list of rooms.
type RoomsCommand struct {
	// After is the next of the page before; "" for the first page.
	After string `json:"after,omitzero"`
}

// MembersCommand asks for the users who are online in a room.
type MembersCommand struct {
	Room string `json:"room"`
}

// RenameCommand changes the user's display name.
type RenameCommand struct {
	Name string `json:"name"`
}

// ModerateCommand is a moderator's decision.
type ModerateCommand struct {
	// Action is one of the constants from Kick to Unlock.
	Action string `json:"action"`
	// Room is "" for all rooms.
	Room string `json:"room,omitzero"`
	// User is the id of the user whom the decision is about; "" where it is about a
	// room.
	User string `json:"user,omitzero"`
	// Seconds is how long the decision holds, or with Slow how long a user waits
	// between two messages; 0 for no end.
	Seconds int64  `json:"seconds,omitzero"`
	Reason  string `json:"reason,omitzero"`
}

// PingCommand asks for a pong.
type PingCommand struct{}

// Type implements ClientCommand.
func (HelloCommand) Type() string { return Hello }

// Type implements ClientCommand.
func (JoinCommand) Type() string { return Join }

// Type implements ClientCommand.
func (LeaveCommand) Type() string { return Leave }

// Type implements ClientCommand.
func (SendCommand) Type() string { return Send }

// Type implements ClientCommand.
func (EditCommand) Type() string { return Edit }

// Type implements ClientCommand.
func (DeleteCommand) Type() string { return Delete }

// Type implements ClientCommand.
func (ReactCommand) Type() string { return React }

// Type implements ClientCommand.
func (HistoryCommand) Type() string { return History }

// Type implements ClientCommand.
func (TypingCommand) Type() string { return Typing }

// Type implements ClientCommand.
func (RoomsCommand) Type() string { return Rooms }

// Type implements ClientCommand.
func (MembersCommand) Type() string { return Members }

// Type implements ClientCommand.
func (RenameCommand) Type() string { return Rename }

// Type implements ClientCommand.
func (ModerateCommand) Type() string { return Moderate }

// Type implements ClientCommand.
func (PingCommand) Type() string { return Ping }

// Subject implements ClientCommand.
func (c HelloCommand) Subject() (room, key string) { return "", "" }

// Subject implements ClientCommand.
func (c JoinCommand) Subject() (room, key string) { return c.Room, "" }

// Subject implements ClientCommand.
func (c LeaveCommand) Subject() (room, key string) { return c.Room, "" }

// Subject implements ClientCommand.
func (c SendCommand) Subject() (room, key string) { return c.Room, c.Key }

// Subject implements ClientCommand.
func (c EditCommand) Subject() (room, key string) { return c.Room, c.Key }

// Subject implements ClientCommand.
func (c DeleteCommand) Subject() (room, key string) { return c.Room, c.Key }

// Subject implements ClientCommand.
func (c ReactCommand) Subject() (room, key string) { return c.Room, c.Key }

// Subject implements ClientCommand.
func (c HistoryCommand) Subject() (room, key string) { return c.Room, "" }

// Subject implements ClientCommand.
func (c TypingCommand) Subject() (room, key string) { return c.Room, "" }

// Subject implements ClientCommand.
func (c RoomsCommand) Subject() (room, key string) { return "", "" }

// Subject implements ClientCommand.
func (c MembersCommand) Subject() (room, key string) { return c.Room, "" }

// Subject implements ClientCommand.
func (c RenameCommand) Subject() (room, key string) { return "", "" }

// Subject implements ClientCommand.
func (c ModerateCommand) Subject() (room, key string) { return c.Room, "" }

// Subject implements ClientCommand.
func (c PingCommand) Subject() (room, key string) { return "", "" }

// EncodeCommand returns the command as one WebSocket frame holds it: the object of its
// fields with its name in "type" and, unless it is "", the ref. Invalid UTF-8 in its
// strings becomes U+FFFD.
func EncodeCommand(c ClientCommand, ref string) ([]byte, error) {
	body, err := json.Marshal(c, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}
	e := Event{Name: c.Type(), Body: body}
	if ref != "" {
		e = e.WithRef(AppendString(nil, ref))
	}
	return e.AppendFrame(make([]byte, 0, len(e.Body)+len(e.Name)+16)), nil
}
