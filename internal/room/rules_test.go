package room_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/protocol"
)

// bodies returns the body of each event of the name so far.
func (m *fakeMember) bodies(name string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for _, e := range m.events {
		if e.Name == name {
			list = append(list, string(e.Body))
		}
	}
	return list
}

// rules returns those in the newest reply to a join.
func (m *fakeMember) rules(t *testing.T) []protocol.BindingRule {
	t.Helper()
	all := m.bodies("joined")
	var joined struct{ Rules []protocol.BindingRule }
	if err := json.Unmarshal([]byte(all[len(all)-1]), &joined); err != nil {
		t.Fatal(err)
	}
	return joined.Rules
}

// moderator decides in these tests.
var moderator = protocol.User{ID: "m", Name: "Mo"}

// decide makes a decision at another node that sets a field, for a room or for all; a
// rule of nil ends it.
func (r *rig) decide(room, action, user, field string, rule *protocol.Rule) {
	r.t.Helper()
	d := protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: action, Room: room, By: moderator}, Field: field, Rule: rule}
	if user != "" {
		d.User = &protocol.User{ID: user}
	}
	if err := r.outside.Decide(r.t.Context(), d); err != nil {
		r.t.Fatal(err)
	}
}

// moderated waits until the member has got n events of moderators, and returns them.
func (m *fakeMember) moderated(t *testing.T, n int) []string {
	t.Helper()
	chattest.Eventually(t, fmt.Sprint(n, " decisions"), func() bool { return len(m.bodies("moderated")) == n })
	return m.bodies("moderated")
}

// The reply to a join lists what keeps the user from writing, in this room and in all.
func TestAJoinListsTheDecisionsThatBindTheUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for field, rule := range map[string]protocol.Rule{"lock": {Until: 1}, "mute|bob": {}, "mute|ann": {Reason: "earlier"}} {
		r.decide("lobby", "", "", field, &rule)
	}
	ann, au := r.enter("ann")
	r.join(ann, au, newcomer)
	if got := ann.rules(t); len(got) != 1 || got[0] != (protocol.BindingRule{Action: "mute", Room: "lobby", Reason: "earlier"}) {
		t.Errorf("with a mute of an earlier version, and rules that have ended or are about another user: %+v", got)
	}
	until := time.Now().Add(time.Minute).UnixMilli()
	r.decide("lobby", "lock", "", "lock", &protocol.Rule{Until: until, Reason: "late", By: moderator})
	r.decide("lobby", "unmute", "ann", "mute|ann", nil)
	r.decide("", "mute", "ann", "mute|ann", &protocol.Rule{By: moderator})
	r.decide("", "slow", "", "slow", &protocol.Rule{Seconds: 30, By: moderator})
	ann.moderated(t, 4)
	r.join(ann, au, newcomer)
	got := ann.rules(t)
	for i, want := range []string{"lock lobby 0 late", "mute  0 ", "slow  30 "} {
		if i >= len(got) || fmt.Sprintf("%s %s %d %s", got[i].Action, got[i].Room, got[i].Seconds, got[i].Reason) != want || got[i].By == nil || got[i].By.Name != "Mo" {
			t.Fatalf("rule %d: want %s, have %+v", i, want, got)
		}
	}
	if left := got[0].RetryAfter; got[0].Until != until || left < 1 || left > 60_000 || got[1].RetryAfter+got[2].RetryAfter != 0 {
		t.Errorf("times: %+v", got)
	}
}

// The pause of slow mode outlasts a join.
func TestAJoinTellsHowLongSlowModeLasts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("u")
	r.join(m, u, newcomer)
	r.decide("lobby", "slow", "", "slow", &protocol.Rule{Seconds: 30})
	m.moderated(t, 1)
	if _, err := r.say(m); err != nil {
		t.Fatal(err)
	}
	r.join(m, u, newcomer)
	if got := m.rules(t); len(got) != 1 || got[0].Seconds != 30 || got[0].RetryAfter < 1 || got[0].RetryAfter > 30_000 {
		t.Errorf("after a message: %+v", got)
	}
	other, ou := r.enter("other")
	r.join(other, ou, newcomer)
	if got := other.rules(t); len(got) != 1 || got[0].Seconds != 30 || got[0].RetryAfter != 0 {
		t.Errorf("a user who has sent nothing: %+v", got)
	}
}

// Members learn of a decision whose event was lost once the rules are read again. What
// arrives during the read is newer than what is read.
func TestADecisionThatWasMissedIsTold(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		r.beQuiet()
		ann, au := r.enter("ann")
		r.join(ann, au, newcomer)
		lost := r.dropPublished()
		r.decide("lobby", "mute", "ann", "mute|ann", &protocol.Rule{Until: time.Now().Add(time.Minute).UnixMilli(), By: moderator, Reason: "late"})
		for _, field := range []string{"mute|absent", "ban|other", "lock"} {
			r.decide("lobby", "", "", field, &protocol.Rule{})
		}
		r.decide("", "slow", "", "slow", &protocol.Rule{Seconds: 5})
		// The end of the lock arrives after the rules were read, and before they are in force.
		read, goOn := make(chan struct{}, 1), make(chan struct{})
		chattest.Eventually(t, "the decisions to be lost", func() bool { return lost.Load() == 5 })
		r.inject(faultbroker.Faults{Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
			err := do(ctx)
			if op == faultbroker.Rules {
				select {
				case read <- struct{}{}:
					<-goOn
				case <-goOn:
				}
			}
			return err
		}})
		r.hub.Feed().Following("lobby")
		<-read
		r.decide("lobby", "unlock", "", "lock", nil)
		ann.moderated(t, 1)
		close(goOn)
		if got := ann.moderated(t, 2)[1]; !strings.Contains(got, `"action":"mute"`) || !strings.Contains(got, `"room":"lobby"`) ||
			!strings.Contains(got, `"seconds":60`) || !strings.Contains(got, `"by":{"id":"m","name":"Mo"},"reason":"late"`) {
			t.Errorf("moderated %s", got)
		}
		if _, err := r.say(ann); err == nil || err.Code != protocol.CodeMuted {
			t.Errorf("the muted user sends: %v", err)
		}
		r.hub.Feed().Reachable(true)
		ann.moderated(t, 3) // slow mode

		lost = r.dropPublished()
		r.decide("lobby", "unmute", "", "mute|ann", nil)
		r.decide("", "slow", "", "slow", nil)
		chattest.Eventually(t, "the ends to be lost", func() bool { return lost.Load() == 2 })
		r.heal()
		r.hub.Feed().Following("lobby")
		r.hub.Feed().Reachable(true)
		ends := strings.Join(ann.moderated(t, 5)[3:], "\n")
		if !strings.Contains(ends, `{"action":"unmute","room":"lobby","user":{"id":"ann"`) || !strings.Contains(ends, `{"action":"slow","by":`) {
			t.Errorf("moderated %s", ends)
		}
	})
}
