package room

import (
	"context"
	"strings"
	"time"

	"example.com/chat/internal/moderation"
	"example.com/chat/internal/protocol"
)

// Moderate carries out a moderator's command on all nodes, and returns the decision:
// the reply.
func (h *Hub) Moderate(ctx context.Context, c protocol.Command, by protocol.User) (protocol.ModeratedEvent, *protocol.Error) {
	d := moderation.Decide(c, by, time.Now())
	if d.User != nil {
		d.User.Name = h.nameOf(c.Room, c.User)
	}
	if err := h.broker.Decide(ctx, d); err != nil {
		h.log.Error("a moderator's decision could not be kept", "action", c.Action, "error", err)
		return d.ModeratedEvent, protocol.ErrUnavailable
	}
	return d.ModeratedEvent, nil
}

// nameOf finds the name of a user whom this node knows of, in a room or among its own;
// else "".
func (h *Hub) nameOf(name, user string) string {
	if r := h.rooms.find(name); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.here.users.Name(user)
	}
	if u := h.users.find(user); u != nil {
		return u.Public().Name
	}
	return ""
}

// moderated puts a decision for the room into force: it tells the members, and ends the
// connections of those who have to go.
func (r *room) moderated(d protocol.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules.Apply(d)
	r.broadcastLocked(d.ModeratedEvent.Event(), nil)
	for m, u := range r.members {
		if moderation.Expels(d, u.ID) {
			delete(r.backlogs, m)
			m.Expel(expelReason(d))
		}
	}
}

func expelReason(d protocol.Decision) string {
	return strings.ToValidUTF8(moderation.Reason(d.Reason), "")
}

// moderated does the same for a decision for all rooms.
func (l *users) moderated(d protocol.Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rules.Apply(d)
	b := NewBroadcast(d.ModeratedEvent.Event())
	for m, u := range l.members {
		m.Deliver(b)
		if moderation.Expels(d, u.ID) {
			m.Expel(expelReason(d))
		}
	}
}

// loadRules reads the rules for all rooms.
func (l *users) loadRules() {
	ctx, cancel := context.WithTimeout(l.hub.ctx, callTimeout)
	defer cancel()
	rules, err := l.hub.broker.Rules(ctx, "")
	if err != nil {
		l.hub.log.Warn("the moderators' decisions could not be read", "error", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rules = rules
}

// admit refuses a user who is banned from all rooms.
func (l *users) admit(user string) *protocol.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rules.Admit(user, time.Now())
}

// maySpeak applies the rules for all rooms.
func (l *users) maySpeak(user, kind string) *protocol.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rules.Speak(user, kind, time.Now(), &l.spoken)
}
