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
	// Kind is "" for a message, else Edit, Delete or React, of the message Target.
	Kind   string
	Target ID
	// Moderator tells that the target may be another's.
	Moderator bool
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
	// Refused is why the log did not take it: CodeNotFound or CodeForbidden,
	// about its target; "" when it did.
	Refused Code
}

// Message drafts a message that the user says through the named node.
func Message(u User, key, text, node string) Draft {
	b := appendAuthor(make([]byte, 0, len(text)+len(key)+len(u.ID)+len(u.Name)+len(node)+64), u, key)
	b = append(b, `,"text":`...)
	b = AppendString(b, text)
	return Draft{User: u.ID, Key: key, Tail: appendNode(b, node)}
}

// Change drafts what a command of the kind Edit, Delete or React asks for. Its
// kind and target stand right behind the user, where Entry.Kind and the log find
// them.
func (c Command) Change(u User, node string, moderator bool) Draft {
	b := appendAuthor(make([]byte, 0, len(c.Text)+len(c.Key)+len(u.ID)+len(u.Name)+len(node)+128), u, c.Key)
	b = append(b, kindStart[1:]...)
	b = append(b, c.Type...)
	b = append(b, targetStart...)
	b = append(b, c.Target.String()...)
	b = append(b, '"')
	switch c.Type {
	case Edit:
		b = append(b, `,"text":`...)
		b = AppendString(b, c.Text)
	case React:
		b = append(b, `,"emoji":`...)
		b = AppendString(b, c.Emoji)
		b = append(b, `,"on":`...)
		b = strconv.AppendBool(b, c.On)
	}
	return Draft{
		User: u.ID, Key: c.Key, Kind: c.Type, Target: c.Target, Moderator: moderator,
		Tail: appendNode(b, node),
	}
}

// keyWithin is where the key of an entry begins at the latest: only its id, room
// and time are before it, and none of them can hold keyStart.
const (
	keyWithin = 256
	keyStart  = `,"key":"`
)

// Key is the key under which an entry was said; nil for none, and for one with
// characters that JSON escapes.
func (e Entry) Key() []byte {
	at := bytes.Index(e.Raw[:min(len(e.Raw), keyWithin)], []byte(keyStart))
	if at < 0 {
		return nil
	}
	rest := e.Raw[at+len(keyStart):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 || bytes.IndexByte(rest[:end], '\\') >= 0 {
		return nil
	}
	return rest[:end]
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

// What stands between an entry's user and the id of its target. Texts and names
// can't hold it: there quotes are escaped.
const (
	kindStart   = `},"kind":"`
	targetStart = `","target":"`
)

// Change reads the kind of an entry and its target; "" for a message.
func (e Entry) Change() (kind string, target ID) {
	_, rest, ok := bytes.Cut(e.Raw, []byte(kindStart))
	if !ok {
		return "", ID{}
	}
	name, rest, _ := bytes.Cut(rest, []byte(`"`))
	kind = string(name)
	if rest, ok = bytes.CutPrefix(rest, []byte(targetStart[1:])); ok {
		id, _, _ := bytes.Cut(rest, []byte(`"`))
		target, _ = ParseID(string(id)) // zero where another version has none
	}
	return kind, target
}

// Owner is the part of an entry's JSON that tells that it is this user's.
func (d Draft) Owner() []byte {
	return append(AppendString([]byte(`,"user":{"id":`), d.User), ',')
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
