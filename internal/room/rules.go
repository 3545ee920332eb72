package room

import (
	"context"
	"maps"
	"strings"
	"sync"
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

// rulebook is what a node knows of the moderators' decisions for one room, or for
// all. Its owner's lock guards it.
type rulebook struct {
	rules rules
	// spoken is when each user said a message last, in slow mode.
	spoken map[string]time.Time
	// heard are the decisions that came while the rules were being read, by field: what
	// was read may be older. nil while nothing is read.
	heard map[string]protocol.Decision
}

// speak refuses who may not say anything of this kind now: what is one's own may
// always be deleted, and slow mode counts messages alone.
func (b *rulebook) speak(user, kind string) *protocol.Error {
	if err := b.rules.admit(user); err != nil || kind == protocol.Delete {
		return err
	}
	if r, muted := b.rules.holds(protocol.Mute + "|" + user); muted {
		e := protocol.Errorf(protocol.CodeMuted, "you are muted: %s", reasonOr(r.Reason))
		e.RetryAfter = left(r)
		return e
	}
	if _, locked := b.rules.holds(protocol.Lock); locked {
		return protocol.Errorf(protocol.CodeLocked, "the room is locked: only moderators speak")
	}
	if r, slow := b.rules.holds(protocol.Slow); slow && kind == "" {
		if pause := b.pause(r, user); pause > 0 {
			e := protocol.Errorf(protocol.CodeSlowMode, "the room is in slow mode: one message in %d s", r.Seconds)
			e.RetryAfter = pause
			return e
		}
		if b.spoken == nil || len(b.spoken) > spokenKept {
			b.spoken = make(map[string]time.Time)
		}
		b.spoken[user] = time.Now()
	}
	return nil
}

// spokenKept bounds the memory of who spoke last in slow mode.
const spokenKept = 10_000

// pause returns how long slow mode keeps the user from the next message, in
// milliseconds; 0 where it does not.
func (b *rulebook) pause(slow protocol.Rule, user string) int64 {
	left := time.Duration(slow.Seconds)*time.Second - time.Since(b.spoken[user])
	if left <= 0 {
		return 0
	}
	return max(1, left.Milliseconds())
}

// binding lists the decisions in force that keep the user from writing in the room,
// or in all rooms with "". They do not bind moderators.
func (b *rulebook) binding(user, room string) []protocol.BindingRule {
	var list []protocol.BindingRule
	for _, field := range []string{protocol.Mute + "|" + user, protocol.Lock, protocol.Slow} {
		r, ok := b.rules.holds(field)
		if !ok {
			continue
		}
		action, _, _ := strings.Cut(field, "|")
		shown := protocol.BindingRule{Action: action, Room: room, Until: r.Until, Seconds: r.Seconds, Reason: r.Reason, RetryAfter: left(r)}
		if action == protocol.Slow {
			shown.RetryAfter = b.pause(r, user)
		}
		if r.By != (protocol.User{}) {
			shown.By = &r.By
		}
		list = append(list, shown)
	}
	return list
}

// hear puts a decision into force.
func (b *rulebook) hear(d protocol.Decision) {
	if b.rules == nil {
		b.rules = rules{}
	}
	b.rules.set(d)
	if b.heard != nil && d.Field != "" {
		b.heard[d.Field] = d
	}
}

// beginRead is called before the rules are read.
func (b *rulebook) beginRead() { b.heard = make(map[string]protocol.Decision) }

// endRead replaces the rules by what was read, and what came meanwhile on top of it. It
// returns what changed without an event: the decisions that keep members from writing, or
// no longer do. here reports whether a user is a member.
func (b *rulebook) endRead(read rules, room string, here func(user string) bool) []protocol.ModeratedEvent {
	if read == nil {
		read = rules{}
	}
	for _, d := range b.heard {
		read.set(d)
	}
	was := b.rules
	b.rules, b.heard = read, nil
	return was.changes(read, room, here)
}

// changes returns the decisions in force in now that are not in l, and the ends of those
// that are in l alone; bans are left out.
func (l rules) changes(now rules, room string, here func(user string) bool) []protocol.ModeratedEvent {
	var list []protocol.ModeratedEvent
	all := maps.Clone(now)
	maps.Copy(all, l)
	for field := range all {
		action, user, _ := strings.Cut(field, "|")
		before, held := l.holds(field)
		r, holds := now.holds(field)
		if action == protocol.Ban || held == holds && before == r || user != "" && !here(user) {
			continue
		}
		m := protocol.ModeratedEvent{Action: action, Room: room, Until: r.Until, Seconds: r.Seconds, By: r.By, Reason: r.Reason}
		if user != "" {
			m.User = &protocol.User{ID: user}
		}
		if r.Until != 0 {
			m.Seconds = (left(r) + 999) / 1000
		}
		if end := ends[action]; !holds && end != "" {
			m.Action = end
		}
		list = append(list, m)
	}
	return list
}

// ends are the actions that end another one.
var ends = map[string]string{protocol.Mute: protocol.Unmute, protocol.Lock: protocol.Unlock}

// everywhere is the rulebook for all rooms. Its lock is taken after the hub's or a room's,
// and none is taken under it.
type everywhere struct {
	sync.RWMutex
	rulebook // guarded by the lock
}

// maySpeak applies what was decided for all rooms.
func (h *Hub) maySpeak(user, kind string, moderator bool) *protocol.Error {
	if moderator {
		return nil
	}
	h.everywhere.Lock()
	defer h.everywhere.Unlock()
	return h.everywhere.speak(user, kind)
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
	held := protocol.Rule{Until: until, Reason: c.Reason, By: by}
	switch c.Action {
	case protocol.Ban, protocol.Mute:
		d.Field, d.Rule, d.Until, d.Seconds = c.Action+"|"+c.User, &held, until, c.Seconds
	case protocol.Unban:
		d.Field = protocol.Ban + "|" + c.User
	case protocol.Unmute:
		d.Field = protocol.Mute + "|" + c.User
	case protocol.Lock:
		d.Field, d.Rule, d.Until, d.Seconds = protocol.Lock, &held, until, c.Seconds
	case protocol.Unlock:
		d.Field = protocol.Lock
	case protocol.Slow:
		d.Field, d.Seconds = protocol.Slow, c.Seconds
		if c.Seconds > 0 {
			d.Rule = &protocol.Rule{Seconds: c.Seconds, Reason: c.Reason, By: by}
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
	r.decided.hear(d)
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
	defer h.mu.Unlock()
	h.everywhere.Lock()
	defer h.everywhere.Unlock()
	h.everywhere.hear(d)
	b := NewBroadcast(d.ModeratedEvent.Event())
	for m, u := range h.members {
		m.Deliver(b)
		if expels(d, u.ID) {
			m.Expel(reasonOr(d.Reason))
		}
	}
}

// loadRules reads the decisions for all rooms, and tells members of those that no event
// told them.
func (h *Hub) loadRules() {
	ctx, cancel := context.WithTimeout(h.ctx, callTimeout)
	defer cancel()
	h.everywhere.Lock()
	h.everywhere.beginRead()
	h.everywhere.Unlock()
	list, err := h.broker.Rules(ctx, "")
	if err != nil {
		h.log.Warn("the moderators' decisions could not be read", "error", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.everywhere.Lock()
	defer h.everywhere.Unlock()
	for _, m := range h.everywhere.endRead(list, "", func(user string) bool { return h.users[user] != nil }) {
		h.tellLocked(m.Event())
	}
}

// loadRulesLocked puts the decisions for the room that were read into force, and tells
// members of those that no event told them.
func (r *room) loadRulesLocked(read rules) {
	for _, m := range r.decided.endRead(read, r.name, func(user string) bool { return r.local[user] != nil }) {
		r.broadcastLocked(m.Event(), nil)
	}
}

// answerJoinLocked replies to a join. No decision for all rooms comes between its reading
// and the reply.
func (r *room) answerJoinLocked(u *User, joined func(rules []protocol.BindingRule)) {
	all := &r.hub.everywhere
	all.RLock()
	defer all.RUnlock()
	joined(append(r.decided.binding(u.ID, r.name), all.binding(u.ID, "")...))
}

// admits refuses a user who is banned from all rooms.
func (h *Hub) admits(user string) *protocol.Error {
	h.everywhere.RLock()
	defer h.everywhere.RUnlock()
	return h.everywhere.rules.admit(user)
}
