package client

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed reports that Close ended the Session.
var ErrClosed = errors.New("the session is closed")

// current is the connection that a Session uses, or why the Session ended. Callers wait
// in it for a connection. Its methods are safe for concurrent use, and call nothing
// while they hold the lock.
type current struct {
	mu      sync.Mutex    // guards the fields below
	conn    *Conn         // nil between connections
	err     error         // why the Session ended; nil before
	changed chan struct{} // closed by notify; nil while no goroutine waits
}

// attach makes a connection the current one. It returns false if the Session has ended.
func (u *current) attach(c *Conn) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return false
	}
	u.conn = c
	u.notifyLocked()
	return true
}

// detach records that there is no connection.
func (u *current) detach() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conn = nil
	u.notifyLocked()
}

// fail records why the Session ended; only the first error counts. It returns the
// connection that is to be closed; nil if there is none.
func (u *current) fail(err error) *Conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		u.err = err
	}
	u.notifyLocked()
	return u.conn
}

// ended returns why the Session ended; nil before.
func (u *current) ended() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// notify makes all goroutines in when check their condition again.
func (u *current) notify() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.notifyLocked()
}

func (u *current) notifyLocked() {
	if u.changed != nil {
		close(u.changed)
		u.changed = nil
	}
}

// state returns the connection or why the Session ended, and what the next change
// closes.
func (u *current) state() (c *Conn, changed <-chan struct{}, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.changed == nil {
		u.changed = make(chan struct{})
	}
	return u.conn, u.changed, u.err
}

// when waits until there is a connection and ok returns true, and returns the
// connection. ok is called without a lock, once there is a connection and after each
// change; what ok depends on must call notify after it has changed. The error is the
// end of the Session, ok's, or ctx's.
func (u *current) when(ctx context.Context, ok func() (bool, error)) (*Conn, error) {
	for {
		c, changed, err := u.state()
		if err != nil {
			return nil, err
		}
		if c != nil && !c.over() {
			if good, err := ok(); err != nil {
				return nil, err
			} else if good {
				return c, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// any waits for a connection.
func (u *current) any(ctx context.Context) (*Conn, error) {
	return u.when(ctx, func() (bool, error) { return true, nil })
}
