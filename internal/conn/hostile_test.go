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

// fed is a connection that is fed by hand.
func fed(limit int64) *Conn {
	near, far := net.Pipe()
	_ = far.Close()
	cfg := Config{ReadLimit: limit}
	cfg.fill()
	c := newConn(&Server{cfg: cfg}, near, newLoop(time.Hour))
	c.in.handler = &collect{}
	return c
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Nothing is allocated for what is only announced. It measures memory, so it runs
// while no other test does.
func TestAnnouncedBytesCostNothing(t *testing.T) {
	for name, length := range map[string]uint64{
		"2^63":              1 << 63,
		"2^63-1":            1<<63 - 1,
		"2^40":              1 << 40,
		"all that is taken": 1 << 30,
	} {
		c := fed(1 << 30)
		head := append(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, length), 1, 2, 3, 4)
		got := allocated(func() {
			c.feed(head)
			for range 100 {
				if !c.in.ended {
					c.feed([]byte("x"))
				}
			}
		})
		if got > 64<<10 {
			t.Errorf("%s bytes announced: %d allocated", name, got)
		}
		if taken := !c.in.ended; taken != (length <= 1<<30) {
			t.Errorf("%s bytes announced: taken %t", name, taken)
		}
	}
}

// A message in very many fragments costs what its bytes do, and a byte that
// comes alone no more than others: else a client that trickles would cost the
// square of what it sends.
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
				c.feed(stream[:n])
				stream = stream[n:]
			}
		})
		// The handler of this test writes the message down quoted.
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
			c.feed(stream[i : i+1])
		}
	})
	if got > 32*fragments {
		t.Errorf("byte by byte: %d allocated", got)
	}
}

// One fragment too many bytes is one too many, however small they are.
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
		"never ends":             {"\xe2", "\x82", ""},
		"ends as another begins": {"\xe2", "\x82", "\xe2\x82\xac"},
		"overlong":               {"\xc0", "\xaf", ""},
		"half a surrogate":       {"\xed", "\xa0", "\x80"},
		"beyond Unicode":         {"\xf4", "\x90\x80", "\x80"},
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

// A frame that trickles is cut off when its time is over, although each byte
// came soon after the one before.
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
			t.Errorf("cut off after %s", took)
		}
	})
}

// pipe is a client that is connected by memory, so that time may be virtual. It
// reads all and answers nothing; ended tells how the connection ended.
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

// Half-open connections are gone within 45 s, a ping every 25 s and 20 s for the
// answer: those whose other side is not there any more take no bytes, or answer
// nothing. All by the defaults, in virtual time.
func TestHalfOpenConnectionsAreGoneWithin45Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{})
		defer s.Close()
		began := time.Now()
		_, mute := pipe(t, s)
		near, deaf := net.Pipe() // nobody reads from it, as of a host that was switched off
		defer deaf.Close()
		gone := make(chan [2]any, 1)
		c := newConn(s, near, s.loops[0])
		if !s.add(c) {
			t.Fatal("the server is closed")
		}
		go c.read(func(c *Conn) Handler { return &echo{c, gone} }) // ends with the connection
		for name, ended := range map[string]chan [2]any{"mute": mute, "deaf": gone} {
			if got := <-ended; got[0] != 1006 {
				t.Errorf("%s: closed with %v", name, got)
			}
			if took := time.Since(began); took > 46*time.Second || took < 44*time.Second {
				t.Errorf("%s: gone after %s", name, took)
			}
		}
		time.Sleep(time.Second) // the handler is told before the count goes down
		if open := s.Stats().Open; open != 0 {
			t.Errorf("%d are open", open)
		}
	})
}

// A script that says one thing a call, under one name, was refused as if somebody else
// had it: its last connection was still being answered when the next one came. Who has
// left is gone before the answer to the close is written.
func TestWhoHasLeftIsGoneBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{})
		defer s.Close()
		near, far := net.Pipe() // whose answer nobody reads
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
			t.Errorf("closed with %v, told after %s", got, time.Since(began))
		}
	})
}

// One that answers pings stays, however long it says nothing.
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
				t.Fatalf("a frame %x", b)
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

// Many that read nothing cost a bounded buffer each, and are closed. It measures
// memory, so it runs while no other test does.
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
		// A frame of its own for each, as if none were shared.
		for _, c := range conns {
			c.Send(Text(bytes.Repeat([]byte("x"), 8<<10)))
			if waits := c.Pending(); waits > limit*burst {
				t.Fatalf("%d bytes wait for one", waits)
			}
		}
		for _, c := range conns {
			chattest.Eventually(t, "the try to write it", c.tried)
			if waits := c.Pending(); waits > limit+8<<10+20 {
				t.Fatalf("%d bytes wait for one", waits)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		most = max(most, after.HeapAlloc)
	}
	each := int64(most-before.HeapAlloc) / stalled
	t.Logf("%d stalled readers cost %d KiB of heap each at the most", stalled, each>>10)
	// The outbox, the piece that a waiting writer holds, and the queue's own.
	if bound := int64(limit + blockingChunk + 32<<10); each > bound {
		t.Errorf("%d bytes each, the bound is %d", each, bound)
	}
	chattest.Eventually(t, "their end", func() bool { return s.Stats().Open == 0 })
	for range stalled {
		if got := <-s.closed; got[0] != CloseSlow {
			t.Errorf("closed with %v", got)
		}
	}
}
