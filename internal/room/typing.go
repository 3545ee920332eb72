package room

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"example.com/chat/internal/protocol"
)

// typingEvery is how often a user is announced as typing at most.
const typingEvery = time.Second

// maxTyped bounds the users whose last announcement is remembered. Beyond it all are
// forgotten.
const maxTyped = 1000

// In a room of more than typingUsers only some announcements are passed on: as many as make
// typingEvents events a second for all users of the room, in the long run. Every member would
// get each of them, and nobody reads hundreds of names.
const (
	typingUsers  = 50
	typingEvents = 1000
)

// typists are the announcements of typing in a room. Its fields are guarded by the room's lock.
type typists struct {
	at map[string]time.Time // when each user was last announced
	// sent and received limit the events that announcements of this node's users, and those of
	// all nodes, make; nil until the room has many.
	sent, received *rate.Limiter
}

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
	t := &r.typists
	u = r.members[m]
	if u == nil || now.Sub(t.at[u.ID]) < typingEvery || !mayAnnounce(&t.sent, r.here.users.Count(), now) {
		return u, false
	}
	if t.at == nil || len(t.at) > maxTyped {
		t.at = make(map[string]time.Time)
	}
	t.at[u.ID] = now
	return u, true
}

// mayAnnounce charges an announcement that makes n events, and reports whether the limit
// allows it.
func mayAnnounce(limit **rate.Limiter, n int, now time.Time) bool {
	if n <= typingUsers {
		return true
	}
	burst := max(typingEvents, n)
	if *limit == nil {
		*limit = rate.NewLimiter(typingEvents, burst)
	}
	(*limit).SetBurstAt(now, burst)
	return (*limit).AllowN(now, n)
}

// typing notifies the members that a user is typing, except for the user's own.
func (r *room) typing(u protocol.User) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if mayAnnounce(&r.typists.received, len(r.members), time.Now()) {
		r.broadcastLocked(protocol.TypingIn(r.name, u), func(_ Member, to *User) bool { return to.ID == u.ID })
	}
}
