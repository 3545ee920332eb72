package client

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// ErrLost reports that the connection ended before the reply, so the outcome of the
// command is unknown.
var ErrLost = errors.New("the connection was lost")

// errLeft is the end of a connection that this side closed.
var errLeft = fmt.Errorf("%w: it was closed", ErrLost)

// Conn is one connection to one node, after its welcome. Read must be called by one
// goroutine at a time; the other methods are safe for concurrent use.
type Conn struct {
	url     string
	timing  Timing
	welcome protocol.WelcomeEvent
	auth    string            // the JWT of the hello
	joins   map[string]string // the rooms of the hello
	done    chan struct{}     // closed when the connection has ended

	socket    socket
	calls     calls
	heartbeat heartbeat

	mu    sync.Mutex // guards the fields below; no other lock is taken under it
	err   error      // the first failure: why it has ended, or will end
	ended bool
}

// Welcome returns the node's reply to hello.
func (c *Conn) Welcome() protocol.WelcomeEvent { return c.welcome }

// URL returns the base URL that was dialed.
func (c *Conn) URL() string { return c.url }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Write sends a command, whose reply Read returns. Invalid UTF-8 in its strings is
// replaced by U+FFFD.
func (c *Conn) Write(cmd protocol.ClientCommand) error { return c.WriteRef(cmd, "") }

// WriteRef is Write with a ref, which the reply repeats; "" for none. Request makes
// refs of its own, "r" and a number.
func (c *Conn) WriteRef(cmd protocol.ClientCommand, ref string) error {
	data, err := protocol.EncodeCommand(cmd, ref)
	if err != nil {
		return fmt.Errorf("write %s: %w", cmd.Type(), err)
	}
	return c.WriteRaw(data)
}

// WriteRaw sends a text frame unchanged, valid or not.
func (c *Conn) WriteRaw(frame []byte) error {
	if err := c.socket.write(frame, c.timing.Write); err != nil {
		err = fmt.Errorf("%w: %w", ErrLost, err)
		c.failed(err)
		return err
	}
	return nil
}

// Read returns the next event that is no reply to a Request or Call, and no pong. It
// passes replies to their calls. After an error the connection has ended; the error is
// a *ClosedError if the node sent a close frame.
func (c *Conn) Read() (Event, error) {
	for {
		e, err := c.socket.read()
		if err != nil {
			return Event{}, c.end(err)
		}
		if e.ref != "" && c.calls.answer(e) {
			continue
		}
		switch handled, err := c.calls.refusal(e); {
		case err != nil:
			return Event{}, c.end(err)
		case handled || e.Type == protocol.PongName:
			continue
		}
		return e, nil
	}
}

// closeWait bounds the wait for the node's close frame after a write has failed.
const closeWait = 250 * time.Millisecond

// failed records that a write failed. The reader gets a moment to receive the node's
// close frame, which says more than the failure.
func (c *Conn) failed(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	c.socket.netConn.limit(closeWait)
}

// end ends the connection, and returns why: the node's close frame, or else the first
// failure.
func (c *Conn) end(err error) error {
	first, why := c.recordEnd(err)
	if first {
		close(c.done)
		c.heartbeat.stop()
		c.socket.close()
	}
	return why
}

// recordEnd records the end of the connection. first is true for one call only.
func (c *Conn) recordEnd(err error) (first bool, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var closed *ClosedError
	if c.err == nil || (!c.ended && errors.As(err, &closed)) {
		c.err = err
	}
	first = !c.ended
	c.ended = true
	return first, c.err
}

// over reports whether the connection has ended or is about to end.
func (c *Conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// watch starts the heartbeat, and the limit to the node's silence.
func (c *Conn) watch() {
	c.socket.netConn.timeout.Store(int64(c.timing.Gone))
	c.heartbeat.start(c.timing.Ping, c.socket.netConn.quiet, func() error { return c.Write(protocol.PingCommand{}) })
}

// Close closes the connection. It waits, for at most Timing.Leave, for the node's close
// frame: by then the user's name is free for the next connection.
func (c *Conn) Close() {
	if c.over() {
		_ = c.end(ErrLost)
		return
	}
	if read := c.socket.leave(c.timing.Leave); !read { // another goroutine is in Read
		timer := time.NewTimer(c.timing.Leave)
		defer timer.Stop()
		select {
		case <-c.done:
		case <-timer.C:
		}
	}
	_ = c.end(errLeft)
}

// faults maps the close codes for a bad command to the error that the command fails
// with.
var faults = map[int]*protocol.Error{
	protocol.CloseTooLarge: protocol.Errorf(protocol.CodeTooLong, "the node takes no frame this large"),
	protocol.CloseNotUTF8:  protocol.Errorf(protocol.CodeBadField, "the node says that this is not UTF-8"),
	protocol.CloseBinary:   protocol.Errorf(protocol.CodeBadField, "the node says that this is no text"),
}

// fault returns the error of the bad command that ended the connection; nil if none
// did.
func (c *Conn) fault() *protocol.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var closed *ClosedError
	if errors.As(c.err, &closed) {
		return faults[closed.Code]
	}
	var refused *protocol.Error
	if errors.Is(c.err, errUnnamed) && errors.As(c.err, &refused) {
		return refused
	}
	return nil
}
