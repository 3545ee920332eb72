package conn

import (
	"runtime"
	"testing"

	"example.com/chat/internal/chattest"
)

// The system takes megabytes for a client that reads nothing: who sends as fast
// as a client takes it must not count them as taken.
func TestWhatTheSystemHasNotSentCounts(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what a socket has not sent")
	}
	s := serve(t, Config{})
	client := s.raw(t)
	c := <-s.conns
	if n := c.Unsent(); n != 0 {
		t.Errorf("%d bytes wait on a quiet connection", n)
	}
	const frames, size = 100, 10_000
	f := Text(make([]byte, size))
	for range frames {
		c.Answer(f)
	}
	chattest.Eventually(t, "the socket to be tried", c.tried)
	// What the client's system has received counts as sent.
	if left := c.Unsent(); left < frames*size-400<<10 || left < c.Pending() {
		t.Errorf("%d bytes wait of %d, %d in the outbox", left, frames*size, c.Pending())
	}
	for range frames {
		if _, _, err := client.frame(); err != nil {
			t.Fatal(err)
		}
	}
	chattest.Eventually(t, "nothing to wait", func() bool { return c.Unsent() == 0 })
	_ = c.net.Close()
	if n := c.Unsent(); n != 0 {
		t.Errorf("%d bytes wait on a closed connection", n)
	}
}
