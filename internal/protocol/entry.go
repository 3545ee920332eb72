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
	// Raw is its final JSON, the fields of the event "message"; never changed.
	Raw []byte
}

// IsMessage reports whether the entry is a message, and not a change of one.
func (e Entry) IsMessage() bool { return e.Kind != Edit && e.Kind != Delete && e.Kind != React }

// Event returns the entry as the event that members get.
func (e Entry) Event() Event { return Event{Name: MessageName, Body: e.Raw} }

// Draft is what a room's log is asked to take: an entry without id, room and
// time, which the log gives.
type Draft struct {
	// User is the id of who says it, and Key that user's key for it.
	User, Key string
	// Kind is "" for a message, else Edit, Delete or React, of the message Target.
	Kind   string
	Target ID
	// Moderator tells that the target may be another's.
	Moderator bool
	// Text is what an Edit puts in place of the text, a JSON string.
	Text []byte
	// Emoji and On are those of a React.
	Emoji string
	On    bool
	// Tail is the rest of the entry's JSON object, made by Message or Change: it
	// begins with the key and the user, and ends with the closing brace.
	Tail []byte
}

// Receipt is a log's answer to a Draft that is now, or was already, in it.
type Receipt struct {
	// ID is zero where the key was accepted before and the log no longer holds
	// its entry.
	ID ID
	// Time is when it was accepted first, in milliseconds since the epoch.
	Time int64
	// Duplicate tells that the key had been accepted before.
	Duplicate bool
	// Refused is why the log did not take it: a shared error, never changed; nil
	// when it did.
	Refused *Error
}

// Why a log does not take an edit, a deletion or a reaction.
var (
	// ErrTargetGone is answered where the target is no message of the log.
	ErrTargetGone = Errorf(CodeNotFound, "the message is not there, or not any more")
	// ErrNotAuthor is answered where the target is another's.
	ErrNotAuthor = Errorf(CodeForbidden, "only its author or a moderator may do that")
	// ErrTooManyEdits is answered where the target was edited MaxEdits times.
	ErrTooManyEdits = Errorf(CodeForbidden, "the message was edited %d times and can't be edited again: write a new one", MaxEdits)
	// ErrTooManyKinds is answered where the target has MaxReactionKinds emoji.
	ErrTooManyKinds = Errorf(CodeForbidden, "the message has %d kinds of reaction: use one of them", MaxReactionKinds)
	// ErrTooManyReactions is answered where the target has MaxReactions, or the
	// room's messages have MaxRoomReactions.
	ErrTooManyReactions = Errorf(CodeForbidden, "there are as many reactions as the message or the room may have")
)

// Message drafts a message that the user says through the named node.
func Message(u User, key, text, node string) Draft {
	b := appendAuthor(make([]byte, 0, len(text)+len(key)+len(u.ID)+len(u.Name)+len(node)+64), u, key)
	b = append(b, `,"text":`...)
	b = AppendString(b, text)
	return Draft{User: u.ID, Key: key, Tail: appendNode(b, node)}
}

// Change drafts what a command of the kind Edit, Delete or React asks for.
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

// entryStart is how the JSON of every entry begins.
const entryStart = `{"id":"`

// Entry returns what a log makes of the draft. count is how many users have put the
// emoji after a React, and unused else.
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
