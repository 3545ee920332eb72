package conn

import (
	"sync"
	"sync/atomic"
	"time"
)

// outbox holds the frames that wait to be written to one client. It bounds them, and
// decides which are written at once and which are joined.
type outbox struct {
	cfg    *Config
	socket *socket
	loop   *loop         // writes to the socket
	slow   *atomic.Int64 // counts clients that read too slowly

	mu      sync.Mutex // guards the fields below; held while the loop's mutex is locked
	queue   [][]byte
	sent    int // bytes of queue[0] that are written
	waiting int // bytes in queue that are not written
	flight  int // bytes of queue that are being written now
	written int // bytes written so far
	// answers are the bytes of answers since the queue was last empty. They do not
	// count towards the limit of slow clients, because the client asked for them.
	answers   int
	drained   signal    // the queue is within its limit
	flushed   signal    // the queue is written, or the socket accepts nothing
	scheduled bool      // a loop or a goroutine will write the queue
	stuck     bool      // the socket accepts nothing now, and a goroutine waits for it
	broken    bool      // writing failed
	closing   bool      // the last frame was queued: a close frame
	closed    closure   // our close; zero without one
	began     time.Time // when the last write began
	extra     time.Time // when all of maxExtra are possible again
	answered  time.Time // when an answer was last written at once
	single    int       // frames, from the front of queue on, that are written one by one
}

// closure is the code and the reason of a close frame.
type closure struct {
	code   int
	reason string
}

// quietFor is how long nothing was written to a connection that counts as quiet.
const quietFor = time.Second

// maxSingle is how many frames go out one by one when a quiet connection has an
// answer to send: as many as follow a few handshakes. Some clients lose a message that
// arrives in one segment with another while they wait for the first.
const maxSingle = 8

// maxExtra is how many writes may follow others sooner than JoinEvery, before frames are
// joined. They cover what follows a command: the answer, the client's own message, and what
// others say about it.
const maxExtra = 3

// extraEvery is how often another such write becomes possible.
const extraEvery = 100 * time.Millisecond

// frameGap is the pause between two such frames. Without it the system or the client
// joins them.
const frameGap = time.Millisecond

// burst is how many times OutboxLimit may wait for a client whose socket accepts data:
// then the node itself has not written yet, for example because the end of an outage of
// Redis released many messages at once.
const burst = 8

// send queues a frame. It returns false if the client reads too slowly: then the outbox
// has been overrun, and is closing.
func (o *outbox) send(b []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing || o.broken {
		return true
	}
	limit := o.cfg.OutboxLimit
	if !o.stuck {
		limit *= burst
	}
	if o.waiting+len(b) > limit+o.answers && o.waiting > 0 {
		o.overrunLocked()
		return false
	}
	o.pushLocked(b, false)
	return true
}

// answer queues a frame that answers the client, without a limit.
func (o *outbox) answer(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing || o.broken {
		return
	}
	o.answers += len(b)
	now := time.Now()
	if !o.scheduled && now.Sub(o.began) >= quietFor {
		o.single = maxSingle
	}
	// The client waits for the answer: it is written at once, even to a busy connection.
	// Many answers are joined.
	atOnce := !o.scheduled && now.Sub(o.answered) >= o.cfg.JoinEvery
	if atOnce {
		o.answered = now
	}
	o.pushLocked(b, atOnce)
}

// pushLocked queues bytes and schedules their writing: at once, if that is asked for or if
// few writes preceded it.
func (o *outbox) pushLocked(b []byte, atOnce bool) {
	o.queue = append(o.queue, b)
	o.waiting += len(b)
	if !o.scheduled {
		o.scheduled = true
		o.loop.push(o, atOnce || o.mayWriteLocked(time.Now()))
	}
}

// mayWriteLocked reports whether a frame is written at once: after JoinEvery without a
// write, or as one of maxExtra.
func (o *outbox) mayWriteLocked(now time.Time) bool {
	if now.Sub(o.began) >= o.cfg.JoinEvery {
		return true
	}
	if o.extra.Sub(now) > (maxExtra-1)*extraEvery {
		return false
	}
	if o.extra.Before(now) {
		o.extra = now
	}
	o.extra = o.extra.Add(extraEvery)
	return true
}

// awaitRoom blocks until the outbox is within its limit, so that a client receives its
// answers before it can ask for more. It returns false if that takes too long: then the
// outbox has been overrun, and is closing.
func (o *outbox) awaitRoom() bool {
	return closedWithin(o.cfg.IdleAfter, o.expectRoom()) || !o.overrun()
}

// expectRoom returns a channel that is closed when the outbox is within its limit; nil
// if it is now.
func (o *outbox) expectRoom() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting <= o.cfg.OutboxLimit || o.closing || o.broken {
		return nil
	}
	return o.drained.expect()
}

// notifyDrainedLocked wakes the goroutine that waits for room in the outbox, if there is
// room.
func (o *outbox) notifyDrainedLocked() {
	if o.waiting <= o.cfg.OutboxLimit || o.closing || o.broken {
		o.drained.notify()
	}
}

// close queues the close frame, after which nothing is queued. It returns false if the
// outbox is closing already.
func (o *outbox) close(code int, reason string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return false
	}
	o.closeLocked(code, reason)
	return true
}

func (o *outbox) closeLocked(code int, reason string) {
	o.closed = closure{code, reason}
	o.pushLocked(closeFrame(code, reason), false)
	o.closing = true
	o.notifyDrainedLocked()
}

// overrun drops the queue of a client that reads too slowly, except for the rest of a
// frame that has begun, and queues the close frame. It returns false if the outbox is
// closing already.
func (o *outbox) overrun() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return false
	}
	o.overrunLocked()
	return true
}

func (o *outbox) overrunLocked() {
	o.slow.Add(1)
	keep, bytes := 0, -o.sent
	for keep < len(o.queue) && (bytes < 0 || bytes < o.flight) {
		bytes += len(o.queue[keep])
		keep++
	}
	clear(o.queue[keep:])
	o.queue = o.queue[:keep]
	o.waiting = bytes
	o.closeLocked(CloseSlow, "you read too slowly")
}

// end makes the outbox accept nothing more. It returns our close, and whether the outbox
// was closing before.
func (o *outbox) end() (ours closure, before bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before = o.closing
	o.closing = true
	return o.closed, before
}

// echo answers the client's close frame with its own code (RFC 6455 section 5.5.1), after
// end.
func (o *outbox) echo(code int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if code == noStatus {
		o.pushLocked(frame(finClose, nil), false)
	} else {
		o.pushLocked(closeFrame(code, ""), false)
	}
}

// flushTime is how long the last frames may take to be written once the socket accepts
// nothing.
const flushTime = 64 * time.Millisecond

// flush waits until the queue, which may have the close frame, is written: for Linger at
// most, and for flushTime at most once the socket accepts nothing.
func (o *outbox) flush() {
	if closedWithin(o.cfg.Linger, o.expectWritten(false)) {
		closedWithin(flushTime, o.expectWritten(true))
	}
}

// expectWritten returns a channel that is closed when the queue is written or the socket
// accepts nothing; nil if the queue is written, or if the socket accepts nothing now and
// block is false.
func (o *outbox) expectWritten(block bool) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting == 0 || o.stuck && !block {
		return nil
	}
	return o.flushed.expect()
}

// pending returns how many bytes wait.
func (o *outbox) pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting
}

// progress returns how many bytes were written to the socket so far, and how many wait.
func (o *outbox) progress() (written, waiting int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written, o.waiting
}

// isClosing reports whether the close frame was queued.
func (o *outbox) isClosing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing
}

// take copies the front of the queue into buf, to be written: one frame while frames are
// written one by one, else as many as fit.
func (o *outbox) take(buf []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	skip := o.sent
	for i, b := range o.queue {
		if i == 1 && o.single > 0 {
			break
		}
		if len(buf)+len(b)-skip > cap(buf) {
			if len(buf) == 0 { // larger than the buffer: a part of it
				buf = append(buf, b[skip:skip+cap(buf)]...)
			}
			break
		}
		buf = append(buf, b[skip:]...)
		skip = 0
	}
	if o.single > 0 {
		o.single--
	}
	o.began = time.Now()
	o.flight = len(buf)
	return buf
}

// wrote removes n bytes from the queue, and returns how many are left; if none are, the
// queue is no longer scheduled.
func (o *outbox) wrote(n int, err error) (left int) {
	if err != nil {
		defer func() { _ = o.socket.net.Close() }() // after the lock: it writes with TLS. The reader ends
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting -= n
	o.written += n
	o.flight = 0
	for n > 0 {
		rest := len(o.queue[0]) - o.sent
		if n < rest {
			o.sent += n
			break
		}
		n -= rest
		o.sent = 0
		o.queue[0] = nil
		o.queue = o.queue[1:]
	}
	if err != nil {
		o.broken = true
		o.queue, o.sent, o.waiting = nil, 0, 0
	}
	if o.waiting == 0 {
		o.queue, o.answers = nil, 0
		o.scheduled, o.stuck = false, false
		o.flushed.notify()
	}
	o.notifyDrainedLocked()
	return o.waiting
}

// separates reports whether the next frame is to be written apart from the last one,
// and if so passes the queue to the loop again after frameGap.
func (o *outbox) separates() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.single == 0 || o.sent > 0 {
		return false
	}
	time.AfterFunc(frameGap, func() { o.loop.push(o, true) }) // runs once
	return true
}

// block starts a goroutine that writes the queue and blocks on the socket.
func (o *outbox) block() {
	o.setStuck()
	go o.writeOut() // ends with the queue or the connection
}

func (o *outbox) setStuck() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stuck = true
	o.flushed.notify()
}

// blockingChunk is how much is written at once to a socket that blocks.
const blockingChunk = 16 << 10

// writeOut writes what a loop could not, and blocks on the socket. It ends when nothing
// is left, or with the connection: by a timeout, an overrun of the outbox, or the end
// of the server.
func (o *outbox) writeOut() {
	buf := make([]byte, 0, blockingChunk)
	for {
		buf = o.take(buf[:0])
		n, err := o.socket.net.Write(buf)
		if o.wrote(n, err) == 0 || o.separates() {
			return
		}
	}
}
