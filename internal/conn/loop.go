package conn

import (
	"sync"
	"time"
)

// loop writes to some of the connections: at once to those that have been quiet, and
// every JoinEvery to the others. It never blocks on a socket.
type loop struct {
	join time.Duration
	wake chan struct{}

	mu    sync.Mutex // guards the fields below
	now   []*outbox
	later []*outbox
}

// loopBuffer is how much a loop writes to one connection at once.
const loopBuffer = 64 << 10

func newLoop(join time.Duration) *loop {
	return &loop{join: join, wake: make(chan struct{}, 1)}
}

// push schedules a write of the outbox: at once, or together with other frames that
// follow.
func (l *loop) push(o *outbox, atOnce bool) {
	l.mu.Lock()
	wake := len(l.now) == 0 && len(l.later) == 0
	if atOnce {
		wake = len(l.now) == 0
		l.now = append(l.now, o)
	} else {
		l.later = append(l.later, o)
	}
	l.mu.Unlock()
	if wake {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// run runs until stop is closed.
func (l *loop) run(stop <-chan struct{}) {
	w := newWriter()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var spare []*outbox
	due := time.Time{} // time of the next write to the busy connections
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
		for i, o := range work {
			w.write(o)
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

// maxSpare is the longest list of connections that is kept for reuse.
const maxSpare = 4096

// writer writes to sockets without blocking.
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
		return true // never block
	}
	return w
}

// write writes what an outbox has queued, as far as its socket accepts it now, and
// starts a goroutine for the rest.
func (w *writer) write(o *outbox) {
	if o.socket.raw == nil || !canDoNow {
		o.block() // as it may, on this system
		return
	}
	for {
		w.buf = o.take(w.buf[:0])
		if len(w.buf) == 0 {
			o.wrote(0, nil)
			return
		}
		if err := o.socket.raw.Write(w.try); err != nil {
			w.n, w.err = 0, err
		}
		full := w.n < len(w.buf)
		if o.wrote(w.n, w.err) == 0 {
			return
		}
		if !full && o.separates() {
			return
		}
		if full {
			o.block()
			return
		}
	}
}
