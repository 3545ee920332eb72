package moderation

import (
	"maps"
	"strings"
	"time"

	"example.com/chat/internal/protocol"
)

// Book holds the rules that one node knows for one room, or for all rooms. Its zero value
// has no rules. It is not safe for concurrent use.
type Book struct {
	rules  Rules
	spoken Spoken
	// heard holds the decisions that arrived during a read of the rules, by field: the
	// read may have missed them. It is nil while no read is under way.
	heard map[string]protocol.Decision
}

// Admit returns an error if the user is banned.
func (b *Book) Admit(user string, now time.Time) *protocol.Error { return b.rules.Admit(user, now) }

// Speak returns an error if the user must not write an entry of this kind now (see
// Rules.Speak).
func (b *Book) Speak(user, kind string, now time.Time) *protocol.Error {
	return b.rules.Speak(user, kind, now, &b.spoken)
}

// Apply puts a decision into force.
func (b *Book) Apply(d protocol.Decision) {
	b.rules.Apply(d)
	if b.heard != nil && d.Field != "" {
		b.heard[d.Field] = d
	}
}

// Binding lists the rules in force that keep the user from writing in the room, or in
// all rooms with "". They do not bind moderators.
func (b *Book) Binding(user, room string, now time.Time) []protocol.BindingRule {
	var list []protocol.BindingRule
	for _, field := range []string{protocol.Mute + "|" + user, protocol.Lock, protocol.Slow} {
		r, ok := b.rules.get(field, now)
		if !ok {
			continue
		}
		action, _, _ := strings.Cut(field, "|")
		shown := protocol.BindingRule{Action: action, Room: room, Until: r.Until, Seconds: r.Seconds, Reason: r.Reason, RetryAfter: left(r, now)}
		if action == protocol.Slow {
			shown.RetryAfter = b.spoken.pause(r, user, now)
		}
		if r.By != (protocol.User{}) {
			shown.By = &r.By
		}
		list = append(list, shown)
	}
	return list
}

// BeginRead starts a read of the rules; EndRead or another BeginRead follows.
func (b *Book) BeginRead() { b.heard = make(map[string]protocol.Decision) }

// EndRead replaces the rules by those that were read, with the decisions on top that
// arrived during the read. It returns what changed without an event: decisions that keep
// members from writing, and their ends, as events. here reports whether a user is a
// member; room is the room's name, or "" for all rooms.
func (b *Book) EndRead(read Rules, room string, here func(user string) bool, now time.Time) []protocol.ModeratedEvent {
	for _, d := range b.heard {
		read.Apply(d)
	}
	was := b.rules
	b.rules, b.heard = read, nil
	return was.changes(read, room, here, now)
}

// ends are the actions that end another one.
var ends = map[string]string{protocol.Mute: protocol.Unmute, protocol.Lock: protocol.Unlock}

// changes returns the rules in force in next that are not in l, and the ends of those
// that are in l alone. Bans are left out.
func (l Rules) changes(next Rules, room string, here func(user string) bool, now time.Time) []protocol.ModeratedEvent {
	var list []protocol.ModeratedEvent
	all := make(Rules, len(l)+len(next))
	maps.Copy(all, next)
	maps.Copy(all, l)
	for field := range all {
		action, user, _ := strings.Cut(field, "|")
		before, held := l.get(field, now)
		r, holds := next.get(field, now)
		if action == protocol.Ban || held == holds && before == r || user != "" && !here(user) {
			continue
		}
		e := protocol.ModeratedEvent{Action: action, Room: room, Until: r.Until, Seconds: r.Seconds, By: r.By, Reason: r.Reason}
		if user != "" {
			e.User = &protocol.User{ID: user}
		}
		if r.Until != 0 {
			e.Seconds = (left(r, now) + 999) / 1000
		}
		if end := ends[action]; !holds && end != "" {
			e.Action = end
		}
		list = append(list, e)
	}
	return list
}
