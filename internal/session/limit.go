package session

import (
	"time"

	"example.com/chat/internal/protocol"
)

// costs is how many tokens of a user's bucket a command takes, according to the work
// that it causes. Commands that are not listed, and unknown ones, take 1.
var costs = map[string]int{
	protocol.Join:     2,
	protocol.History:  5,
	protocol.Rooms:    5,
	protocol.Members:  5,
	protocol.Rename:   10,
	protocol.Moderate: 5,
}

// limit counts a command against its user's rate, and returns rate_limited beyond it.
func (s *Session) limit(command string) *protocol.Error {
	if s.user == nil {
		return nil // bounded by refusals, and by the deadline for hello
	}
	cost := 1
	if c, ok := costs[command]; ok {
		cost = c
	}
	wait := s.node.Hub.Take(s.user, cost, protocol.Says(command))
	if wait == 0 {
		return nil
	}
	s.node.limited.Add(1)
	now := time.Now()
	if now.Before(s.waits) {
		s.strike()
	}
	s.waits = now.Add(wait)
	err := protocol.Errorf(protocol.CodeRateLimited, "you are too fast: wait as long as retry_after says")
	err.RetryAfter = max(1, wait.Milliseconds())
	return err
}

// strike counts a command that was refused although the refusal before asked for a
// longer wait, and closes the connection (4009) after too many.
func (s *Session) strike() {
	now := time.Now()
	s.strikes = max(0, s.strikes-now.Sub(s.struck).Seconds()) + 1
	s.struck = now
	if s.strikes > float64(max(minStrikes, strikeFactor*s.node.Limits.Burst)) {
		if !s.abusive {
			s.abusive = true
			s.node.abuse.Add(1)
		}
		s.transport.Close(protocol.CloseAbuse, "you kept on although you were told to wait")
	}
}
