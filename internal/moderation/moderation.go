// Package moderation holds the rules that moderators set, for one room or for all
// rooms: bans, mutes, slow mode and locks. It has no clock, lock or I/O: times are
// parameters.
package moderation

import (
	"time"

	"example.com/chat/internal/protocol"
)

// Rules are the rules in force, for one room or for all, by protocol.Decision.Field.
// A nil map has no rules, and can be read. They are not safe for concurrent use.
type Rules map[string]protocol.Rule

// get returns a rule that is in force.
func (l Rules) get(field string, now time.Time) (protocol.Rule, bool) {
	r, ok := l[field]
	if !ok || r.Until != 0 && r.Until <= now.UnixMilli() {
		return protocol.Rule{}, false
	}
	return r, true
}

// left returns how many milliseconds a rule stays in force; 0 means without end.
func left(r protocol.Rule, now time.Time) int64 {
	if r.Until == 0 {
		return 0
	}
	return max(1, r.Until-now.UnixMilli())
}

// Admit returns an error if the user is banned.
func (l Rules) Admit(user string, now time.Time) *protocol.Error {
	r, banned := l.get(protocol.Ban+"|"+user, now)
	if !banned {
		return nil
	}
	err := protocol.Errorf(protocol.CodeForbidden, "you are banned here: %s", Reason(r.Reason))
	err.RetryAfter = left(r, now)
	return err
}

// Reason returns the reason that users see.
func Reason(given string) string {
	if given == "" {
		return "a moderator decided so"
	}
	return given
}

// Speak returns an error if the user must not write an entry of this kind now. Deletions
// are always allowed, and slow mode counts messages alone: last holds the time of each
// user's last message, and is updated if the user may write.
func (l Rules) Speak(user, kind string, now time.Time, last *Spoken) *protocol.Error {
	if err := l.Admit(user, now); err != nil || kind == protocol.Delete {
		return err
	}
	if r, muted := l.get(protocol.Mute+"|"+user, now); muted {
		err := protocol.Errorf(protocol.CodeMuted, "you are muted: %s", Reason(r.Reason))
		err.RetryAfter = left(r, now)
		return err
	}
	if _, locked := l.get(protocol.Lock, now); locked {
		return protocol.Errorf(protocol.CodeLocked, "the room is locked: only moderators speak")
	}
	if r, slow := l.get(protocol.Slow, now); slow && kind == "" {
		if pause := last.pause(r, user, now); pause > 0 {
			err := protocol.Errorf(protocol.CodeSlowMode, "the room is in slow mode: one message in %d s", r.Seconds)
			err.RetryAfter = pause
			return err
		}
		last.note(user, now)
	}
	return nil
}

// maxSpoken bounds the users of a Spoken. Beyond it all are forgotten.
const maxSpoken = 10_000

// Spoken holds the time of each user's last message in slow mode. Its zero value is
// empty.
type Spoken struct{ at map[string]time.Time }

func (s *Spoken) note(user string, now time.Time) {
	if s.at == nil || len(s.at) > maxSpoken {
		s.at = make(map[string]time.Time)
	}
	s.at[user] = now
}

// pause returns for how many milliseconds slow mode keeps the user from the next
// message; 0 if it does not.
func (s *Spoken) pause(slow protocol.Rule, user string, now time.Time) int64 {
	left := time.Duration(slow.Seconds)*time.Second - now.Sub(s.at[user])
	if left <= 0 {
		return 0
	}
	return max(1, left.Milliseconds())
}

// Apply puts a decision into force.
func (l *Rules) Apply(d protocol.Decision) {
	if *l == nil {
		*l = make(Rules)
	}
	switch {
	case d.Field == "":
	case d.Rule == nil:
		delete(*l, d.Field)
	default:
		(*l)[d.Field] = *d.Rule
	}
}

// Decide makes a decision of a moderator's command.
func Decide(c protocol.Command, by protocol.User, now time.Time) protocol.Decision {
	d := protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: c.Action, Room: c.Room, By: by, Reason: c.Reason}}
	until := int64(0)
	if c.Seconds > 0 {
		until = now.UnixMilli() + c.Seconds*1000
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

// Expels reports whether a decision ends the user's connections.
func Expels(d protocol.Decision, user string) bool {
	return (d.Action == protocol.Kick || d.Action == protocol.Ban) && d.User != nil && d.User.ID == user
}
