package protocol

import (
	"strconv"
)

// Entry is one entry of a room's log.
type Entry struct {
	ID ID
	// Author is the id of the user who wrote it, and Key that user's key for it.
	Author, Key string
	// Kind is "" for a message, else Edit, Delete or React, of the message Target.
	Kind   string
	Target ID
	// Raw is its final JSON, with the fields of the event "message"; immutable.
	Raw []byte
}

// IsMessage reports whether the entry is a message, and not a change of one.
func (e Entry) IsMessage() bool { return e.Kind != Edit && e.Kind != Delete && e.Kind != React }

// Event returns the event "message" of the entry.
func (e Entry) Event() Event { return Event{Name: MessageName, Body: e.Raw} }

// Draft is an entry before a room's log accepts it and gives it id, room and time.
type Draft struct {
	// User is the id of the author, and Key that user's key for the entry.
	User, Key string
	// Kind is "" for a message, else Edit, Delete or React, of the message Target.
	Kind   string
	Target ID
	// Moderator allows a target of another author.
	Moderator bool
	// Text is the new text of an Edit, a JSON string.
	Text []byte
	// Emoji and On are those of a React.
	Emoji string
	On    bool
	// Tail is the rest of the entry's JSON object, made by Message or Change: from the
	// key and the user to the closing brace.
	Tail []byte
}

// Receipt is a log's answer to a Draft.
type Receipt struct {
	// ID is zero if the key was accepted before and the log no longer holds its entry.
	ID ID
	// Time is when the key was first accepted, in milliseconds since the epoch.
	Time int64
	// Duplicate reports that the key had been accepted before.
	Duplicate bool
	// Refused is why the log did not accept the draft; nil if it did. It is shared, and
	// must not be changed.
	Refused *Error
}

// Refusals of edits, deletions and reactions.
var (
	// ErrTargetGone: the target is no message of the log.
	ErrTargetGone = Errorf(CodeNotFound, "the message is not there, or not any more")
	// ErrNotAuthor: the target has another author.
	ErrNotAuthor = Errorf(CodeForbidden, "only its author or a moderator may do that")
	// ErrTooManyEdits: the target was edited MaxEdits times.
	ErrTooManyEdits = Errorf(CodeForbidden, "the message was edited %d times and can't be edited again: write a new one", MaxEdits)
	// ErrTooManyKinds: the target has MaxReactionKinds emoji.
	ErrTooManyKinds = Errorf(CodeForbidden, "the message has %d kinds of reaction: use one of them", MaxReactionKinds)
	// ErrTooManyReactions: the target has MaxReactions, or the room's messages have
	// MaxRoomReactions.
	ErrTooManyReactions = Errorf(CodeForbidden, "the message or the room has as many reactions as are allowed")
)

// Message returns the draft of a message that the user sends through the named node.
func Message(u User, key, text, node string) Draft {
	b := appendAuthor(make([]byte, 0, len(text)+len(key)+len(u.ID)+len(u.Name)+len(node)+64), u, key)
	b = append(b, `,"text":`...)
	b = AppendString(b, text)
	return Draft{User: u.ID, Key: key, Tail: appendNode(b, node)}
}

// Change returns the draft of an Edit, Delete or React command.
func (c Command) Change(u User, node string, moderator bool) Draft {
	b := appendAuthor(make([]byte, 0, len(c.Text)+len(c.Key)+len(u.ID)+len(u.Name)+len(node)+128), u, c.Key)
	b = append(b, `,"kind":"`...)
	b = append(b, c.Type...)
	b = append(b, `","target":"`...)
	b = append(b, c.Target.String()...)
	b = append(b, '"')
	var text []byte
	switch c.Type {
	case Edit:
		text = AppendString(nil, c.Text)
		b = append(b, `,"text":`...)
		b = append(b, text...)
	case React:
		b = append(b, `,"emoji":`...)
		b = AppendString(b, c.Emoji)
		b = append(b, `,"on":`...)
		b = strconv.AppendBool(b, c.On)
	}
	return Draft{
		User: u.ID, Key: c.Key, Kind: c.Type, Target: c.Target, Moderator: moderator,
		Text: text, Emoji: c.Emoji, On: c.On, Tail: appendNode(b, node),
	}
}

func appendAuthor(b []byte, u User, key string) []byte {
	b = append(b, `"key":`...)
	b = AppendString(b, key)
	b = append(b, `,"user":{"id":`...)
	b = AppendString(b, u.ID)
	b = append(b, `,"name":`...)
	b = AppendString(b, u.Name)
	return append(b, '}')
}

func appendNode(b []byte, node string) []byte {
	b = append(b, `,"node":`...)
	return append(AppendString(b, node), '}')
}

// entryStart is the start of the JSON of every entry.
const entryStart = `{"id":"`

// Entry returns the entry that a log makes of the draft. count is how many users have
// put the emoji after a React, and unused otherwise.
func (d Draft) Entry(id ID, room string, count int) Entry {
	b := make([]byte, 0, len(entryStart)+len(room)+len(d.Tail)+64)
	b = append(b, entryStart...)
	b = append(b, id.String()...)
	b = append(b, `","room":"`...)
	b = append(b, room...)
	b = append(b, `","time":`...)
	b = strconv.AppendInt(b, id.MS, 10)
	if d.Kind == React {
		b = append(b, `,"count":`...)
		b = strconv.AppendInt(b, int64(count), 10)
	}
	b = append(b, ',')
	return Entry{ID: id, Author: d.User, Key: d.Key, Kind: d.Kind, Target: d.Target, Raw: append(b, d.Tail...)}
}
