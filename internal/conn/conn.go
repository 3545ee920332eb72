package conn

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// Conn is one connection. Its methods may be called by any goroutine, and none
// of them blocks.
type Conn struct {
	server *Server
	net    net.Conn
	raw    syscall.RawConn // nil where there is no socket to write to at once
	socket syscall.RawConn // the same, also beneath TLS; nil where there is none
	loop   *loop
	slot   int            // of the wheel
	in     input          // the reader's, and its worker's while that is at work
	atWork sync.WaitGroup // a worker handles what the reader read

	mu      sync.Mutex // guards the fields below
	queue   [][]byte
	sent    int // bytes of queue[0] that are written
	waiting int // bytes in queue that are not
	flight  int // bytes of queue that are being written just now
	// answers are the bytes of answers since the queue was last empty: they
	// don't count as what the client reads too slowly, for it asked for them.
	answers int
	// drained is closed when the queue is within its limit again; nil while
	// nobody waits for that.
	drained   chan struct{}
	scheduled bool // a loop or a goroutine has the queue in its care
	// stuck tells that the socket takes no more for now, so that a goroutine
	// waits for it.
	stuck    bool
	framing  bool // a message has begun, whose end has a deadline of its own
	closing  bool // a close frame is in the queue, or was
	broken   bool // writing failed
	code     int  // of our close
	reason   string
	written  time.Time // when the last write began; zero lets the next begin at once
	answered time.Time // when an answer was last let go at once
	pongs    int       // answered in the second of pongAt
	pongAt   time.Time
	heard    time.Time // when bytes came last
	behind   backlog   // when the last ping went out, or was looked for
}

// maxPongs is how many pings a second are answered.
const maxPongs = 20

func newConn(s *Server, n net.Conn, l *loop) *Conn {
	c := &Conn{server: s, net: n, loop: l}
	if tcp, ok := n.(*net.TCPConn); ok {
		c.raw, _ = tcp.SyscallConn() // nil when it is closed: then writes fail anyhow
		c.socket = c.raw
	} else if beneath, ok := n.(interface{ NetConn() net.Conn }); ok {
		if tcp, ok := beneath.NetConn().(*net.TCPConn); ok {
			c.socket, _ = tcp.SyscallConn()
		}
	}
	return c
}

// Send puts a frame into the outbox. After a close it does nothing.
func (c *Conn) Send(f Frame) { c.enqueue(f.b) }

// Answer puts a frame into the outbox that answers what the client sent: however
// large, it does not count towards the bound past which a slow client is closed.
// In return no more is read from a client that has too many answers waiting.
func (c *Conn) Answer(f Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.broken {
		return
	}
	c.answers += len(f.b)
	if now := time.Now(); !c.scheduled && now.Sub(c.answered) >= c.server.cfg.JoinEvery {
		// Whoever asked waits for it: it goes at once, whatever was written just
		// before, as the sender's own message was. Many answers are joined.
		c.answered, c.written = now, time.Time{}
	}
	c.pushLocked(f.b)
}

// awaitRoom waits until the outbox is within its limit, so that a client takes
// the answers that it has before it asks for more.
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

// tellDrainedLocked lets go on who waits for room in the outbox.
func (c *Conn) tellDrainedLocked() {
	if c.drained != nil && (c.waiting <= c.server.cfg.OutboxLimit || c.closing || c.broken) {
		close(c.drained)
		c.drained = nil
	}
}

// Close sends a close frame after all that was sent before, gives the client a
// moment to answer, and ends the connection. Only the first call counts. With
// CloseSlow it drops what waits.
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
	c.tellDrainedLocked()
	_ = c.net.SetReadDeadline(time.Now().Add(c.server.cfg.Linger))
}

// Pending is how many bytes wait in the outbox.
func (c *Conn) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// Unsent is how many bytes wait in the outbox, or in the system without having
// been sent: these may be megabytes, which a slow client takes in a minute.
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

// setReadDeadline sets how long the reader may wait, but for one that waits for
// the answer to a close. framing tells that it waits for the rest of a message.
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

// burst is how many times OutboxLimit may wait for a client whose socket takes
// what it is given: then it is the node that has not come to writing yet, as
// when all that was held up while Redis was away comes at once.
const burst = 8

// overrunLocked gives a client up that does not read: what waits is dropped,
// but for the rest of a frame that has begun, and the close frame is sent for
// what it is worth.
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

// CloseSlow is the code to which a client is closed that reads too slowly.
const CloseSlow = 4008

// pushLocked queues bytes and sees to it that somebody writes them.
func (c *Conn) pushLocked(b []byte) {
	c.queue = append(c.queue, b)
	c.waiting += len(b)
	if !c.scheduled {
		c.scheduled = true
		c.loop.push(c, c.written)
	}
}

// take moves the front of the queue into buf, as much as there is room for.
func (c *Conn) take(buf []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	skip := c.sent
	for _, b := range c.queue {
		if len(buf)+len(b)-skip > cap(buf) {
			if len(buf) == 0 { // larger than the buffer: a part of it
				buf = append(buf, b[skip:skip+cap(buf)]...)
			}
			break
		}
		buf = append(buf, b[skip:]...)
		skip = 0
	}
	c.written = time.Now()
	c.flight = len(buf)
	return buf
}

// wrote takes n bytes off the queue. It returns what is left; when that is
// nothing, the queue is in nobody's care any more.
func (c *Conn) wrote(n int, err error) (left int) {
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
		_ = c.net.Close() // the reader ends
	}
	if c.waiting == 0 {
		c.queue, c.answers = nil, 0
		c.scheduled, c.stuck = false, false
	}
	c.tellDrainedLocked()
	return c.waiting
}

// writeOut writes what a loop could not, waiting for the socket to take it. It
// ends when nothing is left, or when the connection does: by the client's
// silence, by an overrun of the outbox, or by the server's end.
func (c *Conn) writeOut() {
	buf := make([]byte, 0, blockingChunk)
	for {
		buf = c.take(buf[:0])
		n, err := c.net.Write(buf)
		if c.wrote(n, err) == 0 {
			return
		}
	}
}

func (c *Conn) setStuck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = true
}

// blockingChunk is how much is handed at once to a socket that blocks.
const blockingChunk = 16 << 10

// finish tells the handler that no more will come, and ends the connection after
// its reader. The handler comes first: a client that has its close answered has left.
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

// flush waits a moment for what is queued, which may be the close frame.
func (c *Conn) flush() {
	for wait := time.Millisecond; wait < 64*time.Millisecond && c.Pending() > 0; wait *= 2 {
		time.Sleep(wait)
	}
}

// pong answers a ping, unless there are too many of them: only the last one
// has to be (RFC 6455 section 5.5.3).
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

// echo answers the client's close with its own code (RFC 6455 section 5.5.1).
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
