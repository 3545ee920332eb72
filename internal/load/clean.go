package load

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"example.com/chat/internal/check"
	"example.com/chat/internal/protocol"
)

// cleanMargin is for what the network adds to the time that the limit of users' rates
// makes deletions take; cleanSoon bounds it when somebody waits for an early end.
const (
	cleanMargin = 10 * time.Second
	cleanSoon   = 5 * time.Second
)

// clean has the clients delete the messages that they said, which logs hold, so that no
// rooms of a bench are left. It returns how many are still there when all is done, or
// ctx is.
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

// remove has the client delete a message of its own. Nothing is written down any more.
func (c *Client) remove(room, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.count++ // never len(unwanted), which shrinks while deletions are sent
	c.unwanted = append(c.unwanted, &message{
		room: room, kind: protocol.Delete, target: id, key: fmt.Sprintf("%s-delete-%d", c.cfg.Name, c.count),
	})
}

// removing is how many deletions are not acknowledged yet.
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

// removeLocked sends deletions as fast as the node takes them of one user.
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
// refused: a node closes who is refused too often.
const pacePart = 0.9

// cleanWithin is how long the deletion of what logs hold may take.
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

// maxCleanRate is how many deletions a second one client does at least, where its rate
// is not limited.
const maxCleanRate = 20
