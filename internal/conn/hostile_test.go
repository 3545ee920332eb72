package conn

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest"
)

// fed returns a connection whose input tests pass to feed.
func fed(limit int64) *Conn {
	near, far := net.Pipe()
	_ = far.Close()
	cfg := Config{ReadLimit: limit, Linger: time.Millisecond} // nothing writes the outbox
	cfg.fill()
	c := newConn(&Server{cfg: cfg}, near, newLoop(time.Hour))
	c.in.handler = &collect{}
	return c
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// An announced length allocates nothing. This test measures memory, so it does not run in
// parallel with others.
func TestAnnouncedBytesCostNothing(t *testing.T) {
	for name, length := range map[string]uint64{
		"2^63":      1 << 63,
		"2^63-1":    1<<63 - 1,
		"2^40":      1 << 40,
		"the limit": 1 << 30,
	} {
		c := fed(1 << 30)
		head := append(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, length), 1, 2, 3, 4)
		got := allocated(func() {
			c.in.feed(head)
			for range 100 {
				if !c.in.ended {
					c.in.feed([]byte("x"))
				}
			}
		})
		if got > 64<<10 {
			t.Errorf("%s bytes announced: %d bytes allocated", name, got)
		}
		if accepted := !c.in.ended; accepted != (length <= 1<<30) {
			t.Errorf("%s bytes announced: accepted %t", name, accepted)
		}
	}
}

// The cost of a message is linear in its bytes, however many fragments or reads they
// arrive in.
func TestManyFragmentsCostWhatTheirBytesDo(t *testing.T) {
	const fragments = 100_000
	for name, piece := range map[string]string{"empty": "", "of a byte": "x"} {
		c := fed(fragments)
		var stream []byte
		stream = append(stream, masked(0x01, piece)...)
		for range fragments - 2 {
			stream = append(stream, masked(0x00, piece)...)
		}
		stream = append(stream, masked(0x80, piece)...)
		got := allocated(func() {
			for len(stream) > 0 {
				n := min(len(stream), pieceSize)
				c.in.feed(stream[:n])
				stream = stream[n:]
			}
		})
		// The handler of this test records the message quoted.
		if got > 32*fragments {
			t.Errorf("fragments %s: %d bytes allocated", name, got)
		}
		if want := len(piece) * fragments; c.in.ended || c.in.handler.(*collect).got.Len() < want {
			t.Errorf("fragments %s: ended %t with %d", name, c.in.ended, c.in.code)
		}
	}
	c := fed(fragments)
	stream := masked(0x81, strings.Repeat("x", fragments))
	got := allocated(func() {
		for i := range stream {
			c.in.feed(stream[i : i+1])
		}
	})
	if got > 32*fragments {
		t.Errorf("byte by byte: %d bytes allocated", got)
	}
}

// The limit applies to the sum of a message's fragments.
func TestFragmentsAreCountedTogether(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{ReadLimit: 1000})
	r := s.raw(t)
	stream := masked(0x01, "x")
	for range 1001 {
		stream = append(stream, masked(0x00, "x")...)
	}
	_, _ = r.Write(stream)
	r.closes(1009)
}

func TestUTF8SplitInsideACharacter(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	for name, pieces := range map[string][3]string{
		"without an end":      {"\xe2", "\x82", ""},
		"followed by another": {"\xe2", "\x82", "\xe2\x82\xac"},
		"overlong":            {"\xc0", "\xaf", ""},
		"half a surrogate":    {"\xed", "\xa0", "\x80"},
		"beyond Unicode":      {"\xf4", "\x90\x80", "\x80"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := s.raw(t)
			_, _ = r.Write(masked(0x01, pieces[0]))
			_, _ = r.Write(masked(0x89, "between"))
			_, _ = r.Write(masked(0x00, pieces[1]))
			_, _ = r.Write(masked(0x80, pieces[2]))
			r.closes(1007)
		})
	}
}

// A frame whose bytes arrive slowly is closed at its deadline, although no byte is late.
func TestAFrameThatTricklesIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{})
		defer s.Close()
		far, ended := pipe(t, s)
		began := time.Now()
		frame := masked(0x81, strings.Repeat("x", 4000))
		for i := range frame {
			if _, err := far.Write(frame[i : i+1]); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		<-ended
		if took := time.Since(began); took < 10*time.Second || took > 12*time.Second {
			t.Errorf("closed after %s", took)
		}
	})
}

// pipe connects a client in memory, so that time may be virtual. The client reads all and
// answers nothing; ended receives what the handler got at the close.
func pipe(t *testing.T, s *Server) (far net.Conn, ended chan [2]any) {
	t.Helper()
	near, far := net.Pipe()
	ended = make(chan [2]any, 1)
	c := newConn(s, near, s.loops[0])
	if !s.add(c) {
		t.Fatal("the server is closed")
	}
	go c.read(func(c *Conn) Handler { return &echo{c, ended} }) // ends with the connection; Close waits for it
	go func() { _, _ = io.Copy(io.Discard, far) }()             // ends with the connection
	t.Cleanup(func() { _ = far.Close() })
	return far, ended
}

// By the defaults, half-open connections end within 45 s: a ping every 25 s, and 20 s for
// the answer. The other side either accepts no bytes, or answers nothing. In virtual time.
func TestHalfOpenConnectionsAreGoneWithin45Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{})
		defer s.Close()
		began := time.Now()
		_, mute := pipe(t, s)
		near, deaf := net.Pipe() // without a reader, like a host that was switched off
		defer deaf.Close()
		gone := make(chan [2]any, 1)
		c := newConn(s, near, s.loops[0])
		if !s.add(c) {
			t.Fatal("the server is closed")
		}
		go c.read(func(c *Conn) Handler { return &echo{c, gone} }) // ends with the connection
		for name, ended := range map[string]chan [2]any{"mute": mute, "deaf": gone} {
			if got := <-ended; got[0] != 1006 {
				t.Errorf("%s: the handler got %v at the close", name, got)
			}
			if took := time.Since(began); took > 46*time.Second || took < 44*time.Second {
				t.Errorf("%s: ended after %s", name, took)
			}
		}
		time.Sleep(time.Second) // the handler is called before the count decreases
		if open := s.Stats().Open; open != 0 {
			t.Errorf("%d connections are open", open)
		}
	})
}

// The handler's Closed runs before the answer to the client's close is written. Otherwise a
// script that connects once for each message could find its name still in use.
func TestWhoHasLeftIsGoneBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{})
		defer s.Close()
		near, far := net.Pipe() // the answer is not read
		defer far.Close()
		gone := make(chan [2]any, 1)
		c := newConn(s, near, s.loops[0])
		if !s.add(c) {
			t.Fatal("the server is closed")
		}
		go c.read(func(c *Conn) Handler { return &echo{c, gone} }) // ends with the connection
		began := time.Now()
		_, _ = far.Write(masked(0x88, "\x03\xe8"))
		if got := <-gone; got[0] != 1000 || time.Since(began) != 0 {
			t.Errorf("the handler got %v, after %s", got, time.Since(began))
		}
	})
}

// A client that answers pings stays connected, even if it sends nothing else.
func TestOneThatAnswersPingsStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{})
		defer s.Close()
		near, far := net.Pipe()
		ended := make(chan [2]any, 1)
		c := newConn(s, near, s.loops[0])
		if !s.add(c) {
			t.Fatal("the server is closed")
		}
		go c.read(func(c *Conn) Handler { return &echo{c, ended} }) // ends with the connection; Close waits for it
		pings := 0
		for began := time.Now(); time.Since(began) < time.Hour; {
			var b [2]byte
			if _, err := io.ReadFull(far, b[:]); err != nil {
				t.Fatalf("after %s: %v", time.Since(began), err)
			}
			if !bytes.Equal(b[:], pingFrame) {
				t.Fatalf("got frame %x, want a ping", b)
			}
			pings++
			if _, err := far.Write(masked(finPong, "")); err != nil {
				t.Fatal(err)
			}
		}
		if pings < 3600/26 || pings > 3600/24 {
			t.Errorf("%d pings in an hour", pings)
		}
		_ = far.Close()
		<-ended
	})
}

// Clients that read nothing cost a bounded buffer each, and are closed. This test measures
// memory, so it does not run in parallel with others.
func TestStalledReadersCostABoundedBuffer(t *testing.T) {
	const stalled, limit = 200, 64 << 10
	s := serve(t, Config{OutboxLimit: limit, Linger: 100 * time.Millisecond})
	var conns []*Conn
	for range stalled {
		r := s.raw(t)
		_ = r.Conn.(*net.TCPConn).SetReadBuffer(4096)
		conns = append(conns, <-s.conns)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	most := uint64(0)
	for i := 0; s.Stats().Slow < stalled; i++ {
		if i > 5000 {
			t.Fatalf("%d of %d were closed", s.Stats().Slow, stalled)
		}
		// Each client gets a frame of its own: the worst case.
		for _, c := range conns {
			c.Send(Text(bytes.Repeat([]byte("x"), 8<<10)))
			if waits := c.Pending(); waits > limit*burst {
				t.Fatalf("%d bytes wait for one client", waits)
			}
		}
		for _, c := range conns {
			chattest.Eventually(t, "the attempt to write the frame", c.tried)
			if waits := c.Pending(); waits > limit+8<<10+20 {
				t.Fatalf("%d bytes wait for one client", waits)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		most = max(most, after.HeapAlloc)
	}
	each := int64(most-before.HeapAlloc) / stalled
	t.Logf("%d stalled readers cost at most %d KiB of heap each", stalled, each>>10)
	// The outbox, the buffer of a blocked writer, and the queue itself.
	if bound := int64(limit + blockingChunk + 32<<10); each > bound {
		t.Errorf("a stalled reader costs %d bytes, more than %d", each, bound)
	}
	chattest.Eventually(t, "the end of all connections", func() bool { return s.Stats().Open == 0 })
	for range stalled {
		if got := <-s.closed; got[0] != CloseSlow {
			t.Errorf("the handler got %v at the close", got)
		}
	}
}
