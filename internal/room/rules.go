package room

import (
	"context"
	"strings"
	"time"

	"example.com/chat/internal/protocol"
)

// rules are what moderators decided, for one room or for all, by
// protocol.Decision.Field.
type rules map[string]protocol.Rule

// holds returns a rule that is in force.
func (l rules) holds(field string) (protocol.Rule, bool) {
	r, ok := l[field]
	if !ok || (r.Until != 0 && r.Until <= time.Now().UnixMilli()) {
		return protocol.Rule{}, false
	}
	return r, true
}

func left(r protocol.Rule) int64 {
	if r.Until == 0 {
		return 0
	}
	return max(1, r.Until-time.Now().UnixMilli())
}

// admit refuses who is banned.
func (l rules) admit(user string) *protocol.Error {
	if r, banned := l.holds(protocol.Ban + "|" + user); banned {
		e := protocol.Errorf(protocol.CodeForbidden, "you are banned here: %s", reasonOr(r.Reason))
		e.RetryAfter = left(r)
		return e
	}
	return nil
}

func reasonOr(reason string) string {
	if reason == "" {
		return "a moderator decided so"
	}
	return reason
}

// speak refuses who may not say anything of this kind now: what is one's own may
// always be deleted, and slow mode counts messages alone. spoken is when each
// user said one last, and is brought up to date.
func (l rules) speak(user, kind string, spoken *map[string]time.Time) *protocol.Error {
	if err := l.admit(user); err != nil || kind == protocol.Delete {
		return err
	}
	if r, muted := l.holds(protocol.Mute + "|" + user); muted {
		e := protocol.Errorf(protocol.CodeMuted, "you are muted: %s", reasonOr(r.Reason))
		e.RetryAfter = left(r)
		return e
	}
	if _, locked := l.holds(protocol.Lock); locked {
		return protocol.Errorf(protocol.CodeLocked, "the room is locked: only moderators speak")
	}
	if r, slow := l.holds(protocol.Slow); slow && kind == "" {
		pause := time.Duration(r.Seconds)*time.Second - time.Since((*spoken)[user])
		if pause > 0 {
			e := protocol.Errorf(protocol.CodeSlowMode, "the room is in slow mode: one message in %d s", r.Seconds)
			e.RetryAfter = max(1, pause.Milliseconds())
			return e
		}
		if *spoken == nil || len(*spoken) > spokenKept {
			*spoken = make(map[string]time.Time)
		}
		(*spoken)[user] = time.Now()
	}
	return nil
}

// spokenKept bounds the memory of who spoke last in slow mode.
const spokenKept = 10_000

// maySpeak applies what was decided for all rooms.
func (h *Hub) maySpeak(user, kind string, moderator bool) *protocol.Error {
	if moderator {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rules.speak(user, kind, &h.spoken)
}

// decide makes the rule of a command: which field of the rules it sets, to what.
func decide(c protocol.Command, by protocol.User) protocol.Decision {
	d := protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: c.Action, Room: c.Room, By: by, Reason: c.Reason}}
	until := int64(0)
	if c.Seconds > 0 {
		until = time.Now().UnixMilli() + c.Seconds*1000
	}
	if protocol.AimsAtUser(c.Action) {
		d.User = &protocol.User{ID: c.User}
	}
	held := protocol.Rule{Until: until, Reason: c.Reason}
	switch c.Action {
	case protocol.Ban, protocol.Mute:
		d.Field, d.Rule, d.Until = c.Action+"|"+c.User, &held, until
	case protocol.Unban:
		d.Field = protocol.Ban + "|" + c.User
	case protocol.Unmute:
		d.Field = protocol.Mute + "|" + c.User
	case protocol.Lock:
		d.Field, d.Rule, d.Until = protocol.Lock, &held, until
	case protocol.Unlock:
		d.Field = protocol.Lock
	case protocol.Slow:
		d.Field = protocol.Slow
		if c.Seconds > 0 {
			d.Rule = &protocol.Rule{Seconds: c.Seconds, Reason: c.Reason}
		}
	}
	return d
}

// Moderate carries out a moderator's command on all nodes, and returns what it
// became: the reply.
func (h *Hub) Moderate(ctx context.Context, c protocol.Command, by protocol.User) (protocol.ModeratedEvent, *protocol.Error) {
	d := decide(c, by)
	if d.User != nil {
		d.User.Name = h.nameOf(c.Room, c.User)
	}
	if err := h.broker.Decide(ctx, d); err != nil {
		h.log.Error("a moderator's decision could not be kept", "action", c.Action, "error", err)
		return d.ModeratedEvent, protocol.ErrUnavailable
	}
	return d.ModeratedEvent, nil
}

// nameOf finds the name of a user whom this node knows of; "" else.
func (h *Hub) nameOf(name, user string) string {
	if r := h.find(name); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.present.users[user]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if u := h.users[user]; u != nil {
		return u.Public().Name
	}
	return ""
}

// set puts the decision into force.
func (l rules) set(d protocol.Decision) {
	switch {
	case d.Field == "":
	case d.Rule == nil:
		delete(l, d.Field)
	default:
		l[d.Field] = *d.Rule
	}
}

// expels reports whether the decision ends the user's connections.
func expels(d protocol.Decision, user string) bool {
	return (d.Action == protocol.Kick || d.Action == protocol.Ban) && d.User != nil && d.User.ID == user
}

func (r *room) liveRule(d protocol.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rules == nil {
		r.rules = rules{}
	}
	r.rules.set(d)
	r.tellRuleLocked(d)
}

// tellRuleLocked tells the members, and ends the connections of who has to go.
func (r *room) tellRuleLocked(d protocol.Decision) {
	r.broadcastLocked(d.ModeratedEvent.Event(), nil)
	for m, u := range r.members {
		if expels(d, u.ID) {
			delete(r.backlogs, m)
			m.Expel(strings.ToValidUTF8(reasonOr(d.Reason), ""))
		}
	}
}

// newsRule takes a decision for all rooms.
func (h *Hub) newsRule(d protocol.Decision) {
	h.mu.Lock()
	if h.rules == nil {
		h.rules = rules{}
	}
	h.rules.set(d)
	b := NewBroadcast(d.ModeratedEvent.Event())
	for m, u := range h.members {
		m.Deliver(b)
		if expels(d, u.ID) {
			m.Expel(reasonOr(d.Reason))
		}
	}
	h.mu.Unlock()
}

// loadRules reads the decisions for all rooms.
func (h *Hub) loadRules() {
	ctx, cancel := context.WithTimeout(h.ctx, callTimeout)
	defer cancel()
	list, err := h.broker.Rules(ctx, "")
	if err != nil {
		h.log.Warn("the moderators' decisions could not be read", "error", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rules = list
}

// admits refuses who is banned from all rooms.
func (h *Hub) admits(_ string, u *User) *protocol.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rules.admit(u.ID)
}
