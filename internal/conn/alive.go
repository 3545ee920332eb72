package conn

import "time"

// A client that says nothing is given up some time after a ping. But on a slow link
// the ping waits behind what was sent before, for as long as that takes: so a client
// that is far behind has longer, as long as its side of the connection takes more.

// muchBehind is how many bytes before a ping delay it. Less is through in time even
// on the slowest links that are of use.
const muchBehind = 16 << 10

// backlog is what a client had not taken at some time.
type backlog struct {
	written int // bytes that its socket was given, all in all
	taken   int // those of them that the other side has confirmed, then
	left    int // what was not taken, then, the outbox included
}

// ping sends a ping, and has the reader wait for an answer.
func (c *Conn) ping() {
	c.Pinged()
	c.expect() // before the ping goes out, or the answer might come before
	c.enqueue(pingFrame)
}

// expect has the reader wait for something, unless it waits for the rest of a message.
func (c *Conn) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing && !c.framing {
		_ = c.net.SetReadDeadline(time.Now().Add(c.server.cfg.PongWithin))
	}
}

// Pinged notes what waits for the client, for Behind: a ping goes out behind it now.
func (c *Conn) Pinged() {
	unsent := c.unsent()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteLocked(unsent)
}

// Behind reports whether the client was far behind when it was pinged, or when this
// was asked last, and has taken some more since: then its answer may still come.
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

// unsent is how many bytes the socket holds that the other side has not confirmed;
// 0 where that can't be told.
func (c *Conn) unsent() int {
	n := 0
	if c.raw != nil {
		_ = c.raw.Control(func(fd uintptr) { n = unconfirmed(fd) })
	}
	return n
}

// hear notes that bytes came.
func (c *Conn) hear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
}

// Heard is when the client's last bytes came, be they a part of a frame.
func (c *Conn) Heard() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// patient reports whether the reader waits on after its deadline.
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
