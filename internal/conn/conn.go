package conn

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// Conn is one connection. Its methods are safe for concurrent use, and none of them
// blocks.
type Conn struct {
	server *Server
	net    net.Conn
	raw    syscall.RawConn // nil if the socket can't be written to without blocking
	socket syscall.RawConn // the same, also beneath TLS; nil if there is none
	loop   *loop
	slot   int            // in the wheel of pings
	in     input          // used by the reader, and by its worker while that runs
	atWork sync.WaitGroup // a worker is handling what the reader read

	mu      sync.Mutex // guards the fields below
	queue   [][]byte
	sent    int // bytes of queue[0] that are written
	waiting int // bytes in queue that are not written
	flight  int // bytes of queue that are being written now
	// answers are the bytes of answers since the queue was last empty. They do not
	// count towards the limit of slow clients, because the client asked for them.
	answers int
	// drained is closed when the queue is within its limit again, or with flushing when it
	// is empty; nil unless a goroutine waits for that.
	drained   chan struct{}
	flushing  bool // see flush
	scheduled bool // a loop or a goroutine will write the queue
	// stuck reports that the socket accepts no more now, so a goroutine waits for it.
	stuck    bool
	framing  bool // a message has begun, whose end has its own deadline
	closing  bool // a close frame was queued
	broken   bool // writing failed
	code     int  // of our close
	reason   string
	written  time.Time // when the last write began; zero permits the next one at once
	answered time.Time // when an answer was last written at once
	single   int       // frames, from the front of queue on, that are written one by one
	pongs    int       // pongs sent in the second of pongAt
	pongAt   time.Time
	heard    time.Time // when the last bytes arrived
	behind   backlog   // at the last ping or call of Behind
}

// quietFor is how long nothing was written to a connection that counts as quiet.
const quietFor = time.Second

// maxSingle is how many frames go out one by one when a quiet connection has an
// answer to send: as many as follow a few handshakes. Some clients lose a message that
// arrives in one segment with another while they wait for the first.
const maxSingle = 8

// frameGap is the pause between two such frames. Without it the system or the client
// joins them.
const frameGap = time.Millisecond

// maxPongs is how many pings a second are answered.
const maxPongs = 20

func newConn(s *Server, n net.Conn, l *loop) *Conn {
	c := &Conn{server: s, net: n, loop: l}
	if tcp, ok := n.(*net.TCPConn); ok {
		c.raw, _ = tcp.SyscallConn() // nil if it is closed; then writes fail too
		c.socket = c.raw
	} else if beneath, ok := n.(interface{ NetConn() net.Conn }); ok {
		if tcp, ok := beneath.NetConn().(*net.TCPConn); ok {
			c.socket, _ = tcp.SyscallConn()
		}
	}
	return c
}

// Send queues a frame. After a close it does nothing.
func (c *Conn) Send(f Frame) { c.enqueue(f.b) }

// Answer queues a frame that answers the client. It does not count towards the limit of
// slow clients, however large it is; instead, reading pauses while the client has too
// many answers waiting.
func (c *Conn) Answer(f Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.broken {
		return
	}
	c.answers += len(f.b)
	now := time.Now()
	if !c.scheduled && now.Sub(c.written) >= quietFor {
		c.single = maxSingle
	}
	if !c.scheduled && now.Sub(c.answered) >= c.server.cfg.JoinEvery {
		// The client waits for the answer: it is written at once, even right after
		// another write such as the sender's own message. Many answers are joined.
		c.answered, c.written = now, time.Time{}
	}
	c.pushLocked(f.b)
}

// awaitRoom blocks until the outbox is within its limit, so that a client receives its
// answers before it can ask for more.
func (c *Conn) awaitRoom() {
	c.mu.Lock()
	if c.waiting <= c.server.cfg.OutboxLimit || c.closing || c.broken {
		c.mu.Unlock()
		return
	}
	drained := make(chan struct{})
	c.drained = drained
	c.mu.Unlock()
	timer := time.NewTimer(c.server.cfg.IdleAfter)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.overrunLocked()
	}
}

// notifyDrainedLocked wakes the goroutine that waits in awaitRoom or flush.
func (c *Conn) notifyDrainedLocked() {
	if c.drained == nil {
		return
	}
	room := c.waiting <= c.server.cfg.OutboxLimit || c.closing
	if c.flushing {
		room = c.waiting == 0
	}
	if room || c.broken {
		close(c.drained)
		c.drained = nil
	}
}

// Close queues a close frame, gives the client a moment to answer, and ends the
// connection. Only the first call counts. With CloseSlow it drops what is queued.
func (c *Conn) Close(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if code == CloseSlow {
		c.overrunLocked()
		return
	}
	c.closeLocked(code, reason)
}

func (c *Conn) closeLocked(code int, reason string) {
	if c.closing {
		return
	}
	c.code, c.reason = code, reason
	c.pushLocked(closeFrame(code, reason))
	c.closing = true
	c.notifyDrainedLocked()
	_ = c.net.SetReadDeadline(time.Now().Add(c.server.cfg.Linger))
}

// Pending returns how many bytes wait in the outbox.
func (c *Conn) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// Unsent returns how many bytes wait in the outbox, or unsent in the kernel: the latter
// may be megabytes, which take a slow client a minute.
func (c *Conn) Unsent() int {
	n := c.Pending()
	if c.socket != nil {
		n += unsentBy(c.socket)
	}
	return n
}

func (c *Conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// setReadDeadline sets the reader's deadline, unless it waits for the answer to a
// close. framing reports that it waits for the rest of a message.
func (c *Conn) setReadDeadline(d time.Duration, framing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.framing = framing
	if !c.closing {
		_ = c.net.SetReadDeadline(time.Now().Add(d))
	}
}

func (c *Conn) enqueue(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.broken {
		return
	}
	limit := c.server.cfg.OutboxLimit
	if !c.stuck {
		limit *= burst
	}
	if c.waiting+len(b) > limit+c.answers && c.waiting > 0 {
		c.overrunLocked()
		return
	}
	c.pushLocked(b)
}

// burst is how many times OutboxLimit may wait for a client whose socket accepts data:
// then the node is what has not written yet, as when all that was held up by an absence
// of Redis is sent at once.
const burst = 8

// overrunLocked closes a client that does not read: it drops the queue, except for the
// rest of a frame that has begun, and tries to send the close frame.
func (c *Conn) overrunLocked() {
	if c.closing {
		return
	}
	c.server.slow.Add(1)
	keep, bytes := 0, -c.sent
	for keep < len(c.queue) && (bytes < 0 || bytes < c.flight) {
		bytes += len(c.queue[keep])
		keep++
	}
	clear(c.queue[keep:])
	c.queue = c.queue[:keep]
	c.waiting = bytes
	c.closeLocked(CloseSlow, "you read too slowly")
	_ = c.net.SetWriteDeadline(time.Now().Add(c.server.cfg.Linger))
}

// CloseSlow is the close code for a client that reads too slowly.
const CloseSlow = 4008

// pushLocked queues bytes and schedules their writing.
func (c *Conn) pushLocked(b []byte) {
	c.queue = append(c.queue, b)
	c.waiting += len(b)
	if !c.scheduled {
		c.scheduled = true
		c.loop.push(c, c.written)
	}
}

// take moves the front of the queue into buf: one frame while frames are written one
// by one, else as many as fit.
func (c *Conn) take(buf []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	skip := c.sent
	for i, b := range c.queue {
		if i == 1 && c.single > 0 {
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
	if c.single > 0 {
		c.single--
	}
	c.written = time.Now()
	c.flight = len(buf)
	return buf
}

// wrote removes n bytes from the queue, and returns how many are left; if none are, the
// queue is no longer scheduled.
func (c *Conn) wrote(n int, err error) (left int) {
	if err != nil {
		defer func() { _ = c.net.Close() }() // after the lock: it writes with TLS. The reader ends
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting -= n
	c.behind.written += n
	c.flight = 0
	for n > 0 {
		rest := len(c.queue[0]) - c.sent
		if n < rest {
			c.sent += n
			break
		}
		n -= rest
		c.sent = 0
		c.queue[0] = nil
		c.queue = c.queue[1:]
	}
	if err != nil {
		c.broken = true
		c.queue, c.sent, c.waiting = nil, 0, 0
	}
	if c.waiting == 0 {
		c.queue, c.answers = nil, 0
		c.scheduled, c.stuck = false, false
	}
	c.notifyDrainedLocked()
	return c.waiting
}

// writeOut writes what a loop could not, and blocks on the socket. It ends when nothing
// is left, or with the connection: by a timeout, an overrun of the outbox, or the end
// of the server.
func (c *Conn) writeOut() {
	buf := make([]byte, 0, blockingChunk)
	for {
		buf = c.take(buf[:0])
		n, err := c.net.Write(buf)
		if c.wrote(n, err) == 0 || c.separates() {
			return
		}
	}
}

// separates reports whether the next frame is to be written apart from the last one,
// and if so hands the queue to the loop again after frameGap.
func (c *Conn) separates() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.single == 0 || c.sent > 0 {
		return false
	}
	time.AfterFunc(frameGap, func() { c.loop.push(c, time.Time{}) }) // runs once
	return true
}

func (c *Conn) setStuck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = true
}

// blockingChunk is how much is written at once to a socket that blocks.
const blockingChunk = 16 << 10

// finish calls the handler's Closed, and ends the connection after its reader. The
// handler comes first: when a client receives the answer to its close, it has left.
func (c *Conn) finish() {
	handler, code, reason := c.in.handler, c.in.code, c.in.reason
	c.mu.Lock()
	if c.closing && c.code != 0 {
		code, reason = c.code, c.reason
	}
	answer := c.in.closed && !c.closing
	c.closing = true
	c.mu.Unlock()
	defer func() { // also after a panic
		if answer {
			c.echo(code)
		}
		c.flush()
		_ = c.net.Close()
	}()
	if handler != nil {
		handler.Closed(code, reason)
	}
}

// flushTime is how long the last frames may take to be written.
const flushTime = 64 * time.Millisecond

// flush waits until the queue, which may have the close frame, is written, at most for
// flushTime.
func (c *Conn) flush() {
	c.mu.Lock()
	if c.waiting == 0 || c.broken {
		c.mu.Unlock()
		return
	}
	drained := make(chan struct{})
	c.drained, c.flushing = drained, true
	c.mu.Unlock()
	timer := time.NewTimer(flushTime)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
	}
}

// pong answers a ping, unless there are too many: only the last one needs an answer
// (RFC 6455 section 5.5.3).
func (c *Conn) pong(data []byte) {
	c.mu.Lock()
	if now := time.Now(); now.Sub(c.pongAt) > time.Second {
		c.pongAt, c.pongs = now, 0
	}
	c.pongs++
	answer := c.pongs <= maxPongs
	c.mu.Unlock()
	if answer {
		c.enqueue(frame(finPong, data))
	}
}

// echo answers the client's close frame with its own code (RFC 6455 section 5.5.1).
func (c *Conn) echo(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if code == noStatus {
		c.pushLocked(frame(finClose, nil))
	} else {
		c.pushLocked(closeFrame(code, ""))
	}
	c.closing = true
}

// noStatus stands for a close frame without a code (RFC 6455 section 7.4.1).
const noStatus = 1005
