package conn

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Conn is one connection. Its methods are safe for concurrent use, and none of them
// blocks.
//
// Each part owns its state and documents what guards it. No two parts are locked at the same
// time.
type Conn struct {
	server *Server
	socket socket
	out    outbox         // what the client gets
	alive  liveness       // whether the client is there, and how long the reader waits for it
	in     input          // what the client sends; used by the reader, and by its worker while that runs
	slot   int            // in the wheel of pings
	atWork sync.WaitGroup // a worker is handling what the reader read
}

func newConn(s *Server, n net.Conn, l *loop) *Conn {
	c := &Conn{server: s, socket: newSocket(n)}
	c.out = outbox{cfg: &s.cfg, socket: &c.socket, loop: l, slow: &s.slow}
	c.alive = liveness{cfg: &s.cfg, socket: &c.socket}
	c.in = input{conn: c, code: websocket.CloseAbnormalClosure}
	return c
}

// Send queues a frame. After a close it does nothing.
func (c *Conn) Send(f Frame) { c.send(f.b) }

func (c *Conn) send(b []byte) {
	if !c.out.send(b) {
		c.cutOff()
	}
}

// Answer queues a frame that answers the client. It does not count towards the limit of
// slow clients, however large it is; instead, reading pauses while the client has too
// many answers waiting.
func (c *Conn) Answer(f Frame) { c.out.answer(f.b) }

// CloseSlow is the close code for a client that reads too slowly.
const CloseSlow = 4008

// Close queues a close frame, gives the client a moment to answer, and ends the
// connection. Only the first call counts. With CloseSlow it drops what is queued.
func (c *Conn) Close(code int, reason string) {
	switch {
	case code == CloseSlow:
		if c.out.overrun() {
			c.cutOff()
		}
	case c.out.close(code, reason):
		c.alive.linger()
	}
}

// cutOff ends a connection whose outbox was overrun: it bounds the time in which the
// close frame is written and answered.
func (c *Conn) cutOff() {
	c.alive.linger()
	_ = c.socket.net.SetWriteDeadline(time.Now().Add(c.server.cfg.Linger))
}

// Pending returns how many bytes wait in the outbox.
func (c *Conn) Pending() int { return c.out.pending() }

// Unsent returns how many bytes wait in the outbox, or unsent in the kernel: the latter
// may be megabytes, which take a slow client a minute.
func (c *Conn) Unsent() int { return c.out.pending() + c.socket.unsent() }

// Pinged records the backlog for Behind: a ping is being sent behind it.
func (c *Conn) Pinged() { c.Behind() }

// Behind reports whether the client was far behind at the last ping or call of Behind,
// and has acknowledged some bytes since: then its answer may still arrive.
func (c *Conn) Behind() bool {
	unacknowledged := c.socket.unacknowledged()
	written, waiting := c.out.progress()
	return c.alive.advance(backlog{acknowledged: written - unacknowledged, left: waiting + unacknowledged})
}

// Heard returns when the client's last bytes arrived, even part of a frame.
func (c *Conn) Heard() time.Time { return c.alive.lastHeard() }

// ping sends a ping, and sets the reader's deadline for an answer.
func (c *Conn) ping() {
	c.Pinged()
	c.alive.expectPong() // before the ping is sent, since the answer may arrive at once
	c.send(pingFrame)
}

// read is the reader of a connection: its only goroutine while it is idle.
func (c *Conn) read(open func(*Conn) Handler) {
	defer c.server.remove(c)
	c.server.workers.do(job{conn: c, what: jobOpen, open: open})
	read := c.socket.reader()
	for !c.in.ended {
		buf, err := read()
		if errors.Is(err, os.ErrDeadlineExceeded) && c.Behind() && c.alive.expectPong() {
			continue
		}
		if err != nil {
			break
		}
		c.server.workers.do(job{conn: c, what: jobFeed, data: buf})
	}
	c.server.workers.do(job{conn: c, what: jobFinish})
}

// finish calls the handler's Closed, and ends the connection after its reader. The
// handler is called first: when a client receives the answer to its close, its name is
// free again.
func (c *Conn) finish() {
	code, reason := c.in.code, c.in.reason
	ours, before := c.out.end()
	if ours.code != 0 {
		code, reason = ours.code, ours.reason
	}
	defer func() { // also after a panic
		if c.in.closed && !before {
			c.out.echo(code)
		}
		c.out.flush()
		_ = c.socket.net.Close()
	}()
	if c.in.handler != nil {
		c.in.handler.Closed(code, reason)
	}
}
