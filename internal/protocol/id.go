package protocol

import (
	"errors"
	"strconv"
	"strings"
)

// ID names one entry of a room's log: the room's clock in milliseconds and a
// sequence number that grows by exactly 1 with every entry, the first being 1.
// It is also the entry's id in the room's Redis Stream. The zero ID stands for
// "no entry" and is written as the empty string.
type ID struct {
	MS  int64
	Seq int64
}

// errID is what ParseID answers to all that is no id.
var errID = errors.New("not an id: want \"<ms>-<seq>\"")

// maxIDDigits keeps both halves of an id within what JavaScript and Lua hold
// exactly (2^53 has 16 digits).
const maxIDDigits = 15

// ParseID reads "<ms>-<seq>" in its one canonical form: decimal digits without
// sign or leading zeros.
func ParseID(s string) (ID, error) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		return ID{}, errID
	}
	m, ok1 := parseHalf(ms)
	n, ok2 := parseHalf(seq)
	if !ok1 || !ok2 {
		return ID{}, errID
	}
	return ID{MS: m, Seq: n}, nil
}

func parseHalf(s string) (int64, bool) {
	if s == "" || len(s) > maxIDDigits || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// String writes the id as it stands on the wire; "" for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	b := make([]byte, 0, 32)
	b = strconv.AppendInt(b, id.MS, 10)
	b = append(b, '-')
	return string(strconv.AppendInt(b, id.Seq, 10))
}

// IsZero reports whether id names no entry.
func (id ID) IsZero() bool { return id == ID{} }

// Head writes id as the newest entry of a log: "0-0" for the zero ID, since the
// place before a log's first entry is a good cursor.
func (id ID) Head() string {
	if id.IsZero() {
		return "0-0"
	}
	return id.String()
}

// Cursor is the place in a room's log that a client has reached. The zero Cursor
// is none: the client has no place. At the zero ID, written "0-0", it stands
// before the first entry.
type Cursor struct {
	ID ID
	// Given tells whether there is a cursor.
	Given bool
}

// At returns the cursor at an entry, or at the beginning for the zero ID.
func At(id ID) Cursor { return Cursor{ID: id, Given: true} }

// ParseCursor reads what a client gives for a cursor: "" is none, else it is an
// id or "0-0".
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	id, err := ParseID(s)
	if err != nil {
		return Cursor{}, err
	}
	return At(id), nil
}
