package protocol

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Event is an encoded reply or event. It is immutable, so any number of connections may
// share it.
type Event struct {
	// Name is the event's name.
	Name string
	// Body is the JSON object of its fields, without the name.
	Body []byte
}

// AppendFrame appends the payload of the event's WebSocket frame: the object of its
// fields with its name in "type".
func (e Event) AppendFrame(b []byte) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, e.Name...)
	b = append(b, '"')
	if len(e.Body) > len("{}") {
		b = append(b, ',')
	}
	return append(b, e.Body[1:]...)
}

// WithRef returns the event with the command's ref as its first field; the event itself
// if ref is nil.
func (e Event) WithRef(ref jsontext.Value) Event {
	if ref == nil {
		return e
	}
	b := make([]byte, 0, len(e.Body)+len(ref)+8)
	b = append(b, `{"ref":`...)
	b = append(b, ref...)
	if len(e.Body) > len("{}") {
		b = append(b, ',')
	}
	return Event{Name: e.Name, Body: append(b, e.Body[1:]...)}
}

// encode returns the event with the fields of a struct. It panics if the struct can't be
// encoded, which is a bug.
func encode(name string, fields any) Event {
	body, err := json.Marshal(fields)
	if err != nil {
		panic("protocol: " + name + " can't be encoded: " + err.Error())
	}
	return Event{Name: name, Body: body}
}

// Joined encodes a JoinedEvent, whose messages are the raw JSON of entries, oldest
// first; with more, the rest up to head follows as events. members has at most MaxListed
// users. rules are the decisions that keep the user from writing.
func Joined(room string, head ID, recovered bool, messages []Entry, more bool, members []User, count int, rules []BindingRule) Event {
	b := make([]byte, 0, 256+total(messages)+48*len(members))
	b = append(b, `{"room":"`...)
	b = append(b, room...)
	b = append(b, `","head":"`...)
	b = append(b, head.Head()...)
	b = append(b, `","recovered":`...)
	b = strconv.AppendBool(b, recovered)
	b = append(b, `,"messages":`...)
	b = appendList(b, messages)
	if more {
		b = append(b, `,"more":true`...)
	}
	b = append(b, `,"members":`...)
	b = appendUsers(b, members)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(count), 10)
	if len(rules) > 0 {
		b = append(b, `,"rules":`...)
		b = append(b, encode("rules", rules).Body...)
	}
	return Event{Name: JoinedName, Body: append(b, '}')}
}

// NewestOf returns as many of the last entries as fit into size bytes, but at least one
// if there is any.
func NewestOf(list []Entry, size int) []Entry {
	from := len(list)
	for from > 0 && (from == len(list) || len(list[from-1].Raw)+1 <= size) {
		from--
		size -= len(list[from].Raw) + 1
	}
	return list[from:]
}

// Histories encodes a HistoryEvent, whose messages are the raw JSON of entries, oldest
// first; more reports that older ones exist.
func Histories(room string, messages []Entry, more bool) Event {
	b := make([]byte, 0, 64+len(room)+total(messages))
	b = append(b, `{"room":"`...)
	b = append(b, room...)
	b = append(b, `","messages":`...)
	b = appendList(b, messages)
	b = append(b, `,"more":`...)
	b = strconv.AppendBool(b, more)
	return Event{Name: History, Body: append(b, '}')}
}

func total(list []Entry) int {
	n := 0
	for _, e := range list {
		n += len(e.Raw) + 1
	}
	return n
}

func appendList(b []byte, list []Entry) []byte {
	b = append(b, '[')
	for i, e := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e.Raw...)
	}
	return append(b, ']')
}

func appendUsers(b []byte, users []User) []byte {
	b = append(b, '[')
	for i, u := range users {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":`...)
		b = AppendString(b, u.ID)
		b = append(b, `,"name":`...)
		b = AppendString(b, u.Name)
		b = append(b, '}')
	}
	return append(b, ']')
}

// AppendString appends s as a JSON string. Equal strings give equal bytes; invalid UTF-8
// becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	b, err := jsontext.AppendQuote(b, s)
	if err != nil {
		// Invalid UTF-8 is an error, and is replaced and quoted nevertheless.
		return b
	}
	return b
}

// Left encodes a LeftEvent.
func Left(room string) Event { return LeftEvent{Room: room}.Event() }

// Sent encodes a SentEvent; ms is its time. id is zero if the key was accepted before
// and the log no longer holds its entry.
func Sent(room, key string, id ID, ms int64, duplicate bool) Event {
	return SentEvent{Room: room, Key: key, ID: id.String(), Time: ms, Duplicate: duplicate}.Event()
}

// TypingIn encodes a TypingEvent.
func TypingIn(room string, u User) Event { return TypingEvent{Room: room, User: u}.Event() }

// Presence encodes a PresenceEvent; count is how many users are online in the room now.
func Presence(room string, joined, left []User, count int) Event {
	return PresenceEvent{Room: room, Joined: joined, Left: left, Count: count}.Event()
}

// Renamed encodes a RenamedEvent.
func Renamed(u User) Event { return RenamedEvent{User: u}.Event() }

// Event encodes the page as the reply to rooms.
func (p RoomPage) Event() Event {
	if p.Rooms == nil {
		p.Rooms = []RoomCount{}
	}
	return encode(Rooms, p)
}

// MemberList encodes a MembersEvent.
func MemberList(room string, members []User, count int) Event {
	return MembersEvent{Room: room, Members: members, Count: count}.Event()
}

// NodeList encodes a NodesEvent.
func NodeList(nodes []Node) Event { return NodesEvent{Nodes: nodes}.Event() }

// Status encodes a StatusEvent without other nodes: this node lost or regained Redis.
func Status(up bool) Event {
	if up {
		return StatusEvent{Broker: BrokerUp}.Event()
	}
	return StatusEvent{Broker: BrokerDown}.Event()
}

// StatusElsewhere encodes a StatusEvent of a node without Redis that names other nodes
// which reach it.
func StatusElsewhere(others []Node) Event {
	return StatusEvent{Broker: BrokerDown, Nodes: others}.Event()
}

// Reset encodes a ResetEvent.
func Reset(room string, head ID) Event { return ResetEvent{Room: room, Head: head.Head()}.Event() }

// Pong encodes a PongEvent.
func Pong() Event { return PongEvent{}.Event() }
