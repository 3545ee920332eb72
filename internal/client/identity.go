package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"example.com/chat/internal/protocol"
)

// identity is the user that a Session is, and what its next hello says about that user.
// Its methods are safe for concurrent use.
type identity struct {
	opts Options // as the caller gave them; constant

	mu    sync.Mutex // guards the fields below
	user  protocol.User
	token string
	known bool // a node has welcomed the user
}

// welcomed records the user and token of a welcome. again reports that there was a
// welcome before, renewed that the user is another one than before, or than asked for.
func (i *identity) welcomed(w protocol.WelcomeEvent) (again, renewed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	again = i.known
	renewed = w.Renewed || again && i.user.ID != w.User.ID
	i.user, i.token, i.known = w.User, w.Token, true
	return again, renewed
}

// current returns the user and the token of the newest welcome; known is false before
// the first.
func (i *identity) current() (user protocol.User, token string, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.user, i.token, i.known
}

// options returns the options of a hello as the same user as before. The name goes with
// the token, for a node where the token is no longer valid; yield drops the name if
// another user has it by now.
func (i *identity) options() Options {
	opts := i.opts
	if _, token, _ := i.current(); token != "" {
		opts.Token = token
	}
	return opts
}

// authenticate sets the JWT of the next hello, if the caller gave a source of JWTs.
func (i *identity) authenticate(ctx context.Context, opts *Options) error {
	if i.opts.AuthFrom == nil {
		return nil
	}
	auth, err := i.opts.AuthFrom(ctx)
	if err != nil {
		return fmt.Errorf("get a JWT: %w", err)
	}
	opts.Auth = auth
	return nil
}

// reauthenticates reports whether the source has another JWT than the one that was
// refused, so that another try may succeed.
func (i *identity) reauthenticates(ctx context.Context, used string, err error) bool {
	var closed *ClosedError
	var refused *protocol.Error
	switch {
	case i.opts.AuthFrom == nil:
		return false
	case errors.As(err, &closed) && closed.Code == protocol.CloseNoHello:
	case errors.As(err, &refused) && refused.Code == protocol.CodeUnauthorized:
	default:
		return false
	}
	fresh, err := i.opts.AuthFrom(ctx)
	return err == nil && fresh != used
}

// yield drops what a node refuses in the hello of a user that was welcomed before,
// unless the caller asked for it, and reports whether it did: a name that another user
// has, or a token of a cluster that lost its secret.
func (i *identity) yield(opts *Options, err error) bool {
	var refused *protocol.Error
	if !errors.As(err, &refused) {
		return false
	}
	switch {
	case refused.Code == protocol.CodeNameTaken && opts.Name != "":
		opts.Name = ""
		return true
	case refused.Code == protocol.CodeUnauthorized && opts.Token != "" && i.opts.Token == "" && i.opts.Auth == "":
		opts.Token, opts.Name = "", i.opts.Name
		return true
	}
	return false
}
