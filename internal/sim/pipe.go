// Package sim runs a whole chat, nodes, hub, broker client, embedded broker and
// clients, inside one testing/synctest bubble: time is virtual, the network is
// in memory, and what breaks, and when, is decided by a seed.
package sim

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// latency is how long what is written is under way: least, and a random part of
// spread. The random part has the resolution of a nanosecond, so that hardly
// two things ever happen at once, and their order is the seed's.
type latency struct{ least, spread time.Duration }

// queue is one direction of a connection: pieces that arrive in their order,
// each after its latency. It is unbounded, as a run is short.
type queue[T any] struct {
	changed chan struct{} // has room for one: somebody should look again

	mu      sync.Mutex // guards the fields below
	random  *rand.Rand
	latency latency
	pieces  []piece[T]
	frozen  bool
	ended   error // after the last piece; nil while it lives
}

type piece[T any] struct {
	due time.Time
	v   T
}

func newQueue[T any](random *rand.Rand, l latency) *queue[T] {
	return &queue[T]{changed: make(chan struct{}, 1), random: random, latency: l}
}

func (q *queue[T]) look() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// put sends a piece; false when the queue has ended.
func (q *queue[T]) put(v T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended != nil {
		return false
	}
	due := time.Now().Add(q.latency.least + time.Duration(q.random.Int64N(int64(q.latency.spread)+1)))
	if n := len(q.pieces); n > 0 && due.Before(q.pieces[n-1].due) {
		due = q.pieces[n-1].due.Add(1)
	}
	q.pieces = append(q.pieces, piece[T]{due, v})
	q.look()
	return true
}

// end lets nothing more in. What is under way arrives, unless drop.
func (q *queue[T]) end(err error, drop bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended == nil {
		q.ended = err
	}
	if drop {
		q.pieces = nil
	}
	q.look()
}

// freeze stops the arriving, or lets it go on.
func (q *queue[T]) freeze(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.frozen = on
	q.look()
}

func (q *queue[T]) slow(l latency) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.latency = l
}

// poll returns what has arrived by now; else how long to wait for it, a
// negative time for as long as nothing changes.
func (q *queue[T]) poll() (v T, ok bool, wait time.Duration, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.frozen && q.ended == nil:
		return v, false, -1, nil
	case len(q.pieces) > 0:
		if wait = time.Until(q.pieces[0].due); wait > 0 {
			return v, false, wait, nil
		}
		v = q.pieces[0].v
		q.pieces = q.pieces[1:]
		return v, true, 0, nil
	}
	return v, false, -1, q.ended
}

// get waits for the next piece; until deadline, when that is not zero.
func (q *queue[T]) get(deadline func() time.Time) (T, error) {
	for {
		v, ok, wait, err := q.poll()
		if ok || err != nil {
			return v, err
		}
		if until := deadline(); !until.IsZero() {
			left := time.Until(until)
			if left <= 0 {
				return v, os.ErrDeadlineExceeded
			}
			if wait < 0 || left < wait {
				wait = left
			}
		}
		if wait < 0 {
			<-q.changed
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-q.changed:
		}
		timer.Stop()
	}
}

// conn is one end of a network connection between a node and Redis (net.Conn).
type conn struct {
	in, out *queue[[]byte]
	close   func()

	mu    sync.Mutex // guards the field below
	until time.Time  // the deadline for reading
	rest  []byte     // used by the one reader alone
}

// pipe joins two ends. close is called by either's Close.
func pipe(random *rand.Rand, l latency) (a, b *conn) {
	ab := newQueue[[]byte](rand.New(rand.NewPCG(random.Uint64(), 1)), l)
	ba := newQueue[[]byte](rand.New(rand.NewPCG(random.Uint64(), 2)), l)
	a, b = &conn{in: ba, out: ab}, &conn{in: ab, out: ba}
	end := func() {
		ab.end(io.EOF, false)
		ba.end(io.EOF, false)
	}
	a.close, b.close = end, end
	return a, b
}

// Read reads what has arrived (net.Conn).
func (c *conn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		var err error
		if c.rest, err = c.in.get(c.deadline); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *conn) deadline() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until
}

// Write never waits (net.Conn).
func (c *conn) Write(b []byte) (int, error) {
	if !c.out.put(append([]byte(nil), b...)) {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

// Close ends both directions (net.Conn).
func (c *conn) Close() error { c.close(); return nil }

// SetDeadline bounds reading; writing never waits (net.Conn).
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline bounds reading (net.Conn).
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.until = t
	c.mu.Unlock()
	c.in.look()
	return nil
}

// SetWriteDeadline does nothing, as writing never waits (net.Conn).
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr is of no use here (net.Conn).
func (c *conn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// RemoteAddr is of no use here (net.Conn).
func (c *conn) RemoteAddr() net.Addr { return c.LocalAddr() }
