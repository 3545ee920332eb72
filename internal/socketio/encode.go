package socketio

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/engineio"
)

// Encoded is a packet to clients with its attachments, encoded once. It is immutable:
// any number of sockets of its namespace may share it, whatever their transport,
// without a copy.
type Encoded struct {
	parts []*engineio.Message
	size  int // bytes, roughly
}

// EncodeEvent encodes an event with arguments that become JSON. A []byte, at any depth,
// becomes an attachment. The name must not be a reserved one.
func EncodeEvent(namespace, name string, args ...any) (*Encoded, error) {
	if slices.Contains(reserved, name) {
		return nil, fmt.Errorf("events can't be called %q, which has a meaning of its own", name)
	}
	return marshal(head{kind: EventType, namespace: namespace}, append([]any{name}, args...))
}

// encodeCall encodes an event that the client is to acknowledge.
func encodeCall(namespace string, id uint64, name string, args []any) (*Encoded, error) {
	if slices.Contains(reserved, name) {
		return nil, fmt.Errorf("events can't be called %q, which has a meaning of its own", name)
	}
	return marshal(head{EventType, namespace, id, true}, append([]any{name}, args...))
}

// EncodeRaw encodes an event with arguments that are JSON already, which it does not
// check; placeholders stand for attachments. All is copied.
func EncodeRaw(namespace, name string, args []jsontext.Value, attachments [][]byte) *Encoded {
	quoted, err := jsontext.AppendQuote(make([]byte, 0, len(name)+2), name)
	if err != nil {
		quoted, _ = jsontext.AppendQuote(nil, "�") // no UTF-8
	}
	return build(head{kind: EventType, namespace: namespace}, append([]jsontext.Value{quoted}, args...), attachments)
}

// marshal encodes an event or an acknowledgement with arguments that become JSON.
func marshal(h head, args []any) (*Encoded, error) {
	var attachments [][]byte
	attach := json.MarshalToFunc(func(e *jsontext.Encoder, b []byte) error {
		attachments = append(attachments, b)
		return e.WriteValue(mark(len(attachments) - 1))
	})
	values := make([]jsontext.Value, len(args))
	for i, arg := range args {
		b, err := json.Marshal(arg, json.WithMarshalers(attach), jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return nil, fmt.Errorf("argument %d of a packet: %w", i, err)
		}
		values[i] = b
	}
	return build(h, values, attachments), nil
}

// mark is the placeholder of an attachment.
func mark(n int) jsontext.Value {
	return jsontext.Value(`{"_placeholder":true,"num":` + strconv.Itoa(n) + `}`)
}

// build encodes an event or an acknowledgement with arguments that are JSON.
func build(h head, args []jsontext.Value, attachments [][]byte) *Encoded {
	if len(attachments) > 0 {
		h.kind += BinaryEvent - EventType
	}
	head := append(h.append(make([]byte, 0, 40), len(attachments)), '[')
	var room [4][]byte
	parts := append(room[:0], head)
	for i, arg := range args {
		if i > 0 {
			parts = append(parts, comma)
		}
		parts = append(parts, arg)
	}
	return pack(attachments, append(parts, bracket)...)
}

var comma, bracket = []byte{','}, []byte{']'}

// pack encodes a packet's text and its attachments.
func pack(attachments [][]byte, text ...[]byte) *Encoded {
	e := &Encoded{parts: make([]*engineio.Message, 0, 1+len(attachments))}
	e.parts = append(e.parts, engineio.Text(text...))
	for _, b := range attachments {
		e.parts = append(e.parts, engineio.Binary(b))
		e.size += len(b)
	}
	for _, b := range text {
		e.size += len(b)
	}
	return e
}

// head returns the part of a packet before its JSON.
type head struct {
	kind      Type
	namespace string
	id        uint64
	hasID     bool
}

func (h head) append(b []byte, attachments int) []byte {
	b = append(b, byte(h.kind))
	if h.kind.binary() {
		b = append(strconv.AppendInt(b, int64(attachments), 10), '-')
	}
	if h.namespace != "/" {
		b = append(append(b, h.namespace...), ',')
	}
	if h.hasID {
		b = strconv.AppendUint(b, h.id, 10)
	}
	return b
}

// short encodes a packet with little or no JSON.
func short(kind Type, namespace string, text ...string) *Encoded {
	b := head{kind: kind, namespace: namespace}.append(make([]byte, 0, 64), 0)
	for _, t := range text {
		b = append(b, t...)
	}
	return pack(nil, b)
}

// appendText appends a packet's text, which Parse reads.
func (p *Packet) appendText(b []byte) []byte {
	b = head{p.Type, p.Namespace, p.ID, p.HasID}.append(b, p.Attachments)
	switch p.Type {
	case Connect, ConnectError, Disconnect:
		return append(b, p.Data...)
	}
	args := make([][]byte, 0, len(p.Args)+1)
	if p.Type == EventType || p.Type == BinaryEvent {
		name, _ := jsontext.AppendQuote(nil, p.Name)
		args = append(args, name)
	}
	for _, arg := range p.Args {
		args = append(args, arg)
	}
	return append(append(append(b, '['), bytes.Join(args, comma)...), ']')
}

// Text returns the packet's text, without attachments. It is shared, and must not be
// changed.
func (e *Encoded) Text() []byte { return e.parts[0].Data() }
