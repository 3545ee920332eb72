package conn

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// tried reports that all frames were written as far as the socket accepted them: the
// rest waits for the client.
func (c *Conn) tried() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.stuck || c.out.waiting == 0 || c.out.closing
}

func TestASlowReaderIsClosedAndOthersAreServed(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{OutboxLimit: 256 << 10, Linger: 300 * time.Millisecond})
	slow := s.raw(t)
	c := <-s.conns
	quick := s.raw(t)
	q := <-s.conns
	big := Text(bytes.Repeat([]byte("x"), 10_000))
	for i := 0; s.Stats().Slow == 0; i++ {
		if i > 10_000 {
			t.Fatal("the slow client was not closed")
		}
		c.Send(big)
		chattest.Eventually(t, "the attempt to write the frame", c.tried)
		if c.Pending() > 256<<10+20_000 {
			t.Fatalf("%d bytes wait in the outbox", c.Pending())
		}
		q.Send(Text([]byte("quick")))
		if _, payload, err := quick.frame(); err != nil || string(payload) != "quick" {
			t.Fatalf("the other client got %s, %v", payload, err)
		}
	}
	if got := <-s.closed; got[0] != CloseSlow {
		t.Errorf("the handler got %v at the close", got)
	}
	// If it reads after all, it gets whole frames up to the end.
	for {
		head, payload, err := slow.frame()
		if err != nil || head == finClose {
			break
		}
		if head != finText || len(payload) != 10_000 {
			t.Fatalf("got frame %x of %d bytes", head, len(payload))
		}
	}
}

// After an outage of Redis, a room sends many messages at once, more than OutboxLimit. It
// must not close clients that read as fast as they can.
func TestABurstIsNoSlowReading(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	r := s.raw(t)
	c := <-s.conns
	const frames, size = 150, 10_000
	go func() { // ends when all is queued
		f := Text(make([]byte, size))
		for range frames {
			c.Send(f)
		}
	}()
	for i := range frames {
		if head, payload, err := r.frame(); err != nil || head != finText || len(payload) != size {
			t.Fatalf("frame %d: got %x of %d bytes, %v", i, head, len(payload), err)
		}
	}
	if s.Stats().Slow != 0 {
		t.Error("the client was closed")
	}
}

// An answer may be larger than OutboxLimit. It does not close the client.
func TestLargeAnswersAreNoSlowReading(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{OutboxLimit: 64 << 10})
	r := s.raw(t)
	_ = r.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	c := <-s.conns
	const size = 16 << 20
	c.Answer(Text(make([]byte, size)))
	chattest.Eventually(t, "the socket to be full", func() bool { return c.Pending() > 1<<20 })
	for range 10 {
		c.Send(Text([]byte("live")))
	}
	if _, payload, err := r.frame(); err != nil || len(payload) != size {
		t.Fatalf("got %d bytes, %v", len(payload), err)
	}
	for range 10 {
		if _, payload, err := r.frame(); err != nil || string(payload) != "live" {
			t.Fatalf("got %s, %v", payload, err)
		}
	}
	if s.Stats().Slow != 0 {
		t.Error("the client was closed")
	}
}

// Frames arrive whole and in order, however much the socket accepts at once.
func TestFramesNeverMixNorChangeTheirPlaces(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{OutboxLimit: 64 << 20})
	r := s.raw(t)
	_ = r.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	c := <-s.conns
	const frames = 10_000
	go func() { // ends when all is queued
		for i := range frames {
			c.Send(Text(fmt.Appendf(nil, "%d:%s", i, strings.Repeat("y", i%3000))))
		}
	}()
	for i := range frames {
		if i == 0 {
			chattest.Eventually(t, "the socket to be full", func() bool { return c.Pending() > 1<<20 })
		}
		if i%97 == 0 {
			_, _ = r.Write(masked(0x89, "ping")) // its pong may arrive between two frames
		}
		head, payload, err := r.frame()
		for err == nil && head == finPong {
			head, payload, err = r.frame()
		}
		if want := fmt.Sprintf("%d:%s", i, strings.Repeat("y", i%3000)); err != nil || head != finText || string(payload) != want {
			t.Fatalf("frame %d: got %x %.40q, %v", i, head, payload, err)
		}
	}
}
