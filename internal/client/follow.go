package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/chat/internal/protocol"
)

// Follow says how a room is followed.
type Follow struct {
	// After is the id of the last entry seen: all after it are told. "0-0" is
	// the place before the first one; "" begins with the room's newest Newest
	// entries.
	After  string
	Newest int
	// Handle is told the room's entries, in order and none twice, and what
	// happened to that order. The Session's reader calls it, one call at a
	// time: while it runs nothing is read (so a slow one slows the node down,
	// and is resumed if the node gives it up), and it must not wait for the
	// Session. What it gets is its own to keep.
	Handle func(Update)
}

// Follow joins a room and follows it until Leave, or until the Session ends. It
// returns when all entries that the room held have been told, or with the error
// of a node that refuses the room for good.
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

// Leave stops following a room, and leaves it.
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

// Do carries out a command that may be repeated without harm (history, rooms,
// members) on whatever connection there is, and returns its reply. A refusal
// that waiting doesn't mend is a *protocol.Error.
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

// when waits until there is a connection and ok, which is called under the
// lock, is true.
func (s *Session) when(ctx context.Context, ok func() (bool, error)) (*Conn, error) {
	for {
		s.mu.Lock()
		if s.err != nil {
			defer s.mu.Unlock()
			return nil, s.err
		}
		if s.conn != nil && !s.conn.over() {
			good, err := ok()
			if good || err != nil {
				defer s.mu.Unlock()
				return s.conn, err
			}
		}
		changed := s.waitLocked()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// maxPause is the longest that a refused command is kept waiting for; a node
// that asks for more is obeyed by giving up.
const maxPause = time.Minute

// retry decides whether a refused command is tried again, and after how long.
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
