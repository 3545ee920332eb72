package conn

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A sender gets its own message at once, and right after that the answer. The answer must
// not wait to be joined with later frames.
func TestAnAnswerGoesAtOnce(t *testing.T) {
	t.Parallel()
	const join = 5 * time.Second
	s := serve(t, Config{JoinEvery: join})
	r := s.raw(t)
	c := <-s.conns
	began := time.Now()
	for _, send := range []struct {
		text string
		by   func(Frame)
	}{{"message", c.Send}, {"answer", c.Answer}} {
		send.by(Text([]byte(send.text)))
		if _, payload, err := r.frame(); err != nil || string(payload) != send.text {
			t.Fatalf("got %s, %v", payload, err)
		}
		if took := time.Since(began); took > join/2 {
			t.Errorf("%q arrived after %s", send.text, took)
		}
	}
}

// Frames that follow each other now and then go out one by one, and so do those of a slow
// conversation. Only frames that go on coming faster than one every JoinEvery are joined.
func TestOnlyFramesThatGoOnComingFastAreJoined(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		every       time.Duration // not a part of 10 ms: no frame comes while another is written
		least, most int           // writes of 400 frames
	}{{20 * time.Millisecond, 400, 400}, {10100 * time.Microsecond, 400, 400}, {4900 * time.Microsecond, 130, 165}, {970 * time.Microsecond, 30, 50}} {
		synctest.Test(t, func(t *testing.T) {
			s := NewServer(Config{})
			defer s.Close()
			near, far := net.Pipe() // each write is read by itself
			defer far.Close()
			conn := newConn(s, near, s.loops[0])
			const frames = 400
			one := Text([]byte("x"))
			var sender sync.WaitGroup
			defer sender.Wait()
			sender.Go(func() { // ends with the last frame
				for range frames {
					conn.Send(one)
					time.Sleep(c.every) // of virtual time
				}
			})
			writes, waited := 0, time.Duration(0)
			began := time.Now()
			for n := 0; n < frames*len(one.b); writes++ {
				got, err := far.Read(make([]byte, frames*len(one.b)))
				if err != nil {
					t.Fatal(err)
				}
				oldest := began.Add(time.Duration(n/len(one.b)) * c.every)
				waited = max(waited, time.Since(oldest))
				n += got
			}
			if writes < c.least || writes > c.most {
				t.Errorf("a frame every %s: %d writes, want %d to %d", c.every, writes, c.least, c.most)
			}
			if waited > conn.server.cfg.JoinEvery {
				t.Errorf("a frame every %s: one waited %s", c.every, waited)
			}
		})
	}
}

// A quiet connection gets its first answers one by one: some clients lose a message
// that arrives together with the one that they wait for. Answers of a busy connection are
// joined, and so are messages of other users.
func TestAQuietConnectionGetsItsFirstAnswersOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{})
		defer s.Close()
		near, far := net.Pipe() // each write is read by itself
		defer far.Close()
		c := newConn(s, near, s.loops[0])
		if !s.add(c) {
			t.Fatal("the server is closed")
		}
		go c.read(func(c *Conn) Handler { return &echo{c, make(chan [2]any, 1)} }) // ends with the connection
		reads := func(by func(Frame), texts ...string) (frames []int) {
			began := time.Now()
			for _, text := range texts {
				by(Text([]byte(text)))
			}
			total := 0
			for buf := make([]byte, 1024); total < len(texts); {
				n, err := far.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				frames = append(frames, n/len(Text([]byte(texts[0])).b))
				total += frames[len(frames)-1]
			}
			if took := time.Since(began); took > c.server.cfg.JoinEvery {
				t.Errorf("%q arrived after %s", texts, took)
			}
			return frames
		}
		if got := reads(c.Answer, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"); !slices.Equal(got, []int{1, 1, 1, 1, 1, 1, 1, 1, 2}) {
			t.Errorf("the first answers were grouped as %v", got)
		}
		if got := reads(c.Answer, "a", "b", "c"); !slices.Equal(got, []int{3}) {
			t.Errorf("answers of a busy connection were grouped as %v", got)
		}
		time.Sleep(time.Second) // of virtual time
		if got := reads(c.Send, "a", "b", "c"); !slices.Equal(got, []int{3}) {
			t.Errorf("messages of others were grouped as %v", got)
		}
	})
}

// brokenPipe is a connection whose writes fail. closed receives whether the outbox was
// unlocked at the close: closing a TLS connection writes to it.
type brokenPipe struct {
	net.Conn
	outbox *outbox
	closed chan bool
}

func (p *brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func (p *brokenPipe) Close() error {
	unlocked := p.outbox.mu.TryLock()
	if unlocked {
		p.outbox.mu.Unlock()
	}
	select {
	case p.closed <- unlocked:
	default:
	}
	return p.Conn.Close()
}

func TestAConnectionIsClosedWithoutItsLock(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	p := &brokenPipe{Conn: near, closed: make(chan bool, 1)}
	p.outbox = &newConn(&Server{cfg: Config{JoinEvery: 1, OutboxLimit: 1000}}, p, newLoop(1)).out
	p.outbox.send(Text([]byte("a")).b)
	p.outbox.writeOut()
	if !<-p.closed {
		t.Error("the connection was closed under the lock")
	}
}
