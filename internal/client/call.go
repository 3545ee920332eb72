package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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

// calls are the commands of one connection that have no reply yet, by their ref. Its
// methods are safe for concurrent use; replies are passed on without the lock.
type calls struct {
	mu    sync.Mutex // guards the fields below
	refs  uint64
	byRef map[string]*call
}

// add adds a call and returns a ref for its command.
func (l *calls) add(w *call) (ref string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refs++
	ref = fmt.Sprintf("r%x", l.refs)
	if l.byRef == nil {
		l.byRef = make(map[string]*call)
	}
	l.byRef[ref] = w
	return ref
}

// remove removes a call and returns it; nil if no call has the ref.
func (l *calls) remove(ref string) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.byRef[ref]
	delete(l.byRef, ref)
	return w
}

// answer passes a reply to its call, and reports whether there is one.
func (l *calls) answer(e Event) bool {
	w := l.remove(e.ref)
	if w == nil {
		return false
	}
	w.reply(e)
	return true
}

// refusal handles an error without a ref. It is the reply to the call that it names, or
// to the only one that it can be about. If it can be about several, and repeating them
// would cause it again, the error returned ends the connection, and each of them is
// then tried alone. handled is false if the event is about no call.
func (l *calls) refusal(e Event) (handled bool, err error) {
	refused := e.Refused()
	if refused == nil || e.ref != "" {
		return false, nil
	}
	ref, n := l.matching(refused)
	switch {
	case n == 1:
		e.ref = ref
		return l.answer(e), nil
	case n > 1 && !protocol.Codes[refused.Code].Retry:
		return true, fmt.Errorf("%w: %w", errUnnamed, refused)
	}
	return false, nil
}

// matching returns how many calls an error can be about, and the ref of one of them.
func (l *calls) matching(refused *protocol.Error) (ref string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r, w := range l.byRef {
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
	return ref, n
}

// unanswered returns how many calls have been in flight for at least this long.
func (l *calls) unanswered(since time.Duration) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, w := range l.byRef {
		if w.cmd != nil && time.Since(w.began) >= since {
			n++
		}
	}
	return n
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
	return c.WriteRef(cmd, c.calls.add(w))
}
