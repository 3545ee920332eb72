package protocol

import (
	"errors"
	"strconv"
	"strings"
)

// ID identifies an entry of a room's log: the room's clock in milliseconds, and a
// sequence number that grows by exactly 1 with every entry, from 1. It is also the
// entry's id in the Redis Stream. The zero ID means "no entry" and is written as the
// empty string.
type ID struct {
	MS  int64
	Seq int64
}

// errID is ParseID's error.
var errID = errors.New("not an id: want \"<ms>-<seq>\"")

// maxIDDigits keeps both parts of an id within the exact integers of JavaScript and Lua
// (2^53 has 16 digits).
const maxIDDigits = 15

// ParseID parses "<ms>-<seq>" in its canonical form: decimal digits without sign or
// leading zeros.
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

// String returns the id in its canonical form; "" for the zero ID.
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

// Head returns id as the head of a log: "0-0" for the zero ID, which is a cursor before
// the first entry.
func (id ID) Head() string {
	if id.IsZero() {
		return "0-0"
	}
	return id.String()
}

// Cursor is the place in a room's log up to which a client has received entries. The
// zero Cursor is no place. A Cursor at the zero ID, written "0-0", is before the first
// entry.
type Cursor struct {
	ID ID
	// Given reports whether there is a cursor.
	Given bool
}

// At returns the cursor at an entry, or before the first entry for the zero ID.
func At(id ID) Cursor { return Cursor{ID: id, Given: true} }

// ParseCursor parses a client's cursor: "" for none, else an id or "0-0".
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
