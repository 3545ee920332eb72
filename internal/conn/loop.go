package conn

import (
	"sync"
	"time"
)

// loop writes for a part of the connections: at once for those that have been
// quiet, and every JoinEvery for the others. It never waits for a socket.
type loop struct {
	join time.Duration
	wake chan struct{}

	mu    sync.Mutex // guards the fields below
	now   []*Conn
	later []*Conn
}

// loopBuffer is how much a loop writes to one connection at once.
const loopBuffer = 64 << 10

func newLoop(join time.Duration) *loop {
	return &loop{join: join, wake: make(chan struct{}, 1)}
}

// push has the connection written to. last is when that happened before.
func (l *loop) push(c *Conn, last time.Time) {
	l.mu.Lock()
	quiet := time.Since(last) >= l.join
	wake := len(l.now) == 0 && len(l.later) == 0
	if quiet {
		wake = len(l.now) == 0
		l.now = append(l.now, c)
	} else {
		l.later = append(l.later, c)
	}
	l.mu.Unlock()
	if wake {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// run works until stop is closed.
func (l *loop) run(stop <-chan struct{}) {
	w := newWriter()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var spare []*Conn
	due := time.Time{} // when later is written next
	for {
		l.mu.Lock()
		work := l.now
		l.now = spare[:0]
		waiting := len(l.later) > 0
		if waiting && !due.IsZero() && !time.Now().Before(due) {
			work = append(work, l.later...)
			clear(l.later)
			l.later = l.later[:0]
			waiting, due = false, time.Time{}
		}
		l.mu.Unlock()
		for i, c := range work {
			w.write(c)
			work[i] = nil
		}
		spare = work
		switch {
		case !waiting:
			due = time.Time{}
		case due.IsZero():
			due = time.Now().Add(l.join)
		}
		if len(work) > 0 {
			continue
		}
		if cap(spare) > maxSpare {
			spare = nil
		}
		var tick <-chan time.Time
		if waiting {
			timer.Reset(time.Until(due))
			tick = timer.C
		}
		select {
		case <-stop:
			return
		case <-l.wake:
		case <-tick:
		}
	}
}

// maxSpare is the longest list of connections that is kept for the next round.
const maxSpare = 4096

// writer is a loop's means of writing to sockets that don't block it.
type writer struct {
	buf []byte
	n   int
	err error
	try func(fd uintptr) bool
}

func newWriter() *writer {
	w := &writer{buf: make([]byte, 0, loopBuffer)}
	w.try = func(fd uintptr) bool {
		w.n, w.err = writeNow(fd, w.buf)
		return true // never wait
	}
	return w
}

// write writes what the connection has waiting, as far as its socket takes it
// now; a goroutine is left behind for the rest.
func (w *writer) write(c *Conn) {
	if c.raw == nil || !canDoNow {
		c.setStuck()    // as far as can be told
		go c.writeOut() // ends with the queue or the connection
		return
	}
	for {
		w.buf = c.take(w.buf[:0])
		if len(w.buf) == 0 {
			c.wrote(0, nil)
			return
		}
		if err := c.raw.Write(w.try); err != nil {
			w.n, w.err = 0, err
		}
		full := w.n < len(w.buf)
		if c.wrote(w.n, w.err) == 0 {
			return
		}
		if full {
			c.setStuck()
			go c.writeOut() // ends with the queue or the connection
			return
		}
	}
}
