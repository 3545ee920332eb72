package swarm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Dialect is a protocol of JSON texts over WebSocket. Its methods are pure.
type Dialect interface {
	// Path is the path and query of the WebSocket.
	Path() string
	// Login returns what a client does to be in a room, after the handshake.
	Login(client int, room string) []Step
	// AppendSend appends the command that sends a text to a room, with the mark of its
	// number (AppendMark) once: where nodes repeat it in the message, and nowhere else.
	AppendSend(dst []byte, room, text string, number int) []byte
	// Read returns the kind of a message from a node, and the number in it, -1 for none.
	Read(message []byte) (kind Kind, number int)
	// Pong returns the answer to a Ping.
	Pong() []byte
}

// Step is one step of a login: Send is sent, unless it is empty, and the step ends with
// the message that contains Until.
type Step struct{ Send, Until string }

// Kind is the kind of a message from a node.
type Kind int

// The kinds of messages.
const (
	Other Kind = iota
	// Delivered is a copy of a message of some client.
	Delivered
	// Acknowledged acknowledges one to its sender.
	Acknowledged
	// Refused refuses one, or another command.
	Refused
	// Ping is a request of the protocol itself that the client must answer.
	Ping
)

// A mark is "@@" and the number in markDigits digits.
const (
	markStart  = "@@"
	markDigits = 10
)

// AppendMark appends the mark of a number.
func AppendMark(dst []byte, number int) []byte {
	dst = append(dst, markStart...)
	text := strconv.Itoa(number)
	for range markDigits - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

// Mark returns the number of the first mark in a message, -1 for none.
func Mark(message []byte) int {
	i := bytes.Index(message, []byte(markStart))
	if i < 0 || len(message) < i+len(markStart)+markDigits {
		return -1
	}
	number := 0
	for _, d := range message[i+len(markStart) : i+len(markStart)+markDigits] {
		if d < '0' || d > '9' {
			return -1
		}
		number = 10*number + int(d-'0')
	}
	return number
}

// Chat is the protocol of chat (docs/protocol.md).
type Chat struct{}

// Path is the path of the WebSocket (Dialect).
func (Chat) Path() string { return "/ws" }

// Login says hello as a guest, and joins the room (Dialect).
func (Chat) Login(_ int, room string) []Step {
	return []Step{
		{`{"type":"hello"}`, `"type":"welcome"`},
		{fmt.Sprintf(`{"type":"join","room":%q}`, room), `"type":"joined"`},
	}
}

// AppendSend appends a send command, whose key is the mark (Dialect).
func (Chat) AppendSend(dst []byte, room, text string, number int) []byte {
	dst = append(dst, `{"type":"send","room":"`...)
	dst = append(dst, room...)
	dst = append(dst, `","key":"`...)
	dst = AppendMark(dst, number)
	dst = append(dst, `","text":"`...)
	dst = append(dst, text...)
	return append(dst, `"}`...)
}

// Read returns the kind and number of an event (Dialect).
func (Chat) Read(message []byte) (Kind, int) {
	switch {
	case bytes.HasPrefix(message, []byte(`{"type":"message"`)):
		return Delivered, Mark(message)
	case bytes.HasPrefix(message, []byte(`{"type":"sent"`)):
		return Acknowledged, Mark(message)
	case bytes.HasPrefix(message, []byte(`{"type":"error"`)):
		return Refused, Mark(message)
	}
	return Other, -1
}

// Pong returns nil: chat has no pings but those of WebSocket (Dialect).
func (Chat) Pong() []byte { return nil }

// AppendRemove appends a delete command, whose key is the mark (Remover).
func (Chat) AppendRemove(dst []byte, room, id string, number int) []byte {
	dst = append(append(dst, `{"type":"delete","room":"`...), room...)
	dst = append(append(dst, `","target":"`...), id...)
	return append(AppendMark(append(dst, `","key":"`...), number), `"}`...)
}

// ID returns the id of an accepted message (Remover).
func (Chat) ID(sent []byte) string {
	_, rest, _ := bytes.Cut(sent, []byte(`,"id":"`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

// Gone reports whether a delete was refused as its message is not in the log (Remover):
// nodes trim logs to their --history.
func (Chat) Gone(refusal []byte) bool {
	var e struct {
		Code string `json:"code"`
	}
	return json.Unmarshal(refusal, &e) == nil && e.Code == "not_found"
}
