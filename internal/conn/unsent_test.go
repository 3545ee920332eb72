package conn

import (
	"runtime"
	"testing"

	"example.com/chat/internal/chattest"
)

// The kernel accepts megabytes for a client that reads nothing. A sender that adapts to the
// client must count them as unsent.
func TestWhatTheSystemHasNotSentCounts(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux reports what a socket has not sent")
	}
	s := serve(t, Config{})
	client := s.raw(t)
	c := <-s.conns
	if n := c.Unsent(); n != 0 {
		t.Errorf("%d bytes are unsent on a quiet connection", n)
	}
	const frames, size = 100, 10_000
	f := Text(make([]byte, size))
	for range frames {
		c.Answer(f)
	}
	chattest.Eventually(t, "the attempt to write all frames", c.tried)
	// Bytes in the client's kernel count as sent.
	if left := c.Unsent(); left < frames*size-400<<10 || left < c.Pending() {
		t.Errorf("%d of %d bytes are unsent, %d in the outbox", left, frames*size, c.Pending())
	}
	for range frames {
		if _, _, err := client.frame(); err != nil {
			t.Fatal(err)
		}
	}
	chattest.Eventually(t, "no unsent bytes", func() bool { return c.Unsent() == 0 })
	_ = c.socket.net.Close()
	if n := c.Unsent(); n != 0 {
		t.Errorf("%d bytes are unsent on a closed connection", n)
	}
}
