package client

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/protocol"
)

// Command is what a client says to a node; only the fields that its type has
// are set.
type Command struct {
	Type   string `json:"type"`
	Ref    string `json:"ref,omitzero"`
	Room   string `json:"room,omitzero"`
	After  string `json:"after,omitzero"`
	Before string `json:"before,omitzero"`
	Limit  int    `json:"limit,omitzero"`
	Name   string `json:"name,omitzero"`
	Token  string `json:"token,omitzero"`
	Auth   string `json:"auth,omitzero"`
	// Join is what hello joins: each room with the last id seen, or "".
	Join    map[string]string `json:"join,omitempty"`
	Text    string            `json:"text,omitzero"`
	Key     string            `json:"key,omitzero"`
	Target  string            `json:"target,omitzero"`
	Emoji   string            `json:"emoji,omitzero"`
	On      *bool             `json:"on,omitzero"` // react must say it
	Action  string            `json:"action,omitzero"`
	User    string            `json:"user,omitzero"`
	Seconds int64             `json:"seconds,omitzero"`
	Reason  string            `json:"reason,omitzero"`
}

// Event is one reply or event of a node.
type Event struct {
	// Type is its name.
	Type string
	// Raw is the whole frame, as it came.
	Raw []byte

	ref string // of the command that it answers; "" for none
}

// Decode reads the event's fields into one of this package's structs.
func (e Event) Decode(into any) error {
	if err := json.Unmarshal(e.Raw, into); err != nil {
		return fmt.Errorf("read the event %q: %w", e.Type, err)
	}
	return nil
}

// Refused returns the error that the event is; nil for every other event.
func (e Event) Refused() *protocol.Error {
	if e.Type != "error" {
		return nil
	}
	var w ErrorEvent
	if err := e.Decode(&w); err != nil || w.Code == "" {
		return protocol.Errorf(protocol.CodeInternal, "the node answered an error that can't be read")
	}
	return &protocol.Error{Code: w.Code, Message: w.Message, Room: w.Room, Key: w.Key, RetryAfter: w.RetryAfter}
}

// Welcome is the reply to hello.
type Welcome = protocol.Welcomed

// Joined is the reply to join.
type Joined struct {
	Room string `json:"room"`
	// Head is the id of the room's newest entry, "0-0" where it has none: a
	// cursor either way.
	Head string `json:"head"`
	// Recovered tells that Messages are the entries after the cursor, and not
	// the newest messages as they stand.
	Recovered bool             `json:"recovered"`
	Messages  []jsontext.Value `json:"messages"`
	// More tells that the rest of them follows, each as an event "message".
	More    bool            `json:"more"`
	Members []protocol.User `json:"members"`
	Count   int             `json:"count"`
}

// History is the reply to history.
type History struct {
	Room     string           `json:"room"`
	Messages []jsontext.Value `json:"messages"`
	More     bool             `json:"more"`
}

// Sent is the reply to send: the message is in the room's log.
type Sent struct {
	Room string `json:"room"`
	Key  string `json:"key"`
	// ID is "" where the key had been accepted before and the log no longer
	// holds its entry.
	ID        string `json:"id"`
	Time      int64  `json:"time"`
	Duplicate bool   `json:"duplicate"`
}

// Entry is one entry of a room's log.
type Entry struct {
	ID   string        `json:"id"`
	Room string        `json:"room"`
	Key  string        `json:"key"`
	User protocol.User `json:"user"`
	Text string        `json:"text"`
	// Time is in milliseconds since the epoch.
	Time int64 `json:"time"`
	// Node is the id of the node that accepted it.
	Node string `json:"node"`
	// Kind is "" for a message, else "edit", "delete" or "react".
	Kind   string `json:"kind"`
	Target string `json:"target"`
	Emoji  string `json:"emoji"`
	On     bool   `json:"on"`
	// Count is how many users have put the emoji after a reaction.
	Count int `json:"count"`
	// Edited and Reactions are what a message as it stands has: when its text
	// was changed last (ms; 0 for never), and how users reacted to it.
	Edited    int64      `json:"edited"`
	Reactions []Reaction `json:"reactions"`

	// At is ID, read.
	At protocol.ID `json:"-"`
	// Raw is the entry's JSON object in one line, without "type".
	Raw jsontext.Value `json:"-"`
}

// Reaction is one emoji on a message as it stands.
type Reaction struct {
	Emoji string `json:"emoji"`
	Count int    `json:"count"`
	// Users are the ids of some of those who reacted so.
	Users []string `json:"users"`
}

// Presence tells who came to a room and who went.
type Presence struct {
	Room   string          `json:"room"`
	Joined []protocol.User `json:"joined"`
	Left   []protocol.User `json:"left"`
	Count  int             `json:"count"`
}

// Nodes tells that the cluster changed.
type Nodes struct {
	Nodes []protocol.Node `json:"nodes"`
}

// Status tells that the node lost or regained Redis: Broker is "up" or "down".
type Status struct {
	Broker string `json:"broker"`
	// Nodes are those that reach Redis, where this one has been down for a while.
	Nodes []protocol.Node `json:"nodes"`
}

// Reset tells that a room's log is no longer the one that was followed.
type Reset struct {
	Room string `json:"room"`
	Head string `json:"head"`
}

// ErrorEvent is a refused command.
type ErrorEvent struct {
	Code       protocol.Code `json:"code"`
	Message    string        `json:"message"`
	Room       string        `json:"room"`
	Key        string        `json:"key"`
	RetryAfter int64         `json:"retry_after"`
}

// decodeEvent reads a frame's name and ref.
func decodeEvent(frame []byte) (Event, error) {
	var head struct {
		Type string         `json:"type"`
		Ref  jsontext.Value `json:"ref"`
	}
	if err := json.Unmarshal(frame, &head); err != nil {
		return Event{}, fmt.Errorf("the node sent what is no event: %w", err)
	}
	if head.Type == "" {
		return Event{}, fmt.Errorf("the node sent an event without a type")
	}
	e := Event{Type: head.Type, Raw: frame}
	if head.Ref.Kind() == '"' {
		_ = json.Unmarshal(head.Ref, &e.ref)
	}
	return e, nil
}

// decodeEntry reads an entry, which may be a whole event "message".
func decodeEntry(raw []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return Entry{}, fmt.Errorf("the node sent what is no entry: %w", err)
	}
	at, err := protocol.ParseID(e.ID)
	if err != nil || at.IsZero() {
		return Entry{}, fmt.Errorf("the node sent an entry with the id %q", e.ID)
	}
	e.At, e.Raw = at, withoutType(raw)
	return e, nil
}

func decodeEntries(raws []jsontext.Value) ([]Entry, error) {
	list := make([]Entry, len(raws))
	for i, raw := range raws {
		var err error
		if list[i], err = decodeEntry(raw); err != nil {
			return nil, err
		}
		if i > 0 && list[i].At.Seq <= list[i-1].At.Seq {
			return nil, fmt.Errorf("the node sent entry %s after %s", list[i].ID, list[i-1].ID)
		}
	}
	return list, nil
}

// typeFirst is how nodes write the event "message".
var typeFirst = []byte(`{"type":"message",`)

// withoutType returns a valid JSON object in one line, without its "type".
func withoutType(raw []byte) jsontext.Value {
	var v jsontext.Value
	if rest, ok := bytes.CutPrefix(raw, typeFirst); ok {
		v = append(append(make(jsontext.Value, 0, len(rest)+1), '{'), rest...)
	} else {
		v = append(v, removeType(raw)...)
	}
	if err := v.Compact(); err != nil {
		return raw // can't be: it was decoded before
	}
	return v
}

// removeType drops the member "type" wherever it stands, and keeps the rest as
// it was written.
func removeType(raw []byte) []byte {
	in := jsontext.NewDecoder(bytes.NewReader(raw))
	out := []byte{'{'}
	if _, err := in.ReadToken(); err != nil {
		return raw
	}
	for in.PeekKind() == '"' {
		name, err := in.ReadValue()
		if err != nil {
			return raw
		}
		name = name.Clone()
		value, err := in.ReadValue()
		if err != nil {
			return raw
		}
		if string(name) == `"type"` {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}')
}
