package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/chat/internal/protocol"
)

// NewKey returns a random key.
func NewKey() string { return rand.Text() }

// ErrUnknown reports that a message was sent but never acknowledged: it may be in the
// room or not.
var ErrUnknown = errors.New("it is not known whether the message was taken")

// Send sends a message to a room, which it joins first if necessary. It returns when
// the message is acknowledged, over as many connections as that takes, always under the
// same key, so the room accepts it once. Otherwise the error is a *protocol.Error if
// the message is refused permanently, by a node or, beyond the limits of the welcome,
// before it is sent; the end of the Session; or ctx's; with ErrUnknown if the message
// may have been accepted. Invalid UTF-8 in text is replaced by U+FFFD.
//
// Messages that one goroutine sends to a room enter the log in that order: each is sent
// after the acknowledgement of the one before, because later ones could overtake a
// message that is refused and repeated. Concurrent calls have no order.
//
// A Session whose token is not valid any more continues as a new user
// ([Notice].Renewed). An unacknowledged message of the old user is then searched for
// among the newest entries of the room. If it is not found the error is ErrUnknown:
// sending it again as another user might enter it twice.
func (s *Session) Send(ctx context.Context, name, text, key string) (protocol.SentEvent, error) {
	name, bad := protocol.Room(name)
	if bad != nil {
		return protocol.SentEvent{}, bad
	}
	if bad := protocol.Key(key); bad != nil {
		return protocol.SentEvent{}, bad
	}
	text, key = strings.ToValidUTF8(text, replacement), strings.ToValidUTF8(key, replacement)
	m := outgoing{cmd: protocol.SendCommand{Room: name, Text: text, Key: key}}
	sent, err := s.deliver(ctx, &m)
	var refused *protocol.Error
	if err != nil && m.author != "" && !errors.As(err, &refused) && !errors.Is(err, ErrUnknown) {
		err = fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return sent, err
}

// replacement replaces invalid UTF-8 (U+FFFD).
const replacement = "\ufffd"

// outgoing is a message that is being sent.
type outgoing struct {
	cmd    protocol.SendCommand
	author string // id of the user as which it was first written; "" before
	tries  int    // consecutive temporary refusals
	absent int    // not_joined errors so far
	alone  bool   // a connection ended with it in flight by the fault of some command: it is sent alone
}

func (s *Session) deliver(ctx context.Context, m *outgoing) (protocol.SentEvent, error) {
	for {
		c, r, err := s.member(ctx, m.cmd.Room)
		if err != nil {
			return protocol.SentEvent{}, err
		}
		user := c.Welcome().User.ID
		if m.author != "" && m.author != user {
			return s.find(ctx, m)
		}
		if err := s.paced(ctx); err != nil {
			return protocol.SentEvent{}, err
		}
		if c.over() {
			continue
		}
		m.author = user
		e, err := s.call(ctx, c, m.cmd, &m.alone)
		var refused *protocol.Error
		switch {
		case errors.As(err, &refused):
			return protocol.SentEvent{}, refused
		case ctx.Err() != nil:
			return protocol.SentEvent{}, ctx.Err()
		case err != nil:
			continue // member waits for the next connection
		}
		refused = e.Refused()
		if refused == nil {
			var sent protocol.SentEvent
			if err := e.Decode(&sent); err != nil || sent.Key != m.cmd.Key {
				_ = c.end(fmt.Errorf("the node answered %q to send", e.Type))
				continue
			}
			return sent, nil
		}
		if err := s.refused(ctx, c, r, m, refused); err != nil {
			return protocol.SentEvent{}, err
		}
	}
}

// find searches the newest entries of the room for a message that was sent as the user
// that the Session was before.
func (s *Session) find(ctx context.Context, m *outgoing) (protocol.SentEvent, error) {
	unknown := fmt.Errorf("%w: the node no longer knows who sent it", ErrUnknown)
	e, err := s.Do(ctx, protocol.HistoryCommand{Room: m.cmd.Room, Limit: protocol.MaxHistory})
	if err != nil {
		return protocol.SentEvent{}, fmt.Errorf("%w, and looking for it failed: %w", unknown, err)
	}
	var page protocol.HistoryEvent
	if err := e.Decode(&page); err != nil {
		return protocol.SentEvent{}, unknown
	}
	list, err := decodeEntries(page.Messages)
	if err != nil {
		return protocol.SentEvent{}, unknown
	}
	for _, entry := range list {
		if entry.Key == m.cmd.Key && entry.User.ID == m.author && entry.Kind == "" {
			return protocol.SentEvent{Room: entry.Room, Key: entry.Key, ID: entry.ID, Time: entry.Time, Duplicate: true}, nil
		}
	}
	return protocol.SentEvent{}, unknown
}

// call sends a command and waits for its reply. The error is ErrLost if the connection
// ended before, or a *protocol.Error if the command can't be sent or ended the
// connection by its own fault.
//
// The end of a connection by a bad command does not say which command that was. Each
// one in flight is then marked alone and sent while no other is in flight; the one that
// ends a connection again is the bad one, and fails.
func (s *Session) call(ctx context.Context, c *Conn, cmd protocol.ClientCommand, alone *bool) (Event, error) {
	if bad := fits(cmd, c.Welcome().Limits); bad != nil {
		return Event{}, bad
	}
	share := int64(1)
	if *alone {
		share = gateWidth
	}
	if err := s.gate.Acquire(ctx, share); err != nil {
		return Event{}, err
	}
	defer s.gate.Release(share)
	if c.over() {
		return Event{}, ErrLost // the connection ended while this waited
	}
	e, err := c.call(ctx, cmd, func() { s.stalled(c) }, func() bool { return s.catchingUp(c) })
	if err == nil || ctx.Err() != nil {
		return e, err
	}
	if fault := c.fault(); fault != nil {
		if c.unanswered(0) == 1 {
			return Event{}, fault
		}
		*alone = true
	}
	return Event{}, err
}

// gateWidth bounds the commands in flight.
const gateWidth = 1 << 20

// refused waits until the message may be sent again; its error is final.
func (s *Session) refused(ctx context.Context, c *Conn, r *room, m *outgoing, refused *protocol.Error) error {
	if refused.Code == protocol.CodeNotJoined && m.absent < maxTries {
		m.absent++
		s.mu.Lock()
		r.joined = false
		s.mu.Unlock()
		s.join(c, r)
		return nil
	}
	wait, ok := s.retry(refused, m.tries)
	if !ok {
		return refused
	}
	m.tries++
	s.triesAgain(refused)
	if refused.Code == protocol.CodeRateLimited {
		s.exhausted()
	}
	return sleep(ctx, wait)
}

// member waits until the Session is in the room, and joins it if necessary.
func (s *Session) member(ctx context.Context, name string) (*Conn, *room, error) {
	s.mu.Lock()
	r, c := s.rooms[name], s.conn
	if r == nil {
		r = newRoom(name, Follow{}, protocol.Cursor{})
		s.rooms[name] = r
	}
	s.mu.Unlock()
	if c != nil {
		s.join1(c, r)
	}
	c, err := s.when(ctx, func() (bool, error) {
		if now := s.rooms[name]; now != nil {
			r = now // another goroutine may follow it meanwhile
		}
		return r.joined, r.err
	})
	return c, r, err
}

// join1 joins a room that is not joined yet.
func (s *Session) join1(c *Conn, r *room) {
	s.mu.Lock()
	joined := r.joined
	s.mu.Unlock()
	if !joined {
		s.join(c, r)
	}
}

// paced waits until the rate limit allows another message.
func (s *Session) paced(ctx context.Context) error {
	s.mu.Lock()
	pace := s.pace
	s.mu.Unlock()
	if pace == nil {
		return ctx.Err()
	}
	return sleep(ctx, pace.Reserve().Delay())
}

// exhausted empties the local rate limit: the node counts more messages than this
// Session sent, as when the user has other connections.
func (s *Session) exhausted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pace == nil {
		return
	}
	if left := int(s.pace.Tokens()); left > 0 {
		s.pace.ReserveN(time.Now(), left)
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
