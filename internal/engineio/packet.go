package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"sync"
	"unicode/utf8"

	"example.com/chat/internal/conn"
)

// kind is the first character of a packet.
type kind byte

// The kinds of packets. A binary message has no kind in a WebSocket frame, and
// kindBinary in a payload.
const (
	kindOpen    kind = '0'
	kindClose   kind = '1'
	kindPing    kind = '2'
	kindPong    kind = '3'
	kindMessage kind = '4'
	kindUpgrade kind = '5'
	kindNoop    kind = '6'
	kindBinary  kind = 'b'
)

// separator separates the packets of a payload.
const separator = 0x1e

var errPacket = errors.New("not a packet")

// parsePacket parses a text packet. The data is a part of b.
func parsePacket(b []byte) (kind, []byte, error) {
	if len(b) == 0 || b[0] < byte(kindOpen) || b[0] > byte(kindNoop) {
		return 0, nil, errPacket
	}
	return kind(b[0]), b[1:], nil
}

// parsePolled parses a packet of a payload, in which binary messages are base64, with
// or without padding, as in the official parser.
func parsePolled(b []byte) (kind, []byte, error) {
	if len(b) == 0 || kind(b[0]) != kindBinary {
		if !utf8.Valid(b) {
			return 0, nil, errPacket
		}
		return parsePacket(b)
	}
	text := bytes.TrimRight(b[1:], "=")
	data := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(data, text)
	if err != nil {
		return 0, nil, errPacket
	}
	return kindBinary, data[:n], nil
}

// payload iterates over the packets of one request's body.
type payload struct{ rest []byte }

// packets returns the number of packets.
func (p payload) packets() int { return bytes.Count(p.rest, []byte{separator}) + 1 }

// next removes and returns the first packet; more is false if it was the last.
func (p *payload) next() (packet []byte, more bool) {
	packet, p.rest, more = bytes.Cut(p.rest, []byte{separator})
	return packet, more
}

// Message is one message to clients, encoded once for every transport. It is immutable,
// so any number of sessions may share it; each holds only a reference.
type Message struct {
	frame  conn.Frame
	binary bool

	once   sync.Once
	base64 []byte // of a binary message, for polling; made when it is first needed
}

// Text returns a message of text in UTF-8, which may have several parts and is copied.
// For polling it must not contain U+001E; JSON never does.
func Text(text ...[]byte) *Message { return textPacket(kindMessage, text...) }

// Binary returns a binary message of data, which is copied.
func Binary(data []byte) *Message { return &Message{frame: conn.Binary(data), binary: true} }

func textPacket(k kind, text ...[]byte) *Message {
	var room [6][]byte // for the parts of usual events, without an allocation
	parts := append(append(room[:0], []byte{byte(k)}), text...)
	return &Message{frame: conn.Text(parts...)}
}

// polled returns the message's form in a payload, which is shared.
func (m *Message) polled() []byte {
	if !m.binary {
		return m.frame.Payload()
	}
	m.once.Do(func() {
		data := m.frame.Payload()
		b := make([]byte, 1+base64.StdEncoding.EncodedLen(len(data)))
		b[0] = byte(kindBinary)
		base64.StdEncoding.Encode(b[1:], data)
		m.base64 = b
	})
	return m.base64
}

// The constant packets.
var (
	closePacket = textPacket(kindClose, nil)
	pingPacket  = textPacket(kindPing, nil)
	probeAnswer = textPacket(kindPong, []byte("probe"))
	noopPacket  = textPacket(kindNoop, nil)
)

// Data returns the message's data. It is shared, and must not be changed.
func (m *Message) Data() []byte {
	if m.binary {
		return m.frame.Payload()
	}
	return m.frame.Payload()[1:]
}
