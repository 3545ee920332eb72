package conn

import "time"

// A silent client is closed some time after a ping. On a slow link the ping waits
// behind earlier data, so a client that is far behind gets more time as long as its
// side of the connection acknowledges more.

// muchBehind is how many bytes before a ping delay it. Fewer are sent in time even on
// the slowest usable links.
const muchBehind = 16 << 10

// backlog is what a client had not acknowledged at a time.
type backlog struct {
	written int // bytes written to its socket so far
	taken   int // those of them that the other side had acknowledged
	left    int // bytes not acknowledged, including the outbox
}

// ping sends a ping, and sets the reader's deadline for an answer.
func (c *Conn) ping() {
	c.Pinged()
	c.expect() // before the ping is sent, since the answer may arrive at once
	c.enqueue(pingFrame)
}

// expect sets the reader's deadline, unless it waits for the rest of a message.
func (c *Conn) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing && !c.framing {
		_ = c.net.SetReadDeadline(time.Now().Add(c.server.cfg.PongWithin))
	}
}

// Pinged records the backlog for Behind: a ping is being sent behind it.
func (c *Conn) Pinged() {
	unsent := c.unsent()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteLocked(unsent)
}

// Behind reports whether the client was far behind at the last ping or call of Behind,
// and has acknowledged some bytes since: then its answer may still arrive.
func (c *Conn) Behind() bool {
	unsent := c.unsent()
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.behind
	c.noteLocked(unsent)
	return before.left > muchBehind && c.behind.taken > before.taken
}

func (c *Conn) noteLocked(unsent int) {
	c.behind.taken, c.behind.left = c.behind.written-unsent, c.waiting+unsent
}

// unsent returns how many bytes in the socket the other side has not acknowledged; 0 if
// that is unknown.
func (c *Conn) unsent() int {
	n := 0
	if c.raw != nil {
		_ = c.raw.Control(func(fd uintptr) { n = unconfirmed(fd) })
	}
	return n
}

// hear records that bytes arrived.
func (c *Conn) hear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
}

// Heard returns when the client's last bytes arrived, even part of a frame.
func (c *Conn) Heard() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// patient reports whether the reader continues to wait after its deadline.
func (c *Conn) patient() bool {
	if !c.Behind() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.framing {
		return false
	}
	_ = c.net.SetReadDeadline(time.Now().Add(c.server.cfg.PongWithin))
	return true
}
