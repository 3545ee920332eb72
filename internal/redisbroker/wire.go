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

// The first byte of a published line is its kind. What a log took is published as
// the id of the entry before, and the new entries, a line each.
const (
	lineEntries  = 'e'
	linePresence = 'p'
	lineTyping   = 't'
	lineDecision = 'm'
	lineRename   = 'r'
)

// maxLine is the largest line that is decoded: the scripts publish batches, whose
// size room.Hub bounds.
const maxLine = 4 << 20

// deliver decodes what was published in a room and hands it to the feed.
func deliver(to room.Feed, name, line string) {
	if line == "" || len(line) > maxLine {
		return
	}
	ok := true
	switch rest := line[1:]; line[0] {
	case lineEntries:
		var before protocol.ID
		var list []protocol.Entry
		if before, list, ok = decodeEntries(rest); ok {
			to.Entries(name, before, list)
		}
	case linePresence:
		var d protocol.PresenceDelta
		if d, ok = decodePresence(rest); ok {
			to.Presence(name, d)
		}
	case lineTyping:
		var u protocol.User
		if json.Unmarshal([]byte(rest), &u) == nil && u.ID != "" {
			to.Typing(name, u)
		}
	case lineDecision:
		var d protocol.Decision
		if json.Unmarshal([]byte(rest), &d) == nil {
			d.Room = name
			to.Moderated(d)
		}
	case '{':
		ok = false
	}
	if !ok {
		to.Doubt(name)
	}
}

// deliverNews decodes what was published to the cluster and hands it to the feed.
func deliverNews(to room.Feed, line string) {
	if line == "" || len(line) > maxLine {
		return
	}
	switch rest := line[1:]; line[0] {
	case lineRename:
		if parts := strings.SplitN(rest, "\n", 3); len(parts) == 3 {
			to.Renamed(parts[0], protocol.User{ID: parts[1], Name: parts[2]})
		}
	case lineDecision:
		var d protocol.Decision
		if json.Unmarshal([]byte(rest), &d) == nil {
			d.Room = ""
			to.Moderated(d)
		}
	}
}

func decodeEntries(rest string) (before protocol.ID, list []protocol.Entry, ok bool) {
	first, rest, ok := strings.Cut(rest, "\n")
	if !ok {
		return before, nil, false
	}
	if first != "" {
		var err error
		if before, err = protocol.ParseID(first); err != nil {
			return before, nil, false
		}
	}
	for line := range strings.SplitSeq(rest, "\n") {
		raw := []byte(line)
		id, ok := protocol.EntryID(raw)
		if !ok || !jsontext.Value(raw).IsValid() {
			return before, nil, false
		}
		list = append(list, decodeEntry(id, raw))
	}
	return before, list, true
}

// decodeEntry makes an entry of its JSON.
func decodeEntry(id protocol.ID, raw []byte) protocol.Entry {
	e := protocol.Entry{ID: id, Raw: raw}
	var fields struct {
		Key    string        `json:"key"`
		User   protocol.User `json:"user"`
		Kind   string        `json:"kind"`
		Target string        `json:"target"`
	}
	if json.Unmarshal(raw, &fields) == nil {
		e.Author, e.Key, e.Kind = fields.User.ID, fields.Key, fields.Kind
		e.Target, _ = protocol.ParseID(fields.Target) // zero for a message
	}
	return e
}

// decodePresence reads the count, and a line for each user: "+" or "-", the id, a
// space and the name.
func decodePresence(rest string) (d protocol.PresenceDelta, ok bool) {
	first, rest, _ := strings.Cut(rest, "\n")
	var err error
	if d.Count, err = strconv.Atoi(first); err != nil {
		return d, false
	}
	for line := range strings.Lines(rest) {
		id, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || len(id) < 2 {
			return d, false
		}
		u := protocol.User{ID: id[1:], Name: name}
		switch id[0] {
		case '+':
			d.Joined = append(d.Joined, u)
		case '-':
			d.Left = append(d.Left, u)
		default:
			return d, false
		}
	}
	return d, true
}

// DecodeEntry decodes an entry of a room's stream, for tools and tests that read it from
// outside; ok is false where it is not one of ours.
func DecodeEntry(x redis.XMessage) (e protocol.Entry, ok bool) {
	m, _ := x.Values["m"].(string)
	id, ok := protocol.EntryID([]byte(m))
	if !ok || id.String() != x.ID {
		return e, false
	}
	return decodeEntry(id, []byte(m)), true
}
