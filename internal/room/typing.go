package room

import (
	"context"
	"time"

	"example.com/chat/internal/protocol"
)

// typingEvery is how often a user is announced as typing at most.
const typingEvery = time.Second

// maxTyped bounds the users whose last announcement is remembered. Beyond it all are
// forgotten.
const maxTyped = 1000

// Typing notifies the others in the room that the member's user is typing.
func (h *Hub) Typing(ctx context.Context, m Member, name string) *protocol.Error {
	r := h.rooms.find(name)
	if r == nil {
		return protocol.ErrNotJoined
	}
	u, due := r.types(m, time.Now())
	switch {
	case u == nil:
		return protocol.ErrNotJoined
	case due && h.broker.Typing(ctx, name, u.Public()) != nil:
		return protocol.ErrUnavailable
	}
	return nil
}

// types returns the member's user, nil if it is not in the room, and whether the user is
// to be announced as typing now.
func (r *room) types(m Member, now time.Time) (u *User, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u = r.members[m]
	if u == nil || now.Sub(r.typed[u.ID]) < typingEvery {
		return u, false
	}
	if r.typed == nil || len(r.typed) > maxTyped {
		r.typed = make(map[string]time.Time)
	}
	r.typed[u.ID] = now
	return u, true
}

// typing notifies the members that a user is typing, except for the user's own.
func (r *room) typing(u protocol.User) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broadcastLocked(protocol.TypingIn(r.name, u), func(_ Member, to *User) bool { return to.ID == u.ID })
}
