// Package ratelimit bounds how many commands and messages a user may send, and
// recognises clients that do not wait when they are refused. It has no clock: times
// are parameters.
package ratelimit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"example.com/chat/internal/protocol"
)

// A user may send more commands than messages, since most commands cost little: the
// budget for commands of all kinds is this many times the one for messages, but
// at least so large that a client in as many rooms as it may be can come back.
const (
	commandFactor   = 10
	minCommandRate  = 100
	minCommandBurst = 500
)

// costs are the costs of commands in tokens, by the work that they are for a node.
// Others, including unknown ones, cost 1.
var costs = map[string]int{
	protocol.Join:     2,
	protocol.History:  5,
	protocol.Rooms:    5,
	protocol.Members:  5,
	protocol.Rename:   10,
	protocol.Moderate: 5,
}

// User is the budget of one user: one for commands of all kinds, by their costs, and
// one for messages. A nil User has no limits. It is safe for concurrent use.
type User struct {
	mu                 sync.Mutex // makes the two change together
	commands, messages *rate.Limiter
}

// NewUser returns a full budget for the operator's limits; nil if they have no rate.
func NewUser(l protocol.Limits) *User {
	if l.Rate <= 0 {
		return nil
	}
	return &User{
		commands: rate.NewLimiter(rate.Limit(max(commandFactor*l.Rate, minCommandRate)), max(commandFactor*l.Burst, minCommandBurst)),
		messages: rate.NewLimiter(rate.Limit(l.Rate), l.Burst),
	}
}

// Allow charges a command, and a message if it is one. If the budget is used up it
// charges nothing, and returns how long to wait; else 0.
func (u *User) Allow(command string, now time.Time) time.Duration {
	if u == nil {
		return 0
	}
	cost := 1
	if c, ok := costs[command]; ok {
		cost = c
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if wait := missing(u.commands, now, cost); wait > 0 {
		return wait
	}
	if protocol.Says(command) {
		if wait := missing(u.messages, now, 1); wait > 0 {
			return wait
		}
		u.messages.AllowN(now, 1)
	}
	u.commands.AllowN(now, cost)
	return 0
}

// missing returns how long until there are n tokens; 0 if there are.
func missing(l *rate.Limiter, now time.Time, n int) time.Duration {
	tokens := float64(n) - l.TokensAt(now)
	if tokens <= 0 {
		return 0
	}
	return max(time.Millisecond, time.Duration(tokens/float64(l.Limit())*float64(time.Second)))
}

// A client may ignore at least minStrikes refusals, and strikeFactor times the burst;
// one a second is forgotten.
const (
	minStrikes   = 100
	strikeFactor = 5
)

// Strikes counts the refusals that a client ignored: it sent another command before
// the time to wait of the last refusal was over. Make one with NewStrikes. It is not
// safe for concurrent use.
type Strikes struct {
	limit float64
	count float64
	last  time.Time // when count was changed
	wait  time.Time // until when the client has to wait
}

// NewStrikes returns a count of zero for the operator's limits.
func NewStrikes(l protocol.Limits) Strikes {
	return Strikes{limit: float64(max(minStrikes, strikeFactor*l.Burst))}
}

// Refused notes that a command was refused, with the time to wait. It reports whether
// the client has ignored too many refusals.
func (s *Strikes) Refused(now time.Time, wait time.Duration) bool {
	ignored := now.Before(s.wait)
	s.wait = now.Add(wait)
	if !ignored {
		return false
	}
	s.count = max(0, s.count-now.Sub(s.last).Seconds()) + 1
	s.last = now
	return s.count > s.limit
}
