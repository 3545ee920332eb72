package session

import (
	"time"

	"example.com/chat/internal/protocol"
)

// limit charges a command to its user, and refuses it if the user has sent too many. It
// closes the connection of a client that ignores the refusals.
func (s *Session) limit(command string) *protocol.Error {
	if s.user == nil {
		return nil // bounded by MaxRefusals and the deadline for hello
	}
	wait := s.user.Allow(command)
	if wait == 0 {
		return nil
	}
	s.node.limited.Add(1)
	if s.strikes.Refused(time.Now(), wait) {
		if !s.abusive {
			s.abusive = true
			s.node.abuse.Add(1)
		}
		s.transport.Close(protocol.CloseAbuse, "you sent on although rate_limited asked you to wait")
	}
	err := protocol.Errorf(protocol.CodeRateLimited, "you are too fast: wait as long as retry_after says")
	err.RetryAfter = max(1, wait.Milliseconds())
	return err
}
