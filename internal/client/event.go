package client

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/protocol"
)

// Event is one reply or event of a node.
type Event struct {
	// Type is its name.
	Type string
	// Raw is the whole frame.
	Raw []byte

	ref string // of the command that it answers; "" for none
}

// Decode reads the event's fields into one of the protocol's structs.
func (e Event) Decode(into any) error {
	if err := json.Unmarshal(e.Raw, into); err != nil {
		return fmt.Errorf("read the event %q: %w", e.Type, err)
	}
	return nil
}

// Refused returns the error if the event is one; else nil.
func (e Event) Refused() *protocol.Error {
	if e.Type != protocol.ErrorName {
		return nil
	}
	var w protocol.ErrorEvent
	if err := e.Decode(&w); err != nil || w.Code == "" {
		return protocol.Errorf(protocol.CodeInternal, "the node answered an error that can't be read")
	}
	return w.Error()
}

// Entry is one entry of a room's log.
type Entry struct {
	protocol.MessageEvent

	// At is ID, parsed.
	At protocol.ID `json:"-"`
	// Raw is the entry's JSON object in one line, without "type".
	Raw jsontext.Value `json:"-"`
}

// decodeEvent decodes the name and ref of a frame.
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

// decodeEntry decodes an entry or a whole event "message".
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

// typeFirst is the beginning of an event "message" as nodes write it.
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
		return raw // can't happen: raw was decoded before
	}
	return v
}

// removeType removes the member "type", and keeps the others as they were written.
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
