package session

import (
	"time"

	"golang.org/x/time/rate"

	"example.com/chat/internal/protocol"
)

// costs are what commands cost of a user's bucket, by what they cost the node;
// what is not listed, an unknown command too, costs 1.
var costs = map[string]int{
	protocol.Join:     2,
	protocol.History:  5,
	protocol.Rooms:    5,
	protocol.Members:  5,
	protocol.Rename:   10,
	protocol.Moderate: 5,
}

// limit counts a command, and refuses it when its user asks for too much.
func (s *Session) limit(command string) *protocol.Error {
	if s.user == nil {
		return nil // counted by its refusals, and by the deadline for hello
	}
	cost := 1
	if c, ok := costs[command]; ok {
		cost = c
	}
	all, sends := s.user.Limiters()
	wait := take(all, cost)
	if wait == 0 && command == protocol.Send {
		wait = take(sends, 1)
	}
	if wait == 0 {
		return nil
	}
	s.strike()
	err := protocol.Errorf(protocol.CodeRateLimited, "you are too fast: wait as long as retry_after says")
	err.RetryAfter = max(1, wait.Milliseconds())
	return err
}

// take takes from a bucket, or tells how long until it could; a nil bucket has
// no limit.
func take(bucket *rate.Limiter, cost int) time.Duration {
	if bucket == nil {
		return 0
	}
	r := bucket.ReserveN(time.Now(), cost)
	if !r.OK() {
		return time.Second // more than the bucket ever holds
	}
	wait := r.Delay()
	if wait > 0 {
		r.Cancel()
	}
	return wait
}

// strike counts a refusal, and ends the connection of who keeps on.
func (s *Session) strike() {
	if s.strikes == nil {
		s.strikes = rate.NewLimiter(1, max(minStrikes, strikeFactor*s.node.Limits.Burst))
	}
	if !s.strikes.Allow() {
		s.transport.Close(protocol.CloseAbuse, "you kept on although you were told to wait")
	}
}
