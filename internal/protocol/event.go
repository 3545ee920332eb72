package protocol

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Event is one reply or event, encoded once and never changed afterwards, so
// it may be shared by any number of connections.
type Event struct {
	// Name is the event's name.
	Name string
	// Body is the JSON object of its fields, without the name.
	Body []byte
}

// AppendFrame appends the event as one WebSocket frame holds it: the object
// with its name in "type".
func (e Event) AppendFrame(b []byte) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, e.Name...)
	b = append(b, '"')
	if len(e.Body) > len("{}") {
		b = append(b, ',')
	}
	return append(b, e.Body[1:]...)
}

// WithRef returns the event with the command's ref in front, as its reply
// carries it; the event itself where there was none.
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

// encode makes an event of a struct that can't fail to be encoded.
func encode(name string, fields any) Event {
	body, err := json.Marshal(fields)
	if err != nil {
		panic("protocol: " + name + " can't be encoded: " + err.Error())
	}
	return Event{Name: name, Body: body}
}

// Welcomed is the reply to hello.
type Welcomed struct {
	User    User   `json:"user"`
	Token   string `json:"token"`
	Node    Node   `json:"node"`
	Nodes   []Node `json:"nodes"`
	Limits  Limits `json:"limits"`
	Version int    `json:"version"`
	// Renewed tells that the token of the hello does not hold any more, and User is
	// a new guest.
	Renewed bool `json:"renewed,omitzero"`
}

// Event encodes the reply.
func (w Welcomed) Event() Event { return encode("welcome", w) }

// Joined makes the reply to join. messages are entries as the log holds them,
// oldest first; with more, the rest up to head follows as events of their own.
// members lists MaxListed at most. rules are the decisions that bind the user.
func Joined(room string, head ID, recovered bool, messages []Entry, more bool, members []User, count int, rules []Rule) Event {
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
	return Event{Name: "joined", Body: append(b, '}')}
}

// NewestOf returns as many of the last entries as fit into size bytes, at least
// one where there is any.
func NewestOf(list []Entry, size int) []Entry {
	from := len(list)
	for from > 0 && (from == len(list) || len(list[from-1].Raw)+1 <= size) {
		from--
		size -= len(list[from].Raw) + 1
	}
	return list[from:]
}

// Histories makes the reply to history: entries as the log holds them, oldest
// first, and whether older ones exist.
func Histories(room string, messages []Entry, more bool) Event {
	b := make([]byte, 0, 64+len(room)+total(messages))
	b = append(b, `{"room":"`...)
	b = append(b, room...)
	b = append(b, `","messages":`...)
	b = appendList(b, messages)
	b = append(b, `,"more":`...)
	b = strconv.AppendBool(b, more)
	return Event{Name: "history", Body: append(b, '}')}
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

// AppendString appends s as a JSON string; always the same bytes for the same
// string.
func AppendString(b []byte, s string) []byte {
	b, err := jsontext.AppendQuote(b, s)
	if err != nil {
		// Only a string that is not UTF-8 fails, and it is quoted nevertheless.
		return b
	}
	return b
}

// Left makes the reply to leave.
func Left(room string) Event {
	return encode("left", struct {
		Room string `json:"room"`
	}{room})
}

// Sent makes the reply to send. id is zero where the key was accepted before
// and the log no longer holds its entry.
func Sent(room, key string, id ID, ms int64, duplicate bool) Event {
	return encode("sent", struct {
		Room      string `json:"room"`
		Key       string `json:"key"`
		ID        string `json:"id"`
		Time      int64  `json:"time"`
		Duplicate bool   `json:"duplicate"`
	}{room, key, id.String(), ms, duplicate})
}

// TypingIn makes the event that a user types.
func TypingIn(room string, u User) Event {
	return encode("typing", struct {
		Room string `json:"room"`
		User User   `json:"user"`
	}{room, u})
}

// Presence makes the event of who came and went; count is how many users are
// online in the room now.
func Presence(room string, joined, left []User, count int) Event {
	return encode("presence", struct {
		Room   string `json:"room"`
		Joined []User `json:"joined"`
		Left   []User `json:"left"`
		Count  int    `json:"count"`
	}{room, joined, left, count})
}

// Renamed makes the event that a user has a new name.
func Renamed(u User) Event {
	return encode("renamed", struct {
		User User `json:"user"`
	}{u})
}

// Event encodes the page as the reply to rooms.
func (p RoomPage) Event() Event {
	if p.Rooms == nil {
		p.Rooms = []RoomCount{}
	}
	return encode("rooms", p)
}

// MemberList makes the reply to members.
func MemberList(room string, members []User, count int) Event {
	return encode("members", struct {
		Room    string `json:"room"`
		Members []User `json:"members"`
		Count   int    `json:"count"`
	}{room, members, count})
}

// NodeList makes the event that the cluster changed.
func NodeList(nodes []Node) Event {
	return encode("nodes", struct {
		Nodes []Node `json:"nodes"`
	}{nodes})
}

// Status makes the event that this node lost or regained Redis.
func Status(up bool) Event {
	broker := "down"
	if up {
		broker = "up"
	}
	return encode("status", struct {
		Broker string `json:"broker"`
	}{broker})
}

// StatusElsewhere makes the event that this node has been without Redis for some time,
// and that other nodes are not.
func StatusElsewhere(others []Node) Event {
	return encode("status", struct {
		Broker string `json:"broker"`
		Nodes  []Node `json:"nodes"`
	}{"down", others})
}

// Reset makes the event that the room's log is no longer the one that was
// followed.
func Reset(room string, head ID) Event {
	return encode("reset", struct {
		Room string `json:"room"`
		Head string `json:"head"`
	}{room, head.Head()})
}

// Moderated is the reply to moderate and the event to those it concerns.
type Moderated struct {
	Action string `json:"action"`
	Room   string `json:"room,omitzero"`
	User   *User  `json:"user,omitzero"`
	// Until is when it ends, in milliseconds since the epoch; 0 when it
	// doesn't end by itself.
	Until int64 `json:"until,omitzero"`
	// Seconds is how long it holds, as the moderator asked; of Slow, the pause between
	// two messages of one user. 0 when it doesn't end by itself, and where Slow ends.
	Seconds int64  `json:"seconds,omitzero"`
	By      User   `json:"by"`
	Reason  string `json:"reason,omitzero"`
}

// Rule is a decision that keeps a user from writing, as joined lists it.
type Rule struct {
	// Action is Mute, Slow or Lock.
	Action string `json:"action"`
	// Room is the room where it holds; "" for all rooms.
	Room string `json:"room,omitzero"`
	// Until is as that of Moderated.
	Until int64 `json:"until,omitzero"`
	// Seconds is the pause that Slow asks for.
	Seconds int64 `json:"seconds,omitzero"`
	// By is the moderator; nil for a decision of an earlier version.
	By     *User  `json:"by,omitzero"`
	Reason string `json:"reason,omitzero"`
	// RetryAfter is after how many milliseconds the user may write; 0 for now, or
	// when it doesn't end by itself.
	RetryAfter int64 `json:"retry_after,omitzero"`
}

// Event encodes it.
func (m Moderated) Event() Event { return encode("moderated", m) }

// Pong makes the reply to ping.
func Pong() Event { return Event{Name: "pong", Body: []byte("{}")} }

// Event encodes the error.
func (e *Error) Event() Event {
	return encode("error", struct {
		Code       Code   `json:"code"`
		Message    string `json:"message"`
		Room       string `json:"room,omitzero"`
		Key        string `json:"key,omitzero"`
		RetryAfter int64  `json:"retry_after,omitzero"`
	}{e.Code, e.Message, e.Room, e.Key, e.RetryAfter})
}
