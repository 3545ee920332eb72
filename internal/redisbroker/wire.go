package redisbroker

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// This file alone knows how a line is written that is published, and what the fields
// of an entry in a stream are. scripts/line.lua and scripts/room.lua are the same for
// the scripts.
//
// A line is its kind, one byte, and its fields: each is its length in bytes, a colon
// and its bytes. So a field may hold any byte, and each line has one encoding.
const (
	// lineEntries: the id of the entry before ("" for none), the headers of the entries,
	// and the JSON of each. The headers are written as fields themselves: five for each
	// entry, the values of its entryFields but the JSON.
	lineEntries = 'e'
	// linePresence: how many users are in the room, then for each user who came or
	// went "+" or "-", the id and the name.
	linePresence = 'p'
	// lineTyping: a user's id and name.
	lineTyping = 't'
	// lineDecision: a protocol.Decision as JSON.
	lineDecision = 'm'
	// lineRename: the mark, the user's id and the new name.
	lineRename = 'r'
	// lineNodes has no fields: the nodes of the cluster changed.
	lineNodes = 'n'
)

// maxLine is the largest line that is decoded: the scripts publish batches, whose
// size room.Hub bounds.
const maxLine = 4 << 20

// entryFields are the fields of an entry in a stream, in their order.
var entryFields = [...]string{"id", "author", "key", "kind", "target", "json"}

// entryWidth is how many values make an entry, and headerWidth how many of them make its
// header.
const (
	entryWidth  = len(entryFields)
	headerWidth = entryWidth - 1
)

// deliver decodes a line that was published in a room, and calls the feed. Lines of a
// kind that is not known here are dropped: a later version may publish them.
func deliver(to room.Feed, name, text string) {
	if text == "" || len(text) > maxLine {
		return
	}
	ok := true
	switch fields := text[1:]; text[0] {
	case lineEntries:
		var before protocol.ID
		var list []protocol.Entry
		if before, list, ok = decodeEntries(fields); ok {
			to.Entries(name, before, list)
		}
	case linePresence:
		var d protocol.PresenceDelta
		if d, ok = decodePresence(fields); ok {
			to.Presence(name, d)
		}
	case lineTyping:
		if u, ok := decodeTyping(fields); ok {
			to.Typing(name, u)
		}
	case lineDecision:
		if d, ok := decodeDecision(fields); ok {
			d.Room = name
			to.Moderated(d)
		}
	case '{': // an entry that names none before it
		ok = false
	}
	if !ok {
		to.Doubt(name)
	}
}

// deliverNews decodes a line that was published to the cluster, and calls the feed.
func deliverNews(to room.Feed, text string) {
	if text == "" || len(text) > maxLine {
		return
	}
	switch fields := text[1:]; text[0] {
	case lineRename:
		if mark, u, ok := decodeRename(fields); ok {
			to.Renamed(mark, u)
		}
	case lineDecision:
		if d, ok := decodeDecision(fields); ok {
			d.Room = ""
			to.Moderated(d)
		}
	}
}

// appendField appends a field of a line.
func appendField(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

// reader reads the fields of a line. After the last one, or one that is none, bad is
// set.
type reader struct {
	rest string
	bad  bool
}

// next returns the next field, which shares the line's memory.
func (r *reader) next() string {
	const digits = 7 // of maxLine
	n, i := 0, 0
	for i < len(r.rest) && i < digits && '0' <= r.rest[i] && r.rest[i] <= '9' {
		n = 10*n + int(r.rest[i]-'0')
		i++
	}
	if i == 0 || i > 1 && r.rest[0] == '0' || i == len(r.rest) || r.rest[i] != ':' || n > len(r.rest)-i-1 {
		r.bad = true
		return ""
	}
	field := r.rest[i+1 : i+1+n]
	r.rest = r.rest[i+1+n:]
	return field
}

// done reports whether there are no more fields, and all were good.
func (r *reader) done() bool { return !r.bad && r.rest == "" }

func encodeEntries(before protocol.ID, list []protocol.Entry) string {
	var headers []byte
	for _, e := range list {
		for _, field := range [headerWidth]string{e.ID.String(), e.Author, e.Key, e.Kind, idText(e.Target)} {
			headers = appendField(headers, field)
		}
	}
	b := appendField([]byte{lineEntries}, idText(before))
	b = appendField(b, string(headers))
	for _, e := range list {
		b = appendField(b, string(e.Raw))
	}
	return string(b)
}

// idText is an id as a field: "" for zero.
func idText(id protocol.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// parseID is the inverse of idText.
func parseID(s string) (protocol.ID, bool) {
	if s == "" {
		return protocol.ID{}, true
	}
	id, err := protocol.ParseID(s) // takes one form of each id
	return id, err == nil && !id.IsZero()
}

// usualHeader is about how long the header of a message is.
const usualHeader = 64

// decodeEntries reads the fields of lineEntries, of which there is at least one entry.
// The entries may be kept for long: they share memory with each other, but not with the
// line.
func decodeEntries(fields string) (before protocol.ID, list []protocol.Entry, ok bool) {
	r := reader{rest: fields}
	if before, ok = parseID(r.next()); !ok || r.bad {
		return before, nil, false
	}
	headers := reader{rest: strings.Clone(r.next())}
	bodies := []byte(r.rest)
	list = make([]protocol.Entry, 0, 1+len(headers.rest)/usualHeader)
	for more := true; more; more = headers.rest != "" {
		id, author, key, kind, target := headers.next(), headers.next(), headers.next(), headers.next(), headers.next()
		n := len(r.next())
		end := len(bodies) - len(r.rest)
		if headers.bad || r.bad {
			return before, nil, false
		}
		e := protocol.Entry{Author: author, Key: key, Kind: kind, Raw: bodies[end-n : end : end]}
		var ok1, ok2 bool
		e.ID, ok1 = parseID(id)
		e.Target, ok2 = parseID(target)
		if !ok1 || !ok2 || e.ID.IsZero() || !isObject(e.Raw) {
			return before, nil, false
		}
		list = append(list, e)
	}
	return before, list, r.done()
}

// isObject reports whether raw is a JSON object with a member, and nothing around it:
// frames are made of it as it is.
func isObject(raw []byte) bool {
	n := len(raw)
	return n > 2 && raw[0] == '{' && raw[1] == '"' && raw[n-1] == '}' && jsontext.Value(raw).IsValid()
}

// DecodeLine decodes a line of a live channel that holds entries, for tools and tests
// that listen from outside; ok is false for other lines.
func DecodeLine(text string) (before protocol.ID, list []protocol.Entry, ok bool) {
	if text == "" || text[0] != lineEntries {
		return before, nil, false
	}
	return decodeEntries(text[1:])
}

// entry makes an entry of the values of its fields, as scripts/read.lua returns them.
func entry(row []string) (protocol.Entry, error) {
	id, err := protocol.ParseID(row[0])
	if err != nil {
		return protocol.Entry{}, errReply
	}
	target, _ := parseID(row[4]) // zero where somebody has written another one by hand
	return protocol.Entry{ID: id, Author: row[1], Key: row[2], Kind: row[3], Target: target, Raw: []byte(row[5])}, nil
}

// DecodeEntry decodes an entry of a room's stream, for tools and tests that read it from
// outside; ok is false where it is not one of ours.
func DecodeEntry(x redis.XMessage) (e protocol.Entry, ok bool) {
	row := make([]string, entryWidth)
	for i, name := range entryFields {
		if row[i], ok = x.Values[name].(string); !ok {
			return e, false
		}
	}
	if len(x.Values) != entryWidth || row[0] != x.ID {
		return e, false
	}
	e, err := entry(row)
	return e, err == nil
}

func encodePresence(d protocol.PresenceDelta) string {
	b := appendField([]byte{linePresence}, strconv.Itoa(d.Count))
	for sign, users := range [2][]protocol.User{d.Joined, d.Left} {
		for _, u := range users {
			b = appendField(b, "+-"[sign:sign+1])
			b = appendField(b, u.ID)
			b = appendField(b, u.Name)
		}
	}
	return string(b)
}

// decodePresence reads the fields of linePresence: those who came stand before those
// who went.
func decodePresence(fields string) (d protocol.PresenceDelta, ok bool) {
	r := reader{rest: strings.Clone(fields)} // names are kept for long
	count := r.next()
	var err error
	if d.Count, err = strconv.Atoi(count); err != nil || strconv.Itoa(d.Count) != count {
		return d, false
	}
	for r.rest != "" && !r.bad {
		sign, u := r.next(), protocol.User{ID: r.next(), Name: r.next()}
		switch {
		case u.ID == "":
			return d, false
		case sign == "+" && len(d.Left) == 0:
			d.Joined = append(d.Joined, u)
		case sign == "-":
			d.Left = append(d.Left, u)
		default:
			return d, false
		}
	}
	return d, r.done()
}

func encodeTyping(u protocol.User) string {
	return string(appendField(appendField([]byte{lineTyping}, u.ID), u.Name))
}

func decodeTyping(fields string) (u protocol.User, ok bool) {
	r := reader{rest: fields}
	u.ID, u.Name = r.next(), r.next()
	return u, r.done() && u.ID != ""
}

func encodeRename(mark string, u protocol.User) string {
	b := appendField([]byte{lineRename}, mark)
	return string(appendField(appendField(b, u.ID), u.Name))
}

func decodeRename(fields string) (mark string, u protocol.User, ok bool) {
	r := reader{rest: strings.Clone(fields)} // the name is kept for long
	mark, u.ID, u.Name = r.next(), r.next(), r.next()
	return mark, u, r.done() && u.ID != ""
}

func encodeDecision(d protocol.Decision) (string, error) {
	text, err := json.Marshal(d)
	return string(appendField([]byte{lineDecision}, string(text))), err
}

func decodeDecision(fields string) (d protocol.Decision, ok bool) {
	r := reader{rest: fields}
	text := r.next()
	return d, r.done() && json.Unmarshal([]byte(text), &d) == nil
}
