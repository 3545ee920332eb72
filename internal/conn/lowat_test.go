package conn

import (
	"runtime"
	"testing"

	"example.com/chat/internal/poll"
)

// For a client that reads nothing the kernel kept megabytes: pings and replies
// waited behind them, and Pending said that nothing did.
func TestTheKernelKeepsLittleForASlowClient(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux bounds what a socket keeps unsent")
	}
	s := serve(t, Config{})
	_ = s.raw(t)
	c := <-s.conns
	const frames, size = 100, 10_000
	f := Text(make([]byte, size))
	for range frames {
		c.Answer(f)
	}
	poll.Until(t, "the socket to be full", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.stuck
	})
	// What the client's kernel has received counts as sent.
	if left := c.Pending(); left < frames*size-400<<10 {
		t.Errorf("%d bytes wait of %d", left, frames*size)
	}
}
