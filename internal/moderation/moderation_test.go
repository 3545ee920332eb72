package moderation

import (
	"fmt"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

var (
	start = time.UnixMilli(1_000_000)
	mod   = protocol.User{ID: "mod", Name: "Mod"}
)

// after returns a command's time.
func after(seconds float64) time.Time {
	return start.Add(time.Duration(seconds * float64(time.Second)))
}

func TestDecisionsAreInForceUntilTheyEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		commands []protocol.Command
		kind     string
		at       float64 // seconds later
		code     protocol.Code
		retry    int64
	}{
		"nothing":                 {},
		"a ban":                   {commands: []protocol.Command{{Action: protocol.Ban, User: "u"}}, code: protocol.CodeForbidden},
		"a ban of another user":   {commands: []protocol.Command{{Action: protocol.Ban, User: "v"}}},
		"a ban for a while":       {commands: []protocol.Command{{Action: protocol.Ban, User: "u", Seconds: 10}}, at: 9.9995, code: protocol.CodeForbidden, retry: 1},
		"a ban that is over":      {commands: []protocol.Command{{Action: protocol.Ban, User: "u", Seconds: 10}}, at: 10},
		"an unban":                {commands: []protocol.Command{{Action: protocol.Ban, User: "u"}, {Action: protocol.Unban, User: "u"}}},
		"a ban and deletion":      {commands: []protocol.Command{{Action: protocol.Ban, User: "u"}}, kind: protocol.Delete, code: protocol.CodeForbidden},
		"a mute":                  {commands: []protocol.Command{{Action: protocol.Mute, User: "u", Seconds: 5}}, at: 1, code: protocol.CodeMuted, retry: 4000},
		"a mute and a reaction":   {commands: []protocol.Command{{Action: protocol.Mute, User: "u"}}, kind: protocol.React, code: protocol.CodeMuted},
		"a mute and a deletion":   {commands: []protocol.Command{{Action: protocol.Mute, User: "u"}}, kind: protocol.Delete},
		"an unmute":               {commands: []protocol.Command{{Action: protocol.Mute, User: "u"}, {Action: protocol.Unmute, User: "u"}}},
		"a lock":                  {commands: []protocol.Command{{Action: protocol.Lock}}, code: protocol.CodeLocked},
		"a lock that is over":     {commands: []protocol.Command{{Action: protocol.Lock, Seconds: 1}}, at: 2},
		"an unlock":               {commands: []protocol.Command{{Action: protocol.Lock}, {Action: protocol.Unlock}}},
		"a kick leaves no rule":   {commands: []protocol.Command{{Action: protocol.Kick, User: "u"}}},
		"slow mode":               {commands: []protocol.Command{{Action: protocol.Slow, Seconds: 10}}, at: 4, code: protocol.CodeSlowMode, retry: 6000},
		"slow mode and an edit":   {commands: []protocol.Command{{Action: protocol.Slow, Seconds: 10}}, at: 4, kind: protocol.Edit},
		"slow mode a while later": {commands: []protocol.Command{{Action: protocol.Slow, Seconds: 10}}, at: 10},
		"the end of slow mode":    {commands: []protocol.Command{{Action: protocol.Slow, Seconds: 10}, {Action: protocol.Slow}}, at: 4},
	} {
		var l Rules
		for _, command := range c.commands {
			l.Apply(Decide(command, mod, start))
		}
		var last Spoken
		last.note("u", start)
		err := l.Speak("u", c.kind, after(c.at), &last)
		if err == nil && c.code != "" || err != nil && (err.Code != c.code || err.RetryAfter != c.retry) {
			t.Errorf("%s: %+v, want %s, to wait %d ms", name, err, c.code, c.retry)
		}
		if banned := l.Admit("u", after(c.at)) != nil; banned != (c.code == protocol.CodeForbidden) {
			t.Errorf("%s: banned %v", name, banned)
		}
	}
}

// Slow mode counts from the last message that was allowed.
func TestSlowModeCountsAllowedMessages(t *testing.T) {
	t.Parallel()
	var l Rules
	l.Apply(Decide(protocol.Command{Action: protocol.Slow, Seconds: 10}, mod, start))
	var last Spoken
	var allowed []int
	for s := range 40 {
		if l.Speak("u", "", after(float64(s)), &last) == nil {
			allowed = append(allowed, s)
		}
	}
	if fmt.Sprint(allowed) != "[0 10 20 30]" {
		t.Errorf("allowed at %v", allowed)
	}
	for i := range 2 * maxSpoken {
		_ = l.Speak(fmt.Sprint("u", i), "", start, &last)
	}
	if n := len(last.at); n > maxSpoken+1 {
		t.Errorf("%d users are kept", n)
	}
}

func TestADecisionIsWhatMembersSee(t *testing.T) {
	t.Parallel()
	d := Decide(protocol.Command{Action: protocol.Ban, Room: "lobby", User: "u", Seconds: 60, Reason: "spam"}, mod, start)
	if d.Action != protocol.Ban || d.Room != "lobby" || d.By != mod || d.Reason != "spam" || d.User == nil || d.User.ID != "u" || d.Until != start.UnixMilli()+60_000 ||
		d.Field != "ban|u" || d.Rule == nil || d.Rule.Until != d.Until {
		t.Errorf("%+v", d)
	}
	if !Expels(d, "u") || Expels(d, "v") || Expels(Decide(protocol.Command{Action: protocol.Mute, User: "u"}, mod, start), "u") {
		t.Error("it expels others")
	}
	if d := Decide(protocol.Command{Action: protocol.Slow, Seconds: 5}, mod, start); d.User != nil || d.Until != 0 || d.Rule.Seconds != 5 {
		t.Errorf("%+v", d)
	}
}

// The rules that bind a user, and until when; and what changed without an event.
func TestABookListsWhatBindsAUser(t *testing.T) {
	t.Parallel()
	var b Book
	for _, c := range []protocol.Command{
		{Action: protocol.Mute, User: "u", Seconds: 60, Reason: "noise"}, {Action: protocol.Mute, User: "v"},
		{Action: protocol.Slow, Seconds: 30}, {Action: protocol.Lock, Seconds: 1}, {Action: protocol.Ban, User: "w"},
	} {
		b.Apply(Decide(c, mod, start))
	}
	if err := b.Speak("v", protocol.Delete, after(2)); err != nil {
		t.Error(err)
	}
	list := b.Binding("u", "lobby", after(2))
	if len(list) != 2 || list[0].Action != protocol.Mute || list[0].RetryAfter != 58_000 || list[0].By == nil || *list[0].By != mod || list[0].Reason != "noise" || list[0].Room != "lobby" ||
		list[1].Action != protocol.Slow || list[1].Seconds != 30 || list[1].RetryAfter != 0 {
		t.Errorf("%+v", list)
	}

	b.BeginRead()
	b.Apply(Decide(protocol.Command{Action: protocol.Unmute, User: "v"}, mod, after(3))) // the read is older than the decision
	here := func(user string) bool { return user == "u" }
	changed := b.EndRead(Rules{protocol.Mute + "|v": {}, protocol.Slow: {Seconds: 30, By: mod}, protocol.Ban + "|x": {}}, "lobby", here, after(3))
	if len(changed) != 1 || changed[0].Action != protocol.Unmute || changed[0].User == nil || changed[0].User.ID != "u" || changed[0].Room != "lobby" {
		t.Errorf("%+v", changed)
	}
	if b.Admit("x", after(3)) == nil || b.Admit("w", after(3)) != nil || len(b.Binding("v", "", after(3))) != 1 {
		t.Error("the rules are not those that were read")
	}
	b.BeginRead()
	changed = b.EndRead(nil, "", here, after(4))
	if len(changed) != 1 || changed[0].Action != protocol.Slow || changed[0].Seconds != 0 || len(b.Binding("u", "", after(4))) != 0 {
		t.Errorf("%+v", changed)
	}
}
