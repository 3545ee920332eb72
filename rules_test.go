package main

import (
	"encoding/json"
	"strings"
	"testing"

	"example.com/chat/internal/protocol"
)

// rules are those of a joined.
func (f frame) rules(t *testing.T) []protocol.Rule {
	t.Helper()
	var joined struct{ Rules []protocol.Rule }
	raw := f.raw[strings.IndexByte(f.raw, '{') : strings.LastIndexByte(f.raw, '}')+1]
	if err := json.Unmarshal([]byte(raw), &joined); err != nil {
		t.Fatalf("%v in %s", err, f.raw)
	}
	return joined.Rules
}

// What keeps somebody from writing is known at once to those who are there, and from
// the answer to their join to those who come: on any node, over either transport.
func TestAJoinTellsWhatKeepsOneFromWriting(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	key := strings.Repeat("k", 32)
	n1, n2 := startNode(t, b.URL(), "--jwt-secret="+key), startNode(t, b.URL(), "--jwt-secret="+key)
	mod, ann := known(t, n1.url, key, "Mod", true), known(t, n2.url, key, "Ann", false)
	mod.join("lobby")
	if j := ann.join("lobby"); strings.Contains(j.raw, "rules") {
		t.Errorf("without any: %s", j.raw)
	}
	act := func(action, want string, fields ...any) {
		t.Helper()
		mod.send("moderate", append([]any{"action", action}, fields...)...)
		if f := ann.next("moderated"); f.Action != action || !strings.Contains(f.raw, want) {
			t.Errorf("%s: want %s in %s", action, want, f.raw)
		}
	}
	act("mute", `"seconds":60`, "room", "lobby", "user", "Ann", "seconds", 60, "reason", "too loud")
	act("lock", `"by":{"id":"Mod"`)
	act("slow", `"seconds":30`, "room", "lobby", "seconds", 30)

	check := func(where string, f frame) {
		t.Helper()
		got := f.rules(t)
		if len(got) != 3 {
			t.Fatalf("%s: %+v", where, got)
		}
		mute, slow, lock := got[0], got[1], got[2]
		if mute.Action != "mute" || mute.Room != "lobby" || mute.Reason != "too loud" || mute.By == nil || mute.By.Name != "Mod" ||
			mute.Until == 0 || mute.RetryAfter < 1 || mute.RetryAfter > 60_000 {
			t.Errorf("%s: the mute is %+v", where, mute)
		}
		if slow.Action != "slow" || slow.Room != "lobby" || slow.Seconds != 30 || slow.RetryAfter != 0 {
			t.Errorf("%s: slow mode is %+v", where, slow)
		}
		if lock.Action != "lock" || lock.Room != "" || lock.Until != 0 || lock.RetryAfter != 0 {
			t.Errorf("%s: the lock is %+v", where, lock)
		}
	}
	check("again", ann.join("lobby"))
	for _, url := range []string{n1.url, n2.url} {
		check("another connection", known(t, url, key, "Ann", false).join("lobby"))
	}
	auth := token(t, key, map[string]any{"sub": "Ann", "name": "Ann"})
	io := ioDial(t, n1.url)
	io.connect(`{"auth":"` + auth + `"}`)
	check("Socket.IO", io.ask("join", `{"room":"lobby"}`))

	act("unmute", `"room":"lobby"`, "room", "lobby", "user", "Ann")
	act("slow", `"action":"slow","room":"lobby","by"`, "room", "lobby", "seconds", 0)
	act("unlock", `"action":"unlock","by"`)
	if j := known(t, n1.url, key, "Ann", false).join("lobby"); strings.Contains(j.raw, "rules") {
		t.Errorf("after their ends: %s", j.raw)
	}
}
