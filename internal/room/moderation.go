package room

import (
	"context"
	"strings"
	"sync"
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

// moderated puts a decision for the room into force: it notifies the members, and ends
// the connections of a user who is kicked or banned.
func (r *room) moderated(d protocol.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules.Apply(d)
	r.broadcastLocked(d.ModeratedEvent.Event(), nil)
	for m, u := range r.members {
		if moderation.Expels(d, u.ID) {
			delete(r.behind.backlogs, m)
			m.Expel(expelReason(d))
		}
	}
}

func expelReason(d protocol.Decision) string {
	return strings.ToValidUTF8(moderation.Reason(d.Reason), "")
}

// everywhere holds the rules for all rooms. Its lock is taken after users.mu or a
// room.mu; under it only the locks of members' outboxes are taken.
type everywhere struct {
	mu   sync.RWMutex
	book moderation.Book // guarded by mu
}

// beginRead starts a read of the rules.
func (e *everywhere) beginRead() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.book.BeginRead()
}

// moderated does the same for a decision for all rooms.
func (l *users) moderated(d protocol.Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.everywhere.mu.Lock()
	defer l.everywhere.mu.Unlock()
	l.everywhere.book.Apply(d)
	b := NewBroadcast(d.ModeratedEvent.Event())
	for m, u := range l.members {
		m.Deliver(b)
		if moderation.Expels(d, u.ID) {
			m.Expel(expelReason(d))
		}
	}
}

// loadRules reads the rules for all rooms, and notifies members of those that no event
// announced.
func (l *users) loadRules() {
	ctx, cancel := context.WithTimeout(l.hub.ctx, callTimeout)
	defer cancel()
	l.everywhere.beginRead()
	rules, err := l.hub.broker.Rules(ctx, "")
	if err != nil {
		l.hub.log.Warn("the moderators' decisions could not be read", "error", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.everywhere.mu.Lock()
	defer l.everywhere.mu.Unlock()
	here := func(user string) bool { return l.online[user] != nil }
	for _, e := range l.everywhere.book.EndRead(rules, "", here, time.Now()) {
		b := NewBroadcast(e.Event())
		for m := range l.members {
			m.Deliver(b)
		}
	}
}

// beginRules starts a read of the room's rules.
func (p *roster) beginRules() {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	p.room.rules.BeginRead()
}

// endRulesLocked puts the room's rules that were read into force, and notifies members
// of those that no event announced.
func (p *roster) endRulesLocked(rules moderation.Rules) {
	r := p.room
	here := make(map[string]bool, len(r.members))
	for _, u := range r.members {
		here[u.ID] = true
	}
	for _, e := range r.rules.EndRead(rules, r.name, func(user string) bool { return here[user] }, time.Now()) {
		r.broadcastLocked(e.Event(), nil)
	}
}

// bindingLocked calls reply with the rules that keep the user from writing in the room.
// No decision for all rooms is announced before reply has returned.
func (r *room) bindingLocked(u *User, reply func([]protocol.BindingRule)) {
	all := &r.hub.users.everywhere
	all.mu.RLock()
	defer all.mu.RUnlock()
	now := time.Now()
	reply(append(r.rules.Binding(u.ID, r.name, now), all.book.Binding(u.ID, "", now)...))
}

// admit refuses a user who is banned from all rooms.
func (l *users) admit(user string) *protocol.Error {
	l.everywhere.mu.RLock()
	defer l.everywhere.mu.RUnlock()
	return l.everywhere.book.Admit(user, time.Now())
}

// maySpeak applies the rules for all rooms.
func (l *users) maySpeak(user, kind string) *protocol.Error {
	l.everywhere.mu.Lock()
	defer l.everywhere.mu.Unlock()
	return l.everywhere.book.Speak(user, kind, time.Now())
}
