package swarm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
)

// Opcodes of WebSocket frames (RFC 6455, section 5.2).
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// maxFrame bounds a frame of a node.
const maxFrame = 16 << 20

// frame is a frame of a node.
type frame struct {
	op      byte
	payload []byte
}

// parseFrame reads a frame from the front of data, and returns its length, 0 if data
// does not hold it completely. The payload is part of data.
func parseFrame(data []byte) (f frame, n int, err error) {
	if len(data) < 2 {
		return f, 0, nil
	}
	if data[1]&0x80 != 0 {
		return f, 0, errors.New("a node masked a frame")
	}
	head, size := 2, uint64(data[1])
	switch size {
	case 126:
		if head = 4; len(data) >= head {
			size = uint64(binary.BigEndian.Uint16(data[2:]))
		}
	case 127:
		if head = 10; len(data) >= head {
			size = binary.BigEndian.Uint64(data[2:])
		}
	}
	if len(data) < head {
		return f, 0, nil
	}
	if size > maxFrame {
		return f, 0, errors.New("a node sent a frame over 16 MiB")
	}
	if n = head + int(size); len(data) < n {
		return f, 0, nil
	}
	return frame{op: data[0] & 0x0f, payload: data[head:n]}, n, nil
}

// appendFrame appends a client's frame, masked with zeros.
func appendFrame(dst []byte, op byte, payload []byte) []byte {
	const masked = 0x80
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|op, masked|byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|op, masked|126, byte(n>>8), byte(n))
	default:
		dst = append(dst, 0x80|op, masked|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return append(append(dst, 0, 0, 0, 0), payload...)
}

// messages returns the messages of a payload. Some nodes join several by newlines,
// which no JSON contains.
func messages(payload []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(payload) > 0 {
			end := bytes.IndexByte(payload, '\n')
			if end < 0 {
				yield(payload)
				return
			}
			if !yield(payload[:end]) {
				return
			}
			payload = payload[end+1:]
		}
	}
}
