package conn

import (
	"encoding/binary"
	"unicode/utf8"
)

// Frame is one message to clients, encoded once (RFC 6455 section 5.2). It is
// immutable, so any number of connections may share it.
type Frame struct{ b []byte }

// Opcodes of RFC 6455 section 5.2, with the FIN bit.
const (
	finText   = 0x81
	finBinary = 0x82
	finClose  = 0x88
	finPing   = 0x89
	finPong   = 0x8a
)

// Text returns a text frame of a payload in UTF-8, which may have several parts and is
// copied.
func Text(payload ...[]byte) Frame { return Frame{frame(finText, payload...)} }

// Binary returns a binary frame of a payload, which is copied.
func Binary(payload []byte) Frame { return Frame{frame(finBinary, payload)} }

// Payload returns the payload of the frame. It is shared, and must not be changed.
func (f Frame) Payload() []byte {
	switch f.b[1] {
	case 126:
		return f.b[4:]
	case 127:
		return f.b[10:]
	}
	return f.b[2:]
}

func frame(head byte, payload ...[]byte) []byte {
	n := 0
	for _, part := range payload {
		n += len(part)
	}
	b := make([]byte, 0, n+10)
	b = append(b, head)
	switch {
	case n < 126:
		b = append(b, byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	for _, part := range payload {
		b = append(b, part...)
	}
	return b
}

// maxReason is the part of a close frame's 125 bytes that is left for the reason, after
// the code (RFC 6455 section 5.5.1).
const maxReason = 123

func closeFrame(code int, reason string) []byte {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
		for !utf8.ValidString(reason) {
			reason = reason[:len(reason)-1]
		}
	}
	return frame(finClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
}

var pingFrame = frame(finPing, nil)
