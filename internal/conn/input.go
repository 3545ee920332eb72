package conn

import (
	"encoding/binary"
	"io"
	"net"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// input parses a connection's bytes into messages (RFC 6455 section 5), and passes them to
// the handler. It holds no memory between messages. One goroutine at a time uses it.
type input struct {
	conn     *Conn
	handler  Handler
	binaries BinaryHandler // the handler, if it accepts binary messages
	part     []byte        // of an incomplete frame
	message  []byte        // the fragments of a message so far
	text     bool          // a fragmented message has begun
	binary   bool          // it is a binary one
	late     bool          // the deadline of an incomplete message is set
	ended    bool          // nothing more is parsed
	closed   bool          // the other side closed, and waits for an answer
	code     int           // of the other side's close; 1006 without one
	reason   string
	pongs    int // pongs sent in the second of pongAt
	pongAt   time.Time
}

// maxPongs is how many pings a second are answered.
const maxPongs = 20

// Bits and opcodes of a frame's first two bytes (RFC 6455 section 5.2).
const (
	bitFin   = 0x80
	bitsRSV  = 0x70
	bitMask  = 0x80
	lenMask  = 0x7f
	opMask   = 0x0f
	opCont   = 0x0
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xa
	// maxControl is the longest payload of a control frame (section 5.5).
	maxControl = 125
)

// header is the header of a frame with a masked payload.
type header struct {
	fin    bool
	op     byte
	size   int // of the header itself
	length int64
	mask   [4]byte
}

// parseHeader parses a header; ok is false if it is incomplete. If it violates the
// protocol, code is the close code.
func parseHeader(b []byte) (h header, code int, ok bool) {
	if len(b) < 2 {
		return h, 0, false
	}
	h.fin, h.op = b[0]&bitFin != 0, b[0]&opMask
	h.length, h.size = int64(b[1]&lenMask), 2
	control := h.op >= opClose
	switch {
	case b[0]&bitsRSV != 0, b[1]&bitMask == 0, h.op > opPong, h.op > opBinary && !control,
		control && (!h.fin || h.length > maxControl):
		return h, websocket.CloseProtocolError, true
	}
	switch h.length {
	case 126:
		if len(b) < 4 {
			return h, 0, false
		}
		h.length, h.size = int64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return h, 0, false
		}
		h.length, h.size = int64(binary.BigEndian.Uint64(b[2:])), 10
		if h.length < 0 {
			return h, websocket.CloseMessageTooBig, true
		}
	}
	if len(b) < h.size+4 {
		return h, 0, false
	}
	copy(h.mask[:], b[h.size:])
	h.size += 4
	return h, 0, true
}

func unmask(b []byte, mask [4]byte) {
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// feed parses bytes and passes on complete messages. It may change the bytes, and keeps
// none of them.
func (in *input) feed(data []byte) {
	in.conn.alive.hear()
	kept := len(in.part) > 0
	if kept {
		in.part = append(in.part, data...)
		data = in.part
	}
	for len(data) > 0 && !in.ended {
		h, code, ok := parseHeader(data)
		if code == 0 && ok {
			code = in.check(h)
		}
		if code != 0 {
			in.refuse(code)
			return
		}
		if !ok || int64(len(data)-h.size) < h.length {
			break
		}
		end := h.size + int(h.length)
		payload := data[h.size:end:end]
		data = data[end:]
		unmask(payload, h.mask)
		if code := in.frame(h, payload); code != 0 {
			in.refuse(code)
			return
		}
	}
	switch {
	case len(data) == 0 || in.ended:
		in.part = nil
	case !kept || len(data) < len(in.part):
		in.part = append([]byte(nil), data...)
	}
	in.setDeadline()
}

// check returns the close code for a frame before its payload has arrived, so no memory
// is used for an announced size; 0 for none.
func (in *input) check(h header) int {
	switch {
	case h.op == opBinary && in.binaries == nil:
		return websocket.CloseUnsupportedData
	case h.op == opCont && !in.text, (h.op == opText || h.op == opBinary) && in.text:
		return websocket.CloseProtocolError
	case h.op < opClose && int64(len(in.message))+h.length > in.conn.server.cfg.ReadLimit:
		return websocket.CloseMessageTooBig
	}
	return 0
}

// frame handles a complete frame; it returns the close code, or 0.
func (in *input) frame(h header, payload []byte) int {
	switch h.op {
	case opPing:
		in.pong(payload)
		return 0
	case opPong:
		return 0
	case opClose:
		return in.peerCloses(payload)
	}
	if h.op != opCont {
		in.binary = h.op == opBinary
	}
	if !h.fin || in.text {
		in.text = true
		in.message = append(in.message, payload...)
		if !h.fin {
			return 0
		}
		payload = in.message
		in.message, in.text = nil, false
	}
	in.late = false
	if !in.binary && !utf8.Valid(payload) {
		return websocket.CloseInvalidFramePayloadData
	}
	if !in.conn.out.isClosing() {
		if in.binary {
			in.binaries.Binary(payload)
		} else {
			in.handler.Message(payload)
		}
		if !in.conn.out.awaitRoom() {
			in.conn.cutOff()
		}
	}
	return 0
}

// pong answers a ping, unless there are too many: only the last one needs an answer
// (RFC 6455 section 5.5.3).
func (in *input) pong(data []byte) {
	if now := time.Now(); now.Sub(in.pongAt) > time.Second {
		in.pongAt, in.pongs = now, 0
	}
	in.pongs++
	if in.pongs <= maxPongs {
		in.conn.send(frame(finPong, data))
	}
}

// peerCloses handles the other side's close frame (RFC 6455 section 5.5.1).
func (in *input) peerCloses(payload []byte) int {
	in.code = noStatus
	if len(payload) > 0 {
		if len(payload) == 1 {
			return websocket.CloseProtocolError
		}
		in.code = int(binary.BigEndian.Uint16(payload))
		if !goodCode(in.code) {
			return websocket.CloseProtocolError
		}
		if !utf8.Valid(payload[2:]) {
			return websocket.CloseInvalidFramePayloadData
		}
		in.reason = string(payload[2:])
	}
	in.ended = true
	in.closed = true // finish answers it
	return 0
}

// noStatus stands for a close frame without a code (RFC 6455 section 7.4.1).
const noStatus = 1005

// goodCode reports whether a close frame may have the code (RFC 6455 section 7.4, and
// IANA's registry).
func goodCode(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}

var refusals = map[int]string{
	websocket.CloseProtocolError:           "a frame that RFC 6455 does not allow",
	websocket.CloseMessageTooBig:           "a frame over the limit",
	websocket.CloseUnsupportedData:         "only text frames are taken",
	websocket.CloseInvalidFramePayloadData: "the text is not UTF-8",
}

// refuse closes the connection, and discards input for a moment, so that unread input
// does not reset the connection and lose the close frame (RFC 6455 section 7.1.1).
func (in *input) refuse(code int) {
	in.conn.Close(code, refusals[code])
	in.part, in.message, in.ended = nil, nil, true
	in.conn.out.flush()
	if tcp, ok := in.conn.socket.net.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // the server ends it first (section 7.1.1)
	}
	_, _ = io.CopyN(io.Discard, in.conn.socket.net, maxDiscard)
}

// maxDiscard bounds the bytes discarded after a refusal; the linger bounds the time.
const maxDiscard = 16 << 20

// setDeadline sets the deadline for the next bytes: for the rest of a message a short one
// that nothing extends, else the idle time.
func (in *input) setDeadline() {
	begun := in.text || len(in.part) > 0
	switch {
	case !begun:
		in.late = false
		in.conn.alive.expect(in.conn.server.cfg.IdleAfter, false)
	case !in.late:
		in.late = true
		in.conn.alive.expect(in.conn.server.cfg.FrameTime, true)
	}
}
