package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/chat/internal/protocol"
)

// Follow says where to begin with a room, and what handles its entries.
type Follow struct {
	// After is the id of the last entry received: Handle gets all entries after it.
	// "0-0" is the place before the first entry; "" begins with the newest Newest
	// entries of the room.
	After  string
	Newest int
	// Handle gets the room's entries, in order and without repeats, and the events that
	// interrupt that order. The Session's reader calls it, one call at a time, and
	// reads nothing meanwhile: a slow Handle slows the node down, and the Session
	// recovers if the node closes the connection. It must not wait for the Session. It
	// may keep what it gets.
	Handle func(Update)
}

// Follow joins a room and follows it until Leave or the end of the Session. It returns
// when Handle has received all entries that the room had, or with the error if the node
// refuses the room permanently.
func (s *Session) Follow(ctx context.Context, name string, f Follow) error {
	name, bad := protocol.Room(name)
	if bad != nil {
		return bad
	}
	after, err := protocol.ParseCursor(f.After)
	if err != nil {
		return fmt.Errorf("follow after %q: %w", f.After, err)
	}
	s.mu.Lock()
	if old := s.rooms[name]; old != nil && old.handle != nil && old.err == nil {
		s.mu.Unlock()
		return fmt.Errorf("room %q is followed already", name)
	}
	r := newRoom(name, f, after)
	s.rooms[name] = r
	c := s.conn
	s.mu.Unlock()
	if c != nil {
		s.join(c, r)
	}
	select {
	case <-r.ready:
		s.mu.Lock()
		defer s.mu.Unlock()
		return r.err
	case <-ctx.Done():
		s.Leave(name)
		return ctx.Err()
	case <-s.done:
		return s.Err()
	}
}

// Leave leaves a room and stops following it.
func (s *Session) Leave(name string) {
	name, bad := protocol.Room(name)
	if bad != nil {
		return
	}
	s.mu.Lock()
	_, known := s.rooms[name]
	delete(s.rooms, name)
	c := s.conn
	s.changeLocked()
	s.mu.Unlock()
	if known && c != nil {
		_ = c.Request(protocol.LeaveCommand{Room: name}, func(Event) {})
	}
}

// Do executes a command that is safe to repeat (history, rooms, members) on the current
// or the next connection, and returns its reply. A permanent refusal is a
// *protocol.Error.
func (s *Session) Do(ctx context.Context, cmd protocol.ClientCommand) (Event, error) {
	alone := false
	for tries := 0; ; {
		c, err := s.connected(ctx)
		if err != nil {
			return Event{}, err
		}
		e, err := s.call(ctx, c, cmd, &alone)
		var refused *protocol.Error
		switch {
		case errors.As(err, &refused):
			return Event{}, refused
		case ctx.Err() != nil:
			return Event{}, ctx.Err()
		case err != nil:
			continue // connected waits for the next connection
		}
		if refused = e.Refused(); refused == nil {
			return e, nil
		}
		wait, ok := s.retry(refused, tries)
		if !ok {
			return Event{}, refused
		}
		tries++
		if err := sleep(ctx, wait); err != nil {
			return Event{}, err
		}
	}
}

// connected waits for a connection.
func (s *Session) connected(ctx context.Context) (*Conn, error) {
	return s.when(ctx, func() (bool, error) { return true, nil })
}

// when waits until there is a connection and ok returns true; ok is called under the
// lock.
func (s *Session) when(ctx context.Context, ok func() (bool, error)) (*Conn, error) {
	for {
		c, changed, err := s.whenNow(ok)
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// whenNow returns the connection if ok returns true, else what is closed at the next change.
func (s *Session) whenNow(ok func() (bool, error)) (*Conn, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, nil, s.err
	}
	if s.conn != nil && !s.conn.over() {
		if good, err := ok(); good || err != nil {
			return s.conn, nil, err
		}
	}
	return nil, s.waitLocked(), nil
}

// locked calls f with the lock held, which is released also if f panics, and returns
// its result.
func (s *Session) locked(f func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

// maxPause is the longest wait before a refused command is repeated; a longer one makes
// the refusal final.
const maxPause = time.Minute

// retry returns whether a refused command is repeated, and after which wait.
func (s *Session) retry(refused *protocol.Error, tries int) (time.Duration, bool) {
	pause := time.Duration(refused.RetryAfter) * time.Millisecond
	switch refused.Code {
	case protocol.CodeUnavailable:
		return s.again(refused, tries), true
	case protocol.CodeRateLimited, protocol.CodeSlowMode:
		return pause + time.Millisecond, pause <= maxPause
	case protocol.CodeInternal:
		return s.again(refused, tries), tries < maxTries
	}
	return 0, false
}
