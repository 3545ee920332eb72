package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
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

// renewer renews the JWT of a connection before it expires, when the node would close
// the connection. Its methods are safe for concurrent use; it has no state that
// changes.
type renewer struct {
	ctx     context.Context                       // of the Session
	source  func(context.Context) (string, error) // of JWTs; nil for none
	refused func(*protocol.Error)                 // gets temporary refusals
}

// schedule schedules the renewal of a connection's JWT.
func (r *renewer) schedule(c *Conn, auth string) {
	exp, ok := expiry(auth)
	if r.source == nil || !ok {
		return
	}
	left := time.Until(exp)
	if left <= 0 {
		return
	}
	// The timer's goroutine ends with that call, which does nothing if c has ended.
	time.AfterFunc(max(left-renewBefore, left/2), func() { r.renew(c, auth) })
}

// renew sends a hello with a fresh JWT once the source has one. It stops when the
// connection has ended, as it does when the old JWT expires.
func (r *renewer) renew(c *Conn, old string) {
	ctx, cancel := context.WithTimeout(r.ctx, renewAgain)
	defer cancel()
	if r.ctx.Err() != nil || c.over() {
		return
	}
	again := func() { time.AfterFunc(renewAgain, func() { r.renew(c, old) }) }
	auth, err := r.source(ctx)
	if err != nil || auth == old {
		again()
		return
	}
	_ = c.Request(protocol.HelloCommand{Auth: auth}, func(e Event) {
		if refused := e.Refused(); refused != nil {
			r.refused(refused)
			again()
			return
		}
		r.schedule(c, auth)
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
