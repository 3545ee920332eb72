package session

import (
	"slices"
	"time"

	"example.com/chat/internal/protocol"
)

// expire sets the timer that closes the connection when its JWT expires. A token
// without exp sets none.
func (s *Session) expire() {
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if s.claims == nil || s.claims.Expires.IsZero() {
		return
	}
	s.expiry = time.AfterFunc(time.Until(s.claims.Expires), func() {
		s.transport.Close(protocol.CloseNoHello, "the token has expired: get a new one from your application")
	})
}

// renew replaces the JWT of a connection by the one of a further hello, which must
// be of the same user. The session leaves rooms that the new token does not open.
// A refused token changes nothing.
func (s *Session) renew(c protocol.Command) *protocol.Error {
	claims, err := s.node.JWT.Verify(c.Auth)
	if err != nil {
		s.node.Log.Info("a token was not renewed", "error", err)
		return protocol.Errorf(protocol.CodeUnauthorized, "this is no valid JWT: get a new one from your application")
	}
	if claims.ID != s.user.Public().ID {
		return protocol.Errorf(protocol.CodeForbidden, "this JWT is another user's: open a new connection for it")
	}
	s.claims = &claims
	s.expire()
	for _, name := range slices.Clone(s.rooms) {
		if !claims.MayEnter(name) {
			_ = s.leave(protocol.Command{Type: protocol.Leave, Room: name}) // no error: it is in the room
		}
	}
	s.welcome(c, false)
	return nil
}
