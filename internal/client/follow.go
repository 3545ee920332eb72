package client

import (
	"context"
	"fmt"

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
	r, err := s.rooms.follow(name, f, after)
	if err != nil {
		return err
	}
	select {
	case <-r.ready:
		_, err := r.state()
		return err
	case <-ctx.Done():
		s.Leave(name)
		return ctx.Err()
	case <-s.done:
		return s.Err()
	}
}

// Leave leaves a room and stops following it.
func (s *Session) Leave(name string) {
	if name, bad := protocol.Room(name); bad == nil {
		s.rooms.leave(name)
	}
}
