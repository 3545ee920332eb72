package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"example.com/chat/internal/protocol"
)

// NewKey makes a key for one message.
func NewKey() string { return rand.Text() }

// ErrUnknown tells that a message was sent but never acknowledged, so it may or
// may not be in the room.
var ErrUnknown = errors.New("it is not known whether the message was taken")

// Send says something in a room, which it joins first where the Session is not
// in it. It returns when the message is acknowledged, however many connections
// that takes, always under the same key, so the room takes it once. Otherwise the
// error is a *protocol.Error of a node that refuses it for good, the Session's
// end, or ctx's; with ErrUnknown where the message may have been taken.
//
// Messages that one goroutine sends to a room are entered in that order: the next
// is sent when the one before is acknowledged, since a refusal that has to be
// tried again would else let later ones pass. Calls in parallel have no order.
func (s *Session) Send(ctx context.Context, name, text, key string) (Sent, error) {
	name, bad := protocol.Room(name)
	if bad != nil {
		return Sent{}, bad
	}
	if !utf8.ValidString(text) {
		return Sent{}, protocol.Errorf(protocol.CodeBadField, "text is not UTF-8")
	}
	m := outgoing{cmd: Command{Type: protocol.Send, Room: name, Text: text, Key: key}}
	sent, err := s.deliver(ctx, &m)
	var refused *protocol.Error
	if err != nil && m.author != "" && !errors.As(err, &refused) && !errors.Is(err, ErrUnknown) {
		err = fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return sent, err
}

// outgoing is a message on its way.
type outgoing struct {
	cmd    Command
	author string // id of the user as whom it was written first; "" before that
	tries  int    // refusals in a row that ask for another try
	absent int    // times that the node said not_joined
}

func (s *Session) deliver(ctx context.Context, m *outgoing) (Sent, error) {
	for {
		c, r, err := s.member(ctx, m.cmd.Room)
		if err != nil {
			return Sent{}, err
		}
		w := c.Welcome()
		if err := fits(m.cmd, w.Limits); err != nil {
			return Sent{}, err
		}
		if m.author != "" && m.author != w.User.ID {
			return Sent{}, fmt.Errorf("%w: the node no longer knows who sent it", ErrUnknown)
		}
		if err := s.paced(ctx); err != nil {
			return Sent{}, err
		}
		if c.over() {
			continue
		}
		m.author = w.User.ID
		e, err := c.Call(ctx, m.cmd)
		if ctx.Err() != nil {
			return Sent{}, ctx.Err()
		}
		if err != nil {
			continue // member waits for the next connection
		}
		refused := e.Refused()
		if refused == nil {
			var sent Sent
			if err := e.Decode(&sent); err != nil || sent.Key != m.cmd.Key {
				_ = c.end(fmt.Errorf("the node answered %q to send", e.Type))
				continue
			}
			return sent, nil
		}
		if err := s.refused(ctx, c, r, m, refused); err != nil {
			return Sent{}, err
		}
	}
}

// refused waits until the message may be tried again; its error is final.
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

// member waits until the Session is in the room, which it joins if need be.
func (s *Session) member(ctx context.Context, name string) (*Conn, *room, error) {
	s.mu.Lock()
	r, c := s.rooms[name], s.conn
	if r == nil {
		r = newRoom(name, Follow{})
		s.rooms[name] = r
	}
	s.mu.Unlock()
	if c != nil {
		s.join1(c, r)
	}
	c, err := s.when(ctx, func() (bool, error) {
		if now := s.rooms[name]; now != nil {
			r = now // another may follow it meanwhile
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

// paced waits until the user may send another message.
func (s *Session) paced(ctx context.Context) error {
	s.mu.Lock()
	pace := s.pace
	s.mu.Unlock()
	if pace == nil {
		return ctx.Err()
	}
	return sleep(ctx, pace.Reserve().Delay())
}

// exhausted notes that the node counts more than this Session knew of, as where
// the user has other connections.
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

// fits refuses a frame that the node would close the connection for; a text
// that is only a little too long the node refuses itself.
func fits(cmd Command, l protocol.Limits) error {
	if len(cmd.Text) <= l.Text {
		return nil
	}
	frame, err := json.Marshal(cmd)
	const ref = 64 // what it still gets
	if err == nil && int64(len(frame)+ref) <= l.FrameLimit() {
		return nil
	}
	return protocol.Errorf(protocol.CodeTooLong, "the text has %d bytes: %d at most", len(cmd.Text), l.Text)
}
