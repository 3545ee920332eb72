package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/protocol"
)

// ErrLost reports that the connection ended before the reply, so the outcome of the
// command is unknown.
var ErrLost = errors.New("the connection was lost")

// errSilent reports that nothing was received for too long.
var errSilent = errors.New("nothing was heard from the node")

// Conn is one connection to one node, after its welcome. Read must be called by one
// goroutine at a time; the other methods are safe for concurrent use.
type Conn struct {
	url     string
	ws      *websocket.Conn
	netConn *timeoutConn
	timing  Timing
	welcome protocol.WelcomeEvent
	auth    string            // the JWT of the hello
	joins   map[string]string // the rooms of the hello
	done    chan struct{}     // closed when the connection has ended

	writing sync.Mutex // held while a frame is written; no other lock is taken under it
	reading sync.Mutex // held while a frame is read, and by Close if no goroutine reads

	mu      sync.Mutex // guards the fields below
	err     error      // the first failure: why it has ended, or will end
	ended   bool
	refs    uint64
	replies map[string]*call // calls in flight, by ref
	pinger  *time.Timer
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
	if err := c.writeFrame(frame); err != nil {
		err = fmt.Errorf("%w: %w", ErrLost, err)
		c.failed(err)
		return err
	}
	return nil
}

// writeFrame writes a text frame within Timing.Write. The lock guards the writing itself,
// which gorilla/websocket leaves to its caller.
func (c *Conn) writeFrame(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.ws.SetWriteDeadline(time.Now().Add(c.timing.Write)); err != nil {
		return err
	}
	return c.ws.WriteMessage(websocket.TextMessage, frame)
}

// Read returns the next event that is no reply to a Request or Call, and no pong. It
// passes replies to their calls. After an error the connection has ended; the error is
// a *ClosedError if the node sent a close frame.
func (c *Conn) Read() (Event, error) {
	for {
		e, err := c.readAny()
		if err != nil {
			return Event{}, c.end(err)
		}
		if e.ref != "" && c.answer(e) {
			continue
		}
		switch handled, err := c.refusal(e); {
		case err != nil:
			return Event{}, c.end(err)
		case handled || e.Type == protocol.PongName:
			continue
		}
		return e, nil
	}
}

func (c *Conn) readAny() (Event, error) {
	kind, frame, err := c.readFrame()
	if err != nil {
		return Event{}, c.readError(err)
	}
	if kind != websocket.TextMessage {
		return Event{}, errors.New("the node sent a binary frame, which the protocol does not know")
	}
	return decodeEvent(frame)
}

// readFrame reads a frame. The lock guards the reading itself, as in writeFrame.
func (c *Conn) readFrame() (kind int, frame []byte, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	return c.ws.ReadMessage()
}

// readError converts an error of the WebSocket into one that says what happened.
func (c *Conn) readError(err error) error {
	var closed *websocket.CloseError
	var timeout net.Error
	switch {
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
		return &ClosedError{Code: closed.Code, Reason: closed.Text}
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: %w for %s", ErrLost, errSilent, time.Duration(c.netConn.timeout.Load()))
	case closed != nil, errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: the node broke it off", ErrLost)
	case errors.Is(err, websocket.ErrReadLimit):
		return fmt.Errorf("the node sent too large a frame: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
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
	c.netConn.limit(closeWait)
}

// end ends the connection, and returns why: the node's close frame, or else the first
// failure.
func (c *Conn) end(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var said *ClosedError
	if c.err == nil || (!c.ended && errors.As(err, &said)) {
		c.err = err
	}
	if !c.ended {
		c.ended = true
		close(c.done)
		if c.pinger != nil {
			c.pinger.Stop()
		}
		_ = c.ws.Close()
	}
	return c.err
}

// over reports whether the connection has ended or is about to end.
func (c *Conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// watch starts the heartbeat.
func (c *Conn) watch() {
	c.netConn.timeout.Store(int64(c.timing.Gone))
	c.mu.Lock()
	defer c.mu.Unlock()
	// Each beat is a short call by the timer's goroutine; end stops the timer.
	c.pinger = time.AfterFunc(c.timing.Ping, c.beat)
}

// beat sends a ping if nothing was received for Timing.Ping, and schedules the next
// beat.
func (c *Conn) beat() {
	next := c.timing.Ping - c.netConn.quiet()
	if next <= 0 {
		if c.Write(protocol.PingCommand{}) != nil {
			return
		}
		next = c.timing.Ping
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.pinger.Reset(next)
	}
}

// timeoutConn is a network connection with a read timeout. Only time within Read counts, and
// every byte restarts it, so a long frame on a slow link does not time out.
type timeoutConn struct {
	net.Conn
	began   time.Time
	timeout atomic.Int64 // timeout of one Read, in ns; 0 for none
	heard   atomic.Int64 // when the last byte was received, in ns since began
}

// Read implements io.Reader with the timeout.
func (l *timeoutConn) Read(b []byte) (int, error) {
	if bound := l.timeout.Load(); bound > 0 {
		if err := l.SetReadDeadline(time.Now().Add(time.Duration(bound))); err != nil {
			return 0, err
		}
	}
	n, err := l.Conn.Read(b)
	if n > 0 {
		l.heard.Store(int64(time.Since(l.began)))
	}
	return n, err
}

func (l *timeoutConn) quiet() time.Duration {
	return time.Since(l.began) - time.Duration(l.heard.Load())
}

// limit limits the current and all later Reads to a short wait.
func (l *timeoutConn) limit(wait time.Duration) {
	l.timeout.Store(int64(wait))
	_ = l.SetReadDeadline(time.Now().Add(wait))
}
