package load

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"example.com/chat/internal/check"
	"example.com/chat/internal/protocol"
)

// cleanMargin is added for the network to the time that deletions take by the rate
// limit; cleanSoon bounds that time after an interrupt.
const (
	cleanMargin = 10 * time.Second
	cleanSoon   = 5 * time.Second
)

// clean makes the clients delete their messages that are in the logs, so that no rooms
// of a bench remain. It returns how many are left when it is done, or when ctx is.
func (f *Fleet) clean(ctx context.Context, logs []check.Record) (left int) {
	users := make(map[string]*Client)
	for _, c := range f.Clients {
		users[c.User()] = c
	}
	for i := range logs {
		r := &logs[i]
		switch c := users[r.User]; {
		case r.Kind != "":
		case c == nil:
			left++ // its user is another one now
		default:
			c.remove(r.Room, r.ID)
		}
	}
	for {
		waiting := 0
		for _, c := range f.Clients {
			waiting += c.removing()
		}
		if waiting == 0 || ctx.Err() != nil {
			return left + waiting
		}
		pause(ctx, settleEvery)
	}
}

// remove schedules the deletion of a message of the client. Nothing is recorded any
// more.
func (c *Client) remove(room, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.count++ // not len(unwanted), which shrinks while deletions are sent
	c.unwanted = append(c.unwanted, &message{
		room: room, kind: protocol.Delete, target: id, key: fmt.Sprintf("%s-delete-%d", c.cfg.Name, c.count),
	})
}

// removing returns the number of unacknowledged deletions.
func (c *Client) removing() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.unwanted)
	for _, m := range c.pending {
		if m.kind == protocol.Delete {
			n++
		}
	}
	return n
}

// removeLocked sends deletions as fast as the node accepts them from one user.
func (c *Client) removeLocked() {
	if len(c.unwanted) == 0 {
		return
	}
	if c.pace == nil {
		c.pace = rate.NewLimiter(rate.Inf, 1)
		if limit := c.wire.Welcome().Limits.Rate; limit > 0 {
			c.pace.SetLimit(rate.Limit(limit * pacePart))
		}
	}
	for len(c.unwanted) > 0 && len(c.pending) < max(1, c.cfg.Window) {
		m := c.unwanted[0]
		if !c.rooms[m.room].joined || !c.pace.Allow() {
			return
		}
		c.unwanted = c.unwanted[1:]
		c.pending = append(c.pending, m)
		c.write(m)
	}
}

// pacePart is the part of a user's rate that is used, so that hardly any deletion is
// refused: a node closes connections that are refused too often.
const pacePart = 0.9

// cleanWithin returns how long the deletion of the messages in the logs may take.
func (b Bench) cleanWithin(logs []check.Record, limit float64) time.Duration {
	most := 0
	each := make(map[string]int)
	for i := range logs {
		each[logs[i].User]++
		most = max(most, each[logs[i].User])
	}
	if limit <= 0 {
		limit = maxCleanRate
	}
	return cleanMargin + 2*time.Duration(float64(most)/limit*float64(time.Second))
}

// maxCleanRate is the number of deletions a second of one client without a rate limit.
const maxCleanRate = 20
