package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

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
	return s.sender.send(ctx, protocol.SendCommand{Room: name, Text: text, Key: key})
}

// replacement replaces invalid UTF-8 (U+FFFD).
const replacement = "\ufffd"

// sender sends messages until they are acknowledged. An unacknowledged message is one
// call of send, so the sender has no state of its own. send is safe for concurrent use.
type sender struct {
	timing   *Timing
	current  *current
	rooms    *rooms
	pacer    *pacer
	commands *commands
	refused  func(*protocol.Error) // gets temporary refusals
}

// outgoing is a message that is being sent. Only the goroutine in send uses it.
type outgoing struct {
	cmd    protocol.SendCommand
	author string // id of the user as which it was first written; "" before
	tries  int    // consecutive temporary refusals
	absent int    // not_joined errors so far
	alone  bool   // see commands
}

// send sends a message, as Session.Send does with valid fields.
func (d *sender) send(ctx context.Context, cmd protocol.SendCommand) (protocol.SentEvent, error) {
	m := outgoing{cmd: cmd}
	sent, err := d.deliver(ctx, &m)
	var refused *protocol.Error
	if err != nil && m.author != "" && !errors.As(err, &refused) && !errors.Is(err, ErrUnknown) {
		err = fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return sent, err
}

func (d *sender) deliver(ctx context.Context, m *outgoing) (protocol.SentEvent, error) {
	for {
		c, r, err := d.member(ctx, m.cmd.Room)
		if err != nil {
			return protocol.SentEvent{}, err
		}
		user := c.Welcome().User.ID
		if m.author != "" && m.author != user {
			return d.find(ctx, m)
		}
		if err := d.pacer.wait(ctx); err != nil {
			return protocol.SentEvent{}, err
		}
		if c.over() {
			continue
		}
		m.author = user
		e, err := d.commands.call(ctx, c, m.cmd, &m.alone)
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
		if err := d.repeat(ctx, c, r, m, refused); err != nil {
			return protocol.SentEvent{}, err
		}
	}
}

// member waits until the Session is in the room, and joins it if necessary.
func (d *sender) member(ctx context.Context, name string) (*Conn, *room, error) {
	r := d.rooms.enter(name)
	c, err := d.current.when(ctx, func() (bool, error) {
		if now := d.rooms.get(name); now != nil {
			r = now // another goroutine may follow it meanwhile
		}
		return r.state()
	})
	return c, r, err
}

// repeat waits until a refused message may be sent again. Its error is final.
func (d *sender) repeat(ctx context.Context, c *Conn, r *room, m *outgoing, refused *protocol.Error) error {
	if refused.Code == protocol.CodeNotJoined && m.absent < maxTries {
		m.absent++
		r.rejoin(c)
		return nil
	}
	wait, ok := d.timing.retry(refused, m.tries)
	if !ok {
		return refused
	}
	m.tries++
	d.refused(refused)
	if refused.Code == protocol.CodeRateLimited {
		d.pacer.exhaust()
	}
	return sleep(ctx, wait)
}

// find searches the newest entries of the room for a message that was sent as the user
// that the Session was before.
func (d *sender) find(ctx context.Context, m *outgoing) (protocol.SentEvent, error) {
	unknown := fmt.Errorf("%w: the node no longer knows who sent it", ErrUnknown)
	e, err := d.commands.do(ctx, protocol.HistoryCommand{Room: m.cmd.Room, Limit: protocol.MaxHistory})
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
