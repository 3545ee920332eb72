package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/chat/internal/protocol"
)

// A JWT is renewed renewBefore its exp, or after half of the time that is left if that
// is less; further tries follow after renewAgain.
const (
	renewBefore = time.Minute
	renewAgain  = 5 * time.Second
)

// authenticate sets the JWT of the next hello, if the caller gave a source of JWTs.
func (s *Session) authenticate(ctx context.Context, opts *Options) error {
	if s.opts.AuthFrom == nil {
		return nil
	}
	auth, err := s.opts.AuthFrom(ctx)
	if err != nil {
		return fmt.Errorf("get a JWT: %w", err)
	}
	opts.Auth = auth
	return nil
}

// reauthenticates reports whether the source has another JWT than the one that was
// refused, so that another try may succeed.
func (s *Session) reauthenticates(ctx context.Context, used string, err error) bool {
	var closed *ClosedError
	var refused *protocol.Error
	switch {
	case s.opts.AuthFrom == nil:
		return false
	case errors.As(err, &closed) && closed.Code == protocol.CloseNoHello:
	case errors.As(err, &refused) && refused.Code == protocol.CodeUnauthorized:
	default:
		return false
	}
	fresh, err := s.opts.AuthFrom(ctx)
	return err == nil && fresh != used
}

// renewLater schedules the renewal of a connection's JWT. The node closes the
// connection when the JWT expires.
func (s *Session) renewLater(c *Conn, auth string) {
	exp, ok := expiry(auth)
	if s.opts.AuthFrom == nil || !ok {
		return
	}
	left := time.Until(exp)
	if left <= 0 {
		return
	}
	// The timer's goroutine ends with that call, which does nothing if c has ended.
	time.AfterFunc(max(left-renewBefore, left/2), func() { s.renew(c, auth) })
}

// renew sends a hello with a fresh JWT once the source has one. It stops when the
// connection has ended, as it does when the old JWT expires.
func (s *Session) renew(c *Conn, old string) {
	ctx, cancel := context.WithTimeout(s.ctx, renewAgain)
	defer cancel()
	if s.ctx.Err() != nil || c.over() {
		return
	}
	again := func() { time.AfterFunc(renewAgain, func() { s.renew(c, old) }) }
	auth, err := s.opts.AuthFrom(ctx)
	if err != nil || auth == old {
		again()
		return
	}
	_ = c.Request(protocol.HelloCommand{Auth: auth}, func(e Event) {
		if refused := e.Refused(); refused != nil {
			s.triesAgain(refused)
			again()
			return
		}
		s.renewLater(c, auth)
	})
}

// expiry returns the exp of a JWT (RFC 7519 section 4.1.4) without verifying it: it
// only schedules the renewal.
func expiry(auth string) (time.Time, bool) {
	parts := strings.Split(auth, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	const most = 1 << 40 // seconds: later than any date in use, and exact as a float64
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 || claims.Exp > most {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(claims.Exp * 1000)), true
}
