package conn

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
)

// A part of a frame is a sign of life as a pong is.
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
	for i := range frame { // 100 ms a byte: far longer than a pong may take
		if _, err := r.Write(frame[i : i+1]); err != nil {
			t.Fatalf("cut off after %d bytes: %v", i, err)
		}
		<-time.After(100 * time.Millisecond)
	}
	if s.Stats().Open != 1 || len(s.closed) != 0 {
		t.Error("it was given up")
	}
}

// On a slow link a ping waits behind what was sent before. As long as the client takes
// some of that it is there, and when it takes nothing more it is given up.
func TestASlowLinkIsNotTakenForAVanishedClient(t *testing.T) {
	t.Parallel()
	if !canDoNow || (&Conn{}).unsent() != 0 {
		t.Skip("this system does not tell what the other side has confirmed")
	}
	const size, step = 3 << 20, 32 << 10
	s := serve(t, Config{PingEvery: 2 * time.Second, PongWithin: 1500 * time.Millisecond, OutboxLimit: 2 * size})
	r := s.raw(t)
	c := <-s.conns
	_ = r.Conn.(*net.TCPConn).SetReadBuffer(4 * step)
	_ = c.net.(*net.TCPConn).SetWriteBuffer(4 * step)
	c.Send(Text(make([]byte, size)))
	for range size * 2 / 3 / step { // six seconds, in which no ping has reached it
		if _, err := io.CopyN(io.Discard, r.in, step); err != nil {
			t.Fatalf("cut off: %v", err)
		}
		<-time.After(100 * time.Millisecond)
	}
	if len(s.closed) != 0 {
		t.Fatal("it was given up while it was reading")
	}
	chattest.Eventually(t, "the end", func() bool { return len(s.closed) == 1 })
}

// A client that offers subprotocols ends a connection that answers none of them (RFC
// 6455 section 4.1).
func TestTheFirstSubprotocolIsAnswered(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	for _, offered := range [][]string{nil, {"chat"}, {"v1.chat", "v2.chat"}} {
		d := websocket.Dialer{Subprotocols: offered}
		c, res, err := d.Dial("ws://"+s.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if offered != nil {
			want = offered[0]
		}
		if c.Subprotocol() != want || len(res.Header.Values("Sec-WebSocket-Protocol")) > 1 {
			t.Errorf("%v: got %q", offered, c.Subprotocol())
		}
		_ = c.Close()
	}
	if isToken("a b") || isToken("") || isToken("a,b") || !isToken("v1.chat+json") {
		t.Error("what may stand in a header is judged wrongly")
	}
}
