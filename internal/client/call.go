package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/protocol"
)

// errUnnamed ends a connection after an error that does not say which of the commands
// in flight it refuses.
var errUnnamed = errors.New("the node refused a command without naming it")

// call is a command in flight.
type call struct {
	cmd   protocol.ClientCommand // nil for a Request
	began time.Time
	reply func(Event)
}

// Call sends a command and waits for its reply, which another goroutine must Read. It
// ends the connection if the node does not answer within Timing.Reply. The error is
// ErrLost if the connection has ended, or ctx's.
func (c *Conn) Call(ctx context.Context, cmd protocol.ClientCommand) (Event, error) {
	return c.call(ctx, cmd, func() {}, func() bool { return false })
}

// call is Call with two hooks, both called by the caller's goroutine. stalled is called
// once, when there has been no answer for Timing.Stall. Before that, and before the
// connection is ended for want of a reply, busy reports whether the node is still
// sending what precedes the reply; if so, the time starts again.
func (c *Conn) call(ctx context.Context, cmd protocol.ClientCommand, stalled func(), busy func() bool) (Event, error) {
	answer := make(chan Event, 1)
	w := &call{cmd: cmd, began: time.Now(), reply: func(e Event) { answer <- e }}
	if err := c.request(cmd, w); err != nil {
		return Event{}, err
	}
	stall, reply := time.NewTimer(c.timing.Stall), time.NewTimer(c.timing.Reply)
	defer stall.Stop()
	defer reply.Stop()
	for {
		select {
		case e := <-answer:
			return e, nil
		case <-ctx.Done():
			return Event{}, ctx.Err()
		case <-stall.C:
			if busy() {
				stall.Reset(c.timing.Stall)
				continue
			}
			stalled()
		case <-reply.C:
			if busy() {
				reply.Reset(c.timing.Reply)
				continue
			}
			_ = c.end(fmt.Errorf("the node did not answer %s within %s", cmd.Type(), c.timing.Reply))
			return Event{}, ErrLost
		case <-c.done:
			return Event{}, ErrLost
		}
	}
}

// Request sends a command with a ref of its own. The goroutine in Read calls reply with
// the reply or error, in its place among the events. If the connection ends before,
// reply is never called.
func (c *Conn) Request(cmd protocol.ClientCommand, reply func(Event)) error {
	return c.request(cmd, &call{reply: reply})
}

func (c *Conn) request(cmd protocol.ClientCommand, w *call) error {
	c.mu.Lock()
	c.refs++
	ref := fmt.Sprintf("r%x", c.refs)
	if c.replies == nil {
		c.replies = make(map[string]*call)
	}
	c.replies[ref] = w
	c.mu.Unlock()
	return c.WriteRef(cmd, ref)
}

// answer passes a reply to its call, and reports whether there is one.
func (c *Conn) answer(e Event) bool {
	c.mu.Lock()
	w := c.replies[e.ref]
	delete(c.replies, e.ref)
	c.mu.Unlock()
	if w == nil {
		return false
	}
	w.reply(e)
	return true
}

// refusal handles an error without a ref. It is the reply to the call that it names, or
// to the only one that it can be about. If it can be about several, and repeating them
// would bring it again, refusal ends the connection, and each of them is then tried
// alone. handled is false if the error is about no call.
func (c *Conn) refusal(e Event) (handled bool, err error) {
	refused := e.Refused()
	if refused == nil || e.ref != "" {
		return false, nil
	}
	var ref string
	n := 0
	c.mu.Lock()
	for r, w := range c.replies {
		if w.cmd == nil {
			continue
		}
		room, key := w.cmd.Subject()
		if refused.Key != "" && refused.Key != key || refused.Room != "" && refused.Room != room {
			continue
		}
		ref = r
		n++
	}
	c.mu.Unlock()
	switch {
	case n == 1:
		e.ref = ref
		return c.answer(e), nil
	case n > 1 && !protocol.Codes[refused.Code].Retry:
		return true, fmt.Errorf("%w: %w", errUnnamed, refused)
	}
	return false, nil
}

// unanswered returns how many calls have been in flight for at least this long.
func (c *Conn) unanswered(since time.Duration) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, w := range c.replies {
		if w.cmd != nil && time.Since(w.began) >= since {
			n++
		}
	}
	return n
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

// Close closes the connection. It waits, for at most Timing.Leave, for the node's close
// frame: by then the user's name is free for the next connection.
func (c *Conn) Close() {
	if c.over() {
		_ = c.end(ErrLost)
		return
	}
	bye := websocket.FormatCloseMessage(protocol.CloseNormal, "")
	_ = c.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(c.timing.Leave))
	c.netConn.limit(c.timing.Leave)
	if c.reading.TryLock() { // no reader will receive the node's close frame
		defer c.reading.Unlock()
		for err := error(nil); err == nil; {
			_, _, err = c.ws.ReadMessage()
		}
		_ = c.end(errLeft)
		return
	}
	timer := time.NewTimer(c.timing.Leave)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
	_ = c.end(errLeft)
}

// errLeft is the end of a connection that this side closed.
var errLeft = fmt.Errorf("%w: it was closed", ErrLost)
