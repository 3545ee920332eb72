package conn

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// FuzzFeed cuts any bytes in two places. There must be no panic, and the same messages
// wherever the cuts are.
func FuzzFeed(f *testing.F) {
	f.Add(append(masked(0x81, "hello"), masked(0x01, "a")...), 3, 9)
	f.Add(append(masked(0x01, "a"), masked(0x80, "b")...), 1, 2)
	f.Add([]byte{0x81, 0xfe, 0, 5, 1, 2, 3, 4, 5}, 2, 4)
	f.Fuzz(func(t *testing.T, data []byte, i, j int) {
		if i < 0 || j < i || j > len(data) {
			return
		}
		whole := feedAll(data)
		if cut := feedAll(data[:i], data[i:j], data[j:]); cut != whole {
			t.Errorf("whole %q, cut %q", whole, cut)
		}
	})
}

type collect struct{ got strings.Builder }

func (c *collect) Message(data []byte) { fmt.Fprintf(&c.got, "%q ", data) }
func (c *collect) Closed(int, string)  {}

// feedAll passes pieces to the input of a connection without a client, and returns the
// messages and the close codes.
func feedAll(pieces ...[]byte) string {
	near, far := net.Pipe()
	_ = far.Close()
	cfg := Config{ReadLimit: 50, Linger: time.Millisecond} // nothing writes the outbox
	cfg.fill()
	h := &collect{}
	c := newConn(&Server{cfg: cfg}, near, newLoop(time.Hour))
	c.in.handler = h
	for _, p := range pieces {
		if !c.in.ended && len(p) > 0 {
			c.in.feed(bytes.Clone(p))
		}
	}
	return fmt.Sprintf("%s%d %d", h.got.String(), c.out.closed.code, c.in.code)
}
