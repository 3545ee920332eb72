package embed

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// queue holds what waits to be written to a client. What the connection accepts at once
// is written at once, by the goroutine that has it; the rest by the goroutine of write.
type queue struct {
	limit   int
	conn    net.Conn
	now     func([]byte) int // writes what the connection accepts at once; nil if that can't be done
	overrun atomic.Bool
	wake    chan struct{}

	mu      sync.Mutex // guards the fields below
	bytes   []byte
	writing int  // bytes that are being written
	direct  bool // they are being written by tryLocked
	closed  bool
}

// keptPiece is the largest buffer that a queue keeps for reuse.
const keptPiece = 256 << 10

func newQueue(limit int, conn net.Conn) *queue {
	return &queue{limit: limit, conn: conn, now: writesNow(conn), wake: make(chan struct{}, 1)}
}

// Write writes b, or queues a copy of it. It never waits. If the queue overruns, the
// connection is closed. It implements io.Writer.
func (q *queue) Write(b []byte) (int, error) {
	n, overruns := q.add(b)
	if overruns {
		_ = q.conn.Close()
	}
	if n < len(b) {
		return n, net.ErrClosed
	}
	return n, nil
}

func (q *queue) add(b []byte) (n int, overruns bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, false
	}
	if len(q.bytes)+q.writing+len(b) > q.limit {
		q.overrun.Store(true)
		q.closeLocked()
		return 0, true
	}
	rest := b
	if q.now != nil && len(q.bytes) == 0 && q.writing == 0 {
		rest = q.tryLocked(b)
	}
	if len(rest) > 0 {
		q.bytes = append(q.bytes, rest...)
		q.signal()
	}
	return len(b), false
}

// tryLocked writes what the connection accepts at once, without the lock, and returns the
// rest. Others queue meanwhile, behind it.
func (q *queue) tryLocked(b []byte) (rest []byte) {
	q.writing, q.direct = len(b), true
	q.mu.Unlock()
	n := q.now(b)
	q.mu.Lock()
	q.writing, q.direct = 0, false
	if q.closed || len(q.bytes) > 0 {
		q.signal() // write waits for the end of this
	}
	if len(q.bytes) > 0 && n < len(b) {
		q.bytes = slices.Concat(b[n:], q.bytes)
		return nil
	}
	return b[n:]
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closeLocked()
}

func (q *queue) closeLocked() {
	q.closed = true
	q.signal()
}

// write writes what is queued until the queue is closed or writing fails.
func (q *queue) write() {
	var spare []byte
	for {
		piece, closed := q.take(spare)
		if len(piece) == 0 {
			if closed {
				return
			}
			<-q.wake
			continue
		}
		spare = nil
		if _, err := q.conn.Write(piece); err != nil {
			q.close()
			_ = q.conn.Close()
			return
		}
		if cap(piece) <= keptPiece {
			spare = piece[:0]
		}
	}
}

// take returns what is queued, which is then being written, and leaves spare in its place.
func (q *queue) take(spare []byte) (piece []byte, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.direct {
		return nil, false // its end wakes write
	}
	q.writing = len(q.bytes)
	if piece = q.bytes; len(piece) > 0 {
		q.bytes = spare
	}
	return piece, q.closed
}
