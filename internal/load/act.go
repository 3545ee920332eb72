package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/protocol"
)

// act sends messages, repeats refused ones, and changes nodes.
func (c *Client) act(ctx context.Context) {
	every := cmp.Or(c.cfg.Tick, tick)
	var wait time.Duration
	for ctx.Err() == nil {
		c.mu.Lock()
		if c.wire != nil {
			c.actLocked(time.Now())
		}
		// No two clients act in the same moment, which in virtual time would leave
		// their order to the scheduler.
		wait = every/2 + upTo(c.cfg.Random, every)
		c.mu.Unlock()
		pause(ctx, wait)
	}
}

func (c *Client) actLocked(now time.Time) {
	if c.cfg.Switch > 0 && !c.silent && now.After(c.change) {
		c.change = now.Add(time.Hour)
		go c.wire.Close() // may wait for the other side; no other goroutine waits for it
		return
	}
	for name, p := range c.rooms {
		if !p.again.IsZero() && now.After(p.again) {
			c.join(name)
		}
	}
	for _, m := range c.pending {
		switch {
		case !m.again.IsZero() && now.After(m.again) && c.rooms[m.room].joined:
			c.write(m)
		case m.again.IsZero() && m.conn == c.conn && now.Sub(m.written) > answerWithin:
			go c.wire.Close() // as above: the client leaves a node that does not answer
			m.written = now
		}
	}
	c.removeLocked()
	if c.cfg.Every <= 0 || c.silent || now.Before(c.next) || len(c.pending) >= max(1, c.cfg.Window) {
		return
	}
	name := c.cfg.Rooms[c.cfg.Random.IntN(len(c.cfg.Rooms))]
	if !c.rooms[name].joined {
		return
	}
	c.next = now.Add(upTo(c.cfg.Random, 2*c.cfg.Every))
	c.count++
	m := &message{room: name, key: fmt.Sprintf("%s-%d", c.cfg.Name, c.count)}
	m.text = fmt.Sprintf("%s says %d%s", c.cfg.Name, c.count, strings.Repeat(".", c.cfg.Random.IntN(cmp.Or(c.cfg.Size, 80))))
	if most := c.wire.Welcome().Limits.Text; most > 0 {
		m.text = m.text[:min(len(m.text), most)] // a longer one would be refused forever
	}
	if c.cfg.Changes > 0 {
		c.vary(m)
	}
	c.pending = append(c.pending, m)
	c.write(m)
}

// write sends a message, for the first time or again.
func (c *Client) write(m *message) {
	m.conn, m.written, m.again = c.conn, time.Now(), time.Time{}
	r := check.Record{Op: check.OpSend, Room: m.room, User: c.user.ID, Key: m.key, Text: m.text, Kind: m.kind, Target: m.target}
	if m.kind == protocol.React {
		r.Text = reactionText(m.emoji, m.on)
	}
	c.record(r)
	_ = c.wire.WriteRef(m.command(), "")
}

// command returns the command that sends the message.
func (m *message) command() protocol.ClientCommand {
	switch m.kind {
	case protocol.Edit:
		return protocol.EditCommand{Room: m.room, Key: m.key, Target: m.target, Text: m.text}
	case protocol.Delete:
		return protocol.DeleteCommand{Room: m.room, Key: m.key, Target: m.target}
	case protocol.React:
		return protocol.ReactCommand{Room: m.room, Key: m.key, Target: m.target, Emoji: m.emoji, On: m.on}
	}
	return protocol.SendCommand{Room: m.room, Key: m.key, Text: m.text}
}

func (c *Client) refused(r *protocol.Error) {
	again := func(tries int) time.Time {
		return time.Now().Add(time.Duration(r.RetryAfter)*time.Millisecond + upTo(c.cfg.Random, retrySpread(tries)))
	}
	for i, m := range c.pending {
		if m.key == r.Key && m.room == r.Room {
			c.record(check.Record{Op: check.OpRefused, Room: r.Room, User: c.user.ID, Key: r.Key, Code: string(r.Code)})
			if m.kind != "" && (r.Code == protocol.CodeNotFound || r.Code == protocol.CodeForbidden) {
				c.pending = slices.Delete(c.pending, i, i+1) // it was deleted meanwhile, or takes no more changes
				return
			}
			m.again = again(m.tries)
			m.tries++
			return
		}
	}
	if p := c.rooms[r.Room]; p != nil && !p.joined {
		c.refusal = r
		p.again = again(p.tries)
		p.tries++
	}
}

// retrySpread returns the longest random wait after so many refusals.
func retrySpread(refusals int) time.Duration {
	return min(retryMost, retryAfter<<min(max(0, refusals-quickRetries+1), 16))
}
