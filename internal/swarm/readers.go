package swarm

import (
	"sync"
	"time"
)

// readers is the engine of any system, and of TLS: a goroutine reads from each
// connection, and one writes to all.
type readers struct {
	s      *Swarm
	chunks chan chunk
	writes chan outgoing
	bell   chan struct{}
	quit   chan struct{}
	all    sync.WaitGroup
	timer  *time.Timer
	pool   sync.Pool // of *[readerBuffer]byte
}

// chunk is what a reader read; n is 0 at the end of a connection.
type chunk struct {
	c   *conn
	buf *[readerBuffer]byte
	n   int
	at  int64
}

// outgoing is a frame to write.
type outgoing struct {
	c     *conn
	frame []byte
}

const (
	readerBuffer = 4 << 10
	// queued bounds what waits between the goroutines.
	queued = 1024
)

func newReaders(s *Swarm) engine {
	r := &readers{s: s, chunks: make(chan chunk, queued), writes: make(chan outgoing, queued),
		bell: make(chan struct{}, 1), quit: make(chan struct{}), timer: time.NewTimer(time.Hour)}
	r.pool.New = func() any { return new([readerBuffer]byte) }
	r.all.Go(r.writeAll) // ends with quit; close waits
	return r
}

func (r *readers) add(c *conn) error {
	r.all.Go(func() { r.readAll(c) }) // ends with the connection, which drop or close closes
	return nil
}

// readAll reads from a connection until it ends.
func (r *readers) readAll(c *conn) {
	for {
		buf, _ := r.pool.Get().(*[readerBuffer]byte)
		n, err := c.net.Read(buf[:])
		if err != nil && n == 0 {
			n = 0
		}
		select {
		case r.chunks <- chunk{c, buf, n, time.Now().UnixNano()}:
		case <-r.quit:
			return
		}
		if err != nil || n == 0 {
			return
		}
	}
}

// writeAll writes the frames of all connections in turn.
func (r *readers) writeAll() {
	for {
		select {
		case o := <-r.writes:
			_ = o.c.net.SetWriteDeadline(time.Now().Add(writeWithin))
			if _, err := o.c.net.Write(o.frame); err != nil {
				_ = o.c.net.Close() // its reader reports the end
			}
		case <-r.quit:
			return
		}
	}
}

// wait waits for the readers (engine).
func (r *readers) wait(until int64) {
	if until != 0 {
		r.timer.Reset(time.Until(time.Unix(0, until)))
	}
	began := time.Now()
	select {
	case k := <-r.chunks:
		r.s.waited += time.Since(began)
		r.take(k)
		return
	case <-r.bell:
	case <-r.timer.C:
	}
	r.s.waited += time.Since(began)
}

// take handles what a reader read.
func (r *readers) take(k chunk) {
	if k.n == 0 {
		r.s.drop(k.c)
		return
	}
	if !k.c.dead {
		r.s.input(k.c, k.buf[:k.n], k.at)
	}
	r.pool.Put(k.buf)
}

// write queues a frame (engine).
func (r *readers) write(c *conn, frame []byte) error {
	select {
	case r.writes <- outgoing{c, append([]byte(nil), frame...)}:
		return nil
	default:
		return errBehind
	}
}

func (r *readers) drop(c *conn) { _ = c.net.Close() }

// wake ends a wait (engine).
func (r *readers) wake() {
	select {
	case r.bell <- struct{}{}:
	default: // one is pending
	}
}

func (r *readers) close() {
	close(r.quit)
	for _, c := range r.s.conns {
		if c != nil && c.net != nil {
			_ = c.net.Close()
		}
	}
	r.all.Wait()
}
