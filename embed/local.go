package embed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// local is a connection within the process: Write carries out the commands that it
// completes, in the goroutine that calls it, and Read returns the replies. So a command
// costs no system call, and no other goroutine has to wake up.
type local struct {
	broker *Broker
	in     *inbox

	mu      sync.Mutex // held while commands are carried out; guards the fields below
	c       *connection
	said    bytes.Reader // what c reads
	pending []byte       // the beginning of a command
	closed  bool
}

// errAway reports that the broker accepts no clients.
var errAway = errors.New("the embedded broker is away")

// Dial connects to the broker within this process, without a socket. The client has to
// give the password like any other. ctx is not needed, since it does not wait.
func (b *Broker) Dial(context.Context) (net.Conn, error) {
	l := &local{broker: b, in: &inbox{limit: b.cfg.QueueLimit, wake: make(chan struct{}, 1)}}
	l.c = newConnection(b, &l.said, l.in)
	if !b.add(l) {
		return nil, errAway
	}
	return l, nil
}

// Write carries out commands. It returns when they are carried out, and never waits for
// Read.
func (l *local) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.c.peer.Closed() {
		return 0, net.ErrClosed
	}
	rest := b
	if len(l.pending) > 0 {
		l.pending = append(l.pending, b...)
		rest = l.pending
	}
	rest, err := l.carryOut(rest)
	l.c.peer.Flush()
	if len(rest) == 0 && cap(l.pending) > keptPiece {
		l.pending = nil
	}
	l.pending = append(l.pending[:0], rest...)
	if err != nil || l.c.peer.Closed() {
		l.in.close()
	}
	return len(b), nil
}

// carryOut carries out the commands that b begins with, and returns the rest.
func (l *local) carryOut(b []byte) (rest []byte, err error) {
	l.said.Reset(b)
	l.c.in.Reset(&l.said)
	for len(b) > 0 && !l.c.peer.Closed() {
		if err := l.c.next(); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return b, nil // the command is not complete
		} else if err != nil {
			return nil, err
		}
		b = b[len(b)-l.said.Len()-l.c.in.Buffered():]
	}
	return b, nil
}

// Read returns replies, and what is published. It waits until there are any.
func (l *local) Read(b []byte) (int, error) { return l.in.read(b) }

// Close ends the connection.
func (l *local) Close() error {
	l.in.close()
	l.c.peer.Close() // a command that waits ends with the next one of anybody
	l.broker.engine.do(func(e *engine) { e.redis.Dispatch(l.c.peer, []string{"PING"}) })
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.c.end()
		l.broker.remove(l)
	}
	return nil
}

// SetDeadline sets that of Read; Write does not wait.
func (l *local) SetDeadline(t time.Time) error { return l.SetReadDeadline(t) }

// SetReadDeadline sets the time at which Read waits no longer.
func (l *local) SetReadDeadline(t time.Time) error {
	l.in.setDeadline(t)
	return nil
}

// SetWriteDeadline does nothing, since Write does not wait.
func (l *local) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr returns the broker's address.
func (l *local) LocalAddr() net.Addr { return l.broker.listener.Addr() }

// RemoteAddr returns the broker's address.
func (l *local) RemoteAddr() net.Addr { return l.broker.listener.Addr() }

// inbox holds what waits to be read from a local connection, within a limit.
type inbox struct {
	limit int
	wake  chan struct{} // has a token when something changed that a reader waits for

	mu       sync.Mutex // guards the fields below
	bytes    bytes.Buffer
	deadline time.Time
	closed   bool
}

// Write adds b. It implements io.Writer.
func (i *inbox) Write(b []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed && i.bytes.Len()+len(b) > i.limit {
		i.closed = true // its client reads too slowly
	}
	i.signal()
	if i.closed {
		return 0, net.ErrClosed
	}
	return i.bytes.Write(b)
}

func (i *inbox) signal() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	i.signal()
}

func (i *inbox) setDeadline(t time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.deadline = t
	if !t.IsZero() {
		i.signal() // a reader waits for the new one
	}
}

// read returns what waits, and waits for it.
func (i *inbox) read(b []byte) (int, error) {
	for {
		n, deadline, err := i.take(b)
		if n > 0 || err != nil {
			return n, err
		}
		if deadline.IsZero() {
			<-i.wake
			continue
		}
		timer := time.NewTimer(time.Until(deadline))
		select {
		case <-i.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take returns what can be read at once. Its error is io.EOF after the end of the
// connection, or os.ErrDeadlineExceeded.
func (i *inbox) take(b []byte) (n int, deadline time.Time, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	n, _ = i.bytes.Read(b) // its error is that there is nothing
	if i.bytes.Len() == 0 && i.bytes.Cap() > keptPiece {
		i.bytes = bytes.Buffer{}
	}
	switch {
	case n > 0:
	case i.closed:
		err = io.EOF
	case !i.deadline.IsZero() && !time.Now().Before(i.deadline):
		err = os.ErrDeadlineExceeded
	}
	return n, i.deadline, err
}
