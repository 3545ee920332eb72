package room_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
)

// told is the body of each event of the name so far.
func (m *fakeMember) told(name string) []string {
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

// rulesOf are those of the newest joined.
func (m *fakeMember) rulesOf(t *testing.T) []protocol.BindingRule {
	t.Helper()
	all := m.told("joined")
	var joined struct{ Rules []protocol.BindingRule }
	if err := json.Unmarshal([]byte(all[len(all)-1]), &joined); err != nil {
		t.Fatal(err)
	}
	return joined.Rules
}

// moderator decides in these tests.
var moderator = protocol.User{ID: "m", Name: "Mo"}

// hear makes the hub hear a decision that sets a field, for a room or for all; a rule
// of nil ends it.
func (r *rig) hear(room, action, user, field string, rule *protocol.Rule) {
	d := protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: action, Room: room, By: moderator}, Field: field, Rule: rule}
	if user != "" {
		d.User = &protocol.User{ID: user}
	}
	r.hub.Feed().Moderated(d)
}

// Who joins learns from the answer what keeps it from writing, in this room and in all.
func TestAJoinListsTheDecisionsThatBindTheUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set(func() {
		r.rules = func(string) map[string]protocol.Rule {
			return map[string]protocol.Rule{"lock": {Until: 1}, "mute|bob": {}, "mute|ann": {Reason: "earlier"}}
		}
	})
	ann, au := r.enter("ann")
	r.join(ann, au, newcomer)
	if got := ann.rulesOf(t); len(got) != 1 || got[0] != (protocol.BindingRule{Action: "mute", Room: "lobby", Reason: "earlier"}) {
		t.Errorf("an earlier version's mute, and what has ended or is another's: %+v", got)
	}
	until := time.Now().Add(time.Minute).UnixMilli()
	r.hear("lobby", "lock", "", "lock", &protocol.Rule{Until: until, Reason: "late", By: moderator})
	r.hear("lobby", "unmute", "ann", "mute|ann", nil)
	r.hear("", "mute", "ann", "mute|ann", &protocol.Rule{By: moderator})
	r.hear("", "slow", "", "slow", &protocol.Rule{Seconds: 30, By: moderator})
	r.join(ann, au, newcomer)
	got := ann.rulesOf(t)
	for i, want := range []string{"lock lobby 0 late", "mute  0 ", "slow  30 "} {
		if i >= len(got) || fmt.Sprintf("%s %s %d %s", got[i].Action, got[i].Room, got[i].Seconds, got[i].Reason) != want || got[i].By == nil || got[i].By.Name != "Mo" {
			t.Fatalf("rule %d: want %s, have %+v", i, want, got)
		}
	}
	if left := got[0].RetryAfter; got[0].Until != until || left < 1 || left > 60_000 || got[1].RetryAfter+got[2].RetryAfter != 0 {
		t.Errorf("times: %+v", got)
	}
}

// Slow mode's pause goes on over a join.
func TestAJoinTellsHowLongSlowModeLasts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("u")
	r.join(m, u, newcomer)
	r.hear("lobby", "slow", "", "slow", &protocol.Rule{Seconds: 30})
	if _, err := r.say(m); err != nil {
		t.Fatal(err)
	}
	r.join(m, u, newcomer)
	if got := m.rulesOf(t); len(got) != 1 || got[0].Seconds != 30 || got[0].RetryAfter < 1 || got[0].RetryAfter > 30_000 {
		t.Errorf("after a message: %+v", got)
	}
	other, ou := r.enter("other")
	r.join(other, ou, newcomer)
	if got := other.rulesOf(t); len(got) != 1 || got[0].Seconds != 30 || got[0].RetryAfter != 0 {
		t.Errorf("somebody who said nothing: %+v", got)
	}
}

// A decision that was published while the node heard nothing is told once the rules are
// read again; what came while they were read is newer than what was read.
func TestADecisionThatWasMissedIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, au := r.enter("ann")
	r.join(ann, au, newcomer)
	reading, goOn := make(chan struct{}, 1), make(chan struct{})
	late := protocol.Rule{Until: time.Now().Add(time.Minute).UnixMilli(), By: moderator, Reason: "late"}
	r.set(func() {
		r.rules = func(room string) map[string]protocol.Rule {
			if room == "" {
				return map[string]protocol.Rule{"slow": {Seconds: 5}}
			}
			reading <- struct{}{}
			<-goOn
			return map[string]protocol.Rule{"mute|ann": late, "mute|absent": late, "ban|other": late, "lock": {}}
		}
	})
	r.hub.Feed().Following("lobby")
	<-reading
	r.hear("lobby", "unlock", "", "lock", nil) // what is being read is older
	close(goOn)
	chattest.Eventually(t, "the mute", func() bool { return len(ann.told("moderated")) == 2 })
	if got := ann.told("moderated")[1]; !strings.Contains(got, `"action":"mute"`) || !strings.Contains(got, `"room":"lobby"`) ||
		!strings.Contains(got, `"seconds":60`) || !strings.Contains(got, `"by":{"id":"m","name":"Mo"},"reason":"late"`) {
		t.Errorf("moderated %s", got)
	}
	if _, err := r.say(ann); err == nil || err.Code != protocol.CodeMuted {
		t.Errorf("she says something: %v", err)
	}
	r.hub.Feed().Reachable(true)
	chattest.Eventually(t, "slow mode", func() bool { return len(ann.told("moderated")) == 3 })
	r.set(func() { r.rules = nil })
	r.hub.Feed().Following("lobby")
	r.hub.Feed().Reachable(true)
	chattest.Eventually(t, "the ends of both", func() bool { return len(ann.told("moderated")) == 5 })
	ends := strings.Join(ann.told("moderated")[3:], "\n")
	if !strings.Contains(ends, `{"action":"unmute","room":"lobby","user":{"id":"ann"`) || !strings.Contains(ends, `{"action":"slow","by":`) {
		t.Errorf("moderated %s", ends)
	}
}
