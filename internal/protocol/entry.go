package protocol

import (
	"bytes"
	"strconv"
)

// Entry is one entry of a room's log.
type Entry struct {
	ID ID
	// Raw is its final JSON, the fields of the event "message"; never changed.
	Raw []byte
}

// Event returns the entry as the event that members get.
func (e Entry) Event() Event { return Event{Name: "message", Body: e.Raw} }

// Draft is what a room's log is asked to take: an entry without id, room and
// time, which the log gives.
type Draft struct {
	// User is the id of who says it, and Key that user's key for it.
	User, Key string
	// Tail is the rest of the entry's JSON object, made by Message: it begins
	// with the key and the user, by which the log finds an entry again, and
	// ends with the closing brace.
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
}

// Message drafts a message that the user says through the named node.
func Message(u User, key, text, node string) Draft {
	b := make([]byte, 0, len(text)+len(key)+len(u.ID)+len(u.Name)+len(node)+64)
	b = append(b, `"key":`...)
	b = AppendString(b, key)
	b = append(b, `,"user":{"id":`...)
	b = AppendString(b, u.ID)
	b = append(b, `,"name":`...)
	b = AppendString(b, u.Name)
	b = append(b, `},"text":`...)
	b = AppendString(b, text)
	b = append(b, `,"node":`...)
	b = AppendString(b, node)
	return Draft{User: u.ID, Key: key, Tail: append(b, '}')}
}

// Mark is the part of an entry's JSON by which it is known to be the one that
// this user said under this key. Text can't forge it: there its quotes are
// escaped.
func (d Draft) Mark() []byte {
	b := append([]byte(nil), `"key":`...)
	b = AppendString(b, d.Key)
	b = append(b, `,"user":{"id":`...)
	b = AppendString(b, d.User)
	return append(b, ',')
}

// entryStart is how the JSON of every entry begins.
const entryStart = `{"id":"`

// EntryID reads the id in front of an entry's JSON, and nothing of the rest.
func EntryID(raw []byte) (ID, bool) {
	rest, ok := bytes.CutPrefix(raw, []byte(entryStart))
	if !ok {
		return ID{}, false
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 || end > 2*maxIDDigits+1 {
		return ID{}, false
	}
	id, err := ParseID(string(rest[:end]))
	return id, err == nil
}

// AppendEntry appends the JSON of an entry: what a log makes of a draft's tail.
func AppendEntry(b []byte, id ID, room string, tail []byte) []byte {
	b = append(b, entryStart...)
	b = append(b, id.String()...)
	b = append(b, `","room":"`...)
	b = append(b, room...)
	b = append(b, `","time":`...)
	b = strconv.AppendInt(b, id.MS, 10)
	b = append(b, ',')
	return append(b, tail...)
}
