package conn

import (
	"io"
	"net"
	"slices"
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
