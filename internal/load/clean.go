package load

import (
	"context"
	"time"

	"example.com/chat/internal/check"
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
	c.do(func(u *user) {
		u.ended = true
		u.outbox.remove(room, id)
	})
}

// removing returns the number of unacknowledged deletions.
func (c *Client) removing() (n int) {
	c.do(func(u *user) { n = u.outbox.removing() })
	return n
}

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
