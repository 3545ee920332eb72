package protocol

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxNamed bounds, in bytes, an invalid room or key that an error repeats.
const maxNamed = 4 * MaxKeyLen

// NameOf returns a Command with only the type, ref, room and key of data, as far as
// they can be read, for an error to repeat. data need not be valid JSON. command is the
// command's name if the transport carries it elsewhere; "" reads it from "type".
func NameOf(command string, data []byte) Command {
	w := scan(data)
	if command == "" {
		command, _ = w.str(w.Type, "type")
	}
	if _, known := fields[command]; !known {
		command = ""
	}
	return w.named(command)
}

// named returns a Command with only the fields that an error repeats.
func (w *wire) named(command string) Command {
	c := Command{Type: command, Ref: w.ref(), Room: w.repeated(w.Room), Key: w.repeated(w.Key)}
	if room, bad := Room(c.Room); bad == nil {
		c.Room = room // folded, as in all replies
	}
	return c
}

// repeated returns a string field unchanged; "" if it is no string or too long to be
// repeated.
func (w *wire) repeated(v jsontext.Value) string {
	s, err := w.str(v, "")
	if err != nil || len(s) > maxNamed {
		return ""
	}
	return s
}

// scan finds the fields of NameOf in a JSON object that a strict parser refuses: one
// that is cut off, has control characters or unknown escapes in strings, or has
// duplicate fields. It leaves out duplicate ones, as either could be meant. It reads
// data once and never fails.
func scan(data []byte) wire {
	var w wire
	named := map[string]*jsontext.Value{"type": &w.Type, "ref": &w.Ref, "room": &w.Room, "key": &w.Key}
	seen := make(map[string]bool, len(named))
	s := scanner{data: data}
	if !s.skip('{') {
		return w
	}
	for {
		name := s.value()
		if len(name) == 0 || name[0] != '"' || !s.skip(':') {
			return w
		}
		v := s.value()
		plain, _ := jsontext.AppendUnquote(nil, name) // an invalid string is none of these names
		if field := named[string(plain)]; field != nil {
			if *field = nil; !seen[string(plain)] && readable(v) {
				*field = v
			}
			seen[string(plain)] = true
		}
		if !s.skip(',') {
			return w
		}
	}
}

// readable reports whether v is one JSON value.
func readable(v []byte) bool {
	var raw jsontext.Value
	return json.Unmarshal(v, &raw, lenient) == nil
}

// lenient replaces lone surrogates, which RFC 8259 section 8.2 permits and UTF-8 can't
// encode, by U+FFFD.
var lenient = jsontext.AllowInvalidUTF8(true)

// scanner splits an object into its values without decoding them.
type scanner struct {
	data []byte
	at   int
}

// skip skips white space and one given character, and reports whether that was there.
func (s *scanner) skip(c byte) bool {
	s.space()
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) space() {
	for s.at < len(s.data) && (s.data[s.at] == ' ' || s.data[s.at] == '\t' || s.data[s.at] == '\n' || s.data[s.at] == '\r') {
		s.at++
	}
}

// value returns the next value unchanged: up to the comma or bracket that ends it,
// outside of strings; nil if a string or bracket is not closed.
func (s *scanner) value() []byte {
	s.space()
	from, depth := s.at, 0
	for ; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case '"':
			if !s.text() {
				return nil
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return trimRight(s.data[from:s.at])
			}
		case ',', ':':
			if depth == 0 {
				return trimRight(s.data[from:s.at])
			}
			continue
		default:
			continue
		}
		if depth == 0 { // the end of a string, an object or an array
			s.at++
			return s.data[from:s.at]
		}
	}
	return nil
}

// text skips a string up to its closing quote, whatever its contents.
func (s *scanner) text() bool {
	for s.at++; s.at < len(s.data); s.at++ {
		switch s.data[s.at] {
		case '\\':
			s.at++
		case '"':
			return true
		}
	}
	return false
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t' || b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}
