package conn

import (
	"io"
	"net"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// Any byte after a ping shows that the client is there, also part of a frame.
func TestAFrameUnderWayIsASignOfLife(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{PingEvery: time.Second, PongWithin: 300 * time.Millisecond})
	r := s.raw(t)
	pinged := make(chan struct{})
	go func() { // ends with the connection
		for done := false; ; {
			head, _, err := r.frame()
			if err != nil {
				return
			}
			if head == finPing && !done {
				close(pinged)
				done = true
			}
		}
	}()
	frame := masked(finText, string(make([]byte, 20)))
	<-pinged
	for i := range frame { // 100 ms a byte: longer in total than a pong may take
		if _, err := r.Write(frame[i : i+1]); err != nil {
			t.Fatalf("closed after %d bytes: %v", i, err)
		}
		<-time.After(100 * time.Millisecond)
	}
	if s.Stats().Open != 1 || len(s.closed) != 0 {
		t.Error("the connection was closed")
	}
}

// On a slow link a ping waits behind earlier data. As long as the client acknowledges some
// of that, the connection stays open; then it is closed.
func TestASlowLinkIsNotTakenForAVanishedClient(t *testing.T) {
	t.Parallel()
	if !canDoNow || (&socket{}).unacknowledged() != 0 {
		t.Skip("this system does not report acknowledged bytes")
	}
	const size, step = 3 << 20, 32 << 10
	s := serve(t, Config{PingEvery: 2 * time.Second, PongWithin: 1500 * time.Millisecond, OutboxLimit: 2 * size})
	r := s.raw(t)
	c := <-s.conns
	_ = r.Conn.(*net.TCPConn).SetReadBuffer(4 * step)
	_ = c.socket.net.(*net.TCPConn).SetWriteBuffer(4 * step)
	c.Send(Text(make([]byte, size)))
	for range size * 2 / 3 / step { // for six seconds, in which no ping reaches the client
		if _, err := io.CopyN(io.Discard, r.in, step); err != nil {
			t.Fatalf("closed: %v", err)
		}
		<-time.After(100 * time.Millisecond)
	}
	if len(s.closed) != 0 {
		t.Fatal("the connection was closed while the client was reading")
	}
	chattest.Eventually(t, "the end of the connection", func() bool { return len(s.closed) == 1 })
}

func TestAnIdleConnectionIsPingedAndASilentOneDropped(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{PingEvery: time.Second, PongWithin: 300 * time.Millisecond})
	answering, silent := s.raw(t), s.raw(t)
	pings := 0
	go func() { _, _ = io.Copy(io.Discard, silent.in) }() // ends with the connection
	for len(s.closed) == 0 {
		head, payload, err := answering.frame()
		if err != nil {
			t.Fatalf("the client that answers was closed: %v", err)
		}
		if head == finPing {
			pings++
			_, _ = answering.Write(masked(finPong, string(payload)))
		}
	}
	if got := <-s.closed; got[0] != 1006 || pings < 2 {
		t.Errorf("the handler got %v at the close, after %d pings", got, pings)
	}
	if s.Stats().Open != 1 {
		t.Errorf("%d connections are open", s.Stats().Open)
	}
}
