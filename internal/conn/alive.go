package conn

import (
	"sync"
	"time"
)

// A silent client is closed some time after a ping. On a slow link the ping waits
// behind earlier data, so a client that is far behind gets more time as long as its
// side of the connection acknowledges more.

// muchBehind is how many bytes before a ping delay it. Fewer are sent in time even on
// the slowest usable links.
const muchBehind = 16 << 10

// backlog is what a client had not acknowledged at a time.
type backlog struct {
	acknowledged int // bytes written to its socket that the other side had acknowledged
	left         int // bytes that it had not, including the outbox
}

// liveness watches whether a client is still there, and sets the deadline of its reader.
type liveness struct {
	cfg    *Config
	socket *socket

	mu      sync.Mutex // guards the fields below, and the order in which deadlines are set
	heard   time.Time  // when the last bytes arrived
	behind  backlog    // at the last ping or call of Behind
	framing bool       // a message has begun, whose end has its own deadline
	closing bool       // the reader waits for the answer to our close
}

// hear records that bytes arrived.
func (l *liveness) hear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = time.Now()
}

// lastHeard returns when bytes last arrived.
func (l *liveness) lastHeard() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}

// advance records the backlog, and reports whether the client was far behind at the last
// call and has acknowledged some bytes since.
func (l *liveness) advance(now backlog) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.behind
	l.behind = now
	return before.left > muchBehind && now.acknowledged > before.acknowledged
}

// expect sets the reader's deadline, unless it waits for the answer to a close. framing
// reports that it waits for the rest of a message.
func (l *liveness) expect(d time.Duration, framing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.framing = framing
	if !l.closing {
		_ = l.socket.net.SetReadDeadline(time.Now().Add(d))
	}
}

// expectPong sets the reader's deadline for the answer to a ping. It returns false, and
// sets nothing, if the reader waits for the rest of a message or the answer to a close.
func (l *liveness) expectPong() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || l.framing {
		return false
	}
	_ = l.socket.net.SetReadDeadline(time.Now().Add(l.cfg.PongWithin))
	return true
}

// linger sets the reader's last deadline, for the answer to our close.
func (l *liveness) linger() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	_ = l.socket.net.SetReadDeadline(time.Now().Add(l.cfg.Linger))
}
