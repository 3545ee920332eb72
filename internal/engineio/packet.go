package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"sync"
	"unicode/utf8"

	"example.com/chat/internal/conn"
)

// kind is the character that a packet begins with.
type kind byte

// The kinds of packets; a binary message has none in a WebSocket frame, and a
// letter of its own in a payload.
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

// separator stands between the packets of a payload.
const separator = 0x1e

var errPacket = errors.New("not a packet")

// parsePacket takes a packet of text apart. The data is a part of b.
func parsePacket(b []byte) (kind, []byte, error) {
	if len(b) == 0 || b[0] < byte(kindOpen) || b[0] > byte(kindNoop) {
		return 0, nil, errPacket
	}
	return kind(b[0]), b[1:], nil
}

// parsePolled takes a packet of a payload apart, where binary messages are
// base64: with padding or without, as the official parser takes both.
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

// payload walks through the packets of one request's body.
type payload struct{ rest []byte }

// packets is how many packets there are.
func (p payload) packets() int { return bytes.Count(p.rest, []byte{separator}) + 1 }

// next cuts the first packet off; more is false when it was the last.
func (p *payload) next() (packet []byte, more bool) {
	packet, p.rest, more = bytes.Cut(p.rest, []byte{separator})
	return packet, more
}

// Message is one message to clients, encoded once for whatever transport it goes
// by, and never changed: it may be sent to any number of sessions, and each of
// them holds no more than a reference to it.
type Message struct {
	frame  conn.Frame
	binary bool

	once   sync.Once
	base64 []byte // of a binary one, as polling wants it, once that was asked for
}

// Text makes a message of text in UTF-8, which is copied; it may come in
// parts. For polling it must not hold the character U+001E; JSON never
// does.
func Text(text ...[]byte) *Message { return textPacket(kindMessage, text...) }

// Binary makes a binary message of data, which is copied.
func Binary(data []byte) *Message { return &Message{frame: conn.Binary(data), binary: true} }

func textPacket(k kind, text ...[]byte) *Message {
	var room [6][]byte // for what events are made of, without an allocation
	parts := append(append(room[:0], []byte{byte(k)}), text...)
	return &Message{frame: conn.Text(parts...)}
}

// polled is how the message stands in a payload; it is shared.
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

// The packets that are the same for everybody.
var (
	closePacket = textPacket(kindClose, nil)
	pingPacket  = textPacket(kindPing, nil)
	probeAnswer = textPacket(kindPong, []byte("probe"))
	noopPacket  = textPacket(kindNoop, nil)
)

// Data is what the message carries. It is shared, and must not be changed.
func (m *Message) Data() []byte {
	if m.binary {
		return m.frame.Payload()
	}
	return m.frame.Payload()[1:]
}
