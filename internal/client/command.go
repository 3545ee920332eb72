package client

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"example.com/chat/internal/protocol"
)

// commands executes commands on the connections of a Session. Its methods are safe for
// concurrent use.
//
// The end of a connection by a bad command does not say which command that was. Each
// one in flight is then marked alone and sent while no other is in flight; the one that
// ends a connection again is the bad one, and fails.
type commands struct {
	timing  *Timing
	current *current
	stalled func(*Conn)      // called once for a command without a reply for Timing.Stall
	busy    func(*Conn) bool // reports whether the node is still sending what precedes replies
	// gate bounds the commands in flight; a command that is sent alone takes all of it.
	gate *semaphore.Weighted
}

// gateWidth bounds the commands in flight.
const gateWidth = 1 << 20

func newCommands(timing *Timing, current *current, stalled func(*Conn), busy func(*Conn) bool) *commands {
	return &commands{timing: timing, current: current, stalled: stalled, busy: busy, gate: semaphore.NewWeighted(gateWidth)}
}

// call sends a command on one connection and waits for its reply. The error is ErrLost
// if the connection ended before, or a *protocol.Error if the command can't be sent or
// ended the connection by its own fault. alone belongs to the command: its repeats pass
// the same one, false at first.
func (k *commands) call(ctx context.Context, c *Conn, cmd protocol.ClientCommand, alone *bool) (Event, error) {
	if bad := fits(cmd, c.Welcome().Limits); bad != nil {
		return Event{}, bad
	}
	share := int64(1)
	if *alone {
		share = gateWidth
	}
	if err := k.gate.Acquire(ctx, share); err != nil {
		return Event{}, err
	}
	defer k.gate.Release(share)
	if c.over() {
		return Event{}, ErrLost // the connection ended while this waited
	}
	e, err := c.call(ctx, cmd, func() { k.stalled(c) }, func() bool { return k.busy(c) })
	if err == nil || ctx.Err() != nil {
		return e, err
	}
	if fault := c.fault(); fault != nil {
		if c.calls.unanswered(0) == 1 {
			return Event{}, fault
		}
		*alone = true
	}
	return Event{}, err
}

// do executes a command that is safe to repeat on the current or the next connection,
// and returns its reply. A permanent refusal is a *protocol.Error.
func (k *commands) do(ctx context.Context, cmd protocol.ClientCommand) (Event, error) {
	alone := false
	for tries := 0; ; {
		c, err := k.current.any(ctx)
		if err != nil {
			return Event{}, err
		}
		e, err := k.call(ctx, c, cmd, &alone)
		var refused *protocol.Error
		switch {
		case errors.As(err, &refused):
			return Event{}, refused
		case ctx.Err() != nil:
			return Event{}, ctx.Err()
		case err != nil:
			continue // any waits for the next connection
		}
		if refused = e.Refused(); refused == nil {
			return e, nil
		}
		wait, ok := k.timing.retry(refused, tries)
		if !ok {
			return Event{}, refused
		}
		tries++
		if err := sleep(ctx, wait); err != nil {
			return Event{}, err
		}
	}
}

// fits refuses a command beyond the limits of a node: the node would refuse a longer
// text, and close the connection on a larger frame.
func fits(cmd protocol.ClientCommand, l protocol.Limits) *protocol.Error {
	if l.Text <= 0 {
		return nil
	}
	text := ""
	switch c := cmd.(type) {
	case protocol.SendCommand:
		text = c.Text
	case protocol.EditCommand:
		text = c.Text
	}
	if len(text) > l.Text {
		return protocol.Errorf(protocol.CodeTooLong, "the text has %d bytes: %d at most", len(text), l.Text)
	}
	frame, err := protocol.EncodeCommand(cmd, "")
	const ref = 64 // the ref is still to be added
	if size := int64(len(frame) + ref); err == nil && size > l.FrameLimit() {
		return protocol.Errorf(protocol.CodeTooLong, "the command has %d bytes: %d at most", size, l.FrameLimit())
	}
	return nil
}
