// Package sim runs a whole chat (nodes with their hubs and brokers, the embedded broker
// and clients) inside one testing/synctest bubble: time is virtual, the network is in
// memory, and a seed decides which faults happen, and when.
package sim

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// latency is the time between writing and arrival: least, and a random part of spread, with
// the resolution of a nanosecond, so that two events are hardly ever simultaneous.
type latency struct{ least, spread time.Duration }

// draw returns a random number that depends only on the seed, the virtual time and the
// bytes of what: neither on the order of goroutines, which the scheduler decides, nor on
// the connection. So a seed repeats a run. The order of the bytes does not count, because
// lists that are made of maps have no order.
func draw(seed uint64, what []byte) *rand.Rand {
	sum := uint64(time.Now().UnixNano())
	for _, b := range what {
		sum += uint64(b) * uint64(b) * 0x9e3779b97f4a7c15
	}
	return rand.New(rand.NewPCG(seed, sum))
}

// queue is one direction of a connection: pieces that arrive in order, each after its
// latency. It is unbounded, as a run is short.
type queue struct {
	changed chan struct{} // buffer of one: signals a change
	seed    uint64

	mu      sync.Mutex // guards the fields below
	latency latency
	pieces  []piece
	frozen  bool
	ended   error // error after the last piece; nil while the queue is open
}

type piece struct {
	due time.Time
	v   []byte
}

func newQueue(seed uint64, l latency) *queue {
	return &queue{changed: make(chan struct{}, 1), seed: seed, latency: l}
}

func (q *queue) look() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// put sends a piece. It returns false if the queue has ended.
func (q *queue) put(v []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended != nil {
		return false
	}
	q.sendLocked(v)
	q.look()
	return true
}

func (q *queue) sendLocked(v []byte) {
	due := time.Now().Add(q.latency.least + time.Duration(draw(q.seed, v).Int64N(int64(q.latency.spread)+1)))
	if n := len(q.pieces); n > 0 && !due.After(q.pieces[n-1].due) {
		due = q.pieces[n-1].due.Add(1)
	}
	q.pieces = append(q.pieces, piece{due, v})
}

// end closes the queue. Pieces in transit arrive, unless drop is set.
func (q *queue) end(err error, drop bool) {
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

// freeze stops arrivals, or continues them: pieces in transit then get a new latency, so
// that they do not all arrive in the same moment.
func (q *queue) freeze(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.frozen && !on {
		pieces := q.pieces
		q.pieces = nil
		for _, p := range pieces {
			q.sendLocked(p.v)
		}
	}
	q.frozen = on
	q.look()
}

func (q *queue) slow(l latency) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.latency = l
}

// poll returns the piece that has arrived, or how long to wait for one: a negative time
// means until the queue changes.
func (q *queue) poll() (v []byte, ok bool, wait time.Duration, err error) {
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

// get waits for the next piece, until deadline if that is not zero.
func (q *queue) get(deadline func() time.Time) ([]byte, error) {
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
	in, out *queue
	close   func()

	mu    sync.Mutex // guards the field below
	until time.Time  // the deadline for reading
	rest  []byte     // used only by the reader
}

// pipe joins two ends. close is called by either's Close.
func pipe(seed uint64, l latency) (a, b *conn) {
	ab, ba := newQueue(seed+1, l), newQueue(seed+2, l)
	a, b = &conn{in: ba, out: ab}, &conn{in: ab, out: ba}
	end := func() {
		ab.end(io.EOF, false)
		ba.end(io.EOF, false)
	}
	a.close, b.close = end, end
	return a, b
}

// Read reads data that has arrived (net.Conn).
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
