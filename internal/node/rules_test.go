package node_test

import (
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// Members learn at once which rules keep them from writing, and others from the reply to
// their join: on any node, over either transport.
func TestAJoinTellsWhatKeepsOneFromWriting(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	key := strings.Repeat("k", 32)
	n1, n2 := startNode(t, b.URL(), "--jwt-secret="+key), startNode(t, b.URL(), "--jwt-secret="+key)
	mod, ann := known(t, n1.url, key, "Mod", true), known(t, n2.url, key, "Ann", false)
	mod.Join("lobby")
	if j := ann.Join("lobby"); strings.Contains(j.Raw, "rules") {
		t.Errorf("without rules: %s", j.Raw)
	}
	act := func(action, want string, fields ...any) {
		t.Helper()
		mod.Send("moderate", append([]any{"action", action}, fields...)...)
		if f := ann.Next("moderated"); f.Action != action || !strings.Contains(f.Raw, want) {
			t.Errorf("%s: want %s in %s", action, want, f.Raw)
		}
	}
	act("mute", `"seconds":60`, "room", "lobby", "user", "Ann", "seconds", 60, "reason", "too loud")
	act("lock", `"by":{"id":"Mod"`)
	act("slow", `"seconds":30`, "room", "lobby", "seconds", 30)

	check := func(where string, f chattest.Frame) {
		t.Helper()
		got := f.Rules
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
	check("again", ann.Join("lobby"))
	for _, url := range []string{n1.url, n2.url} {
		check("another connection", known(t, url, key, "Ann", false).Join("lobby"))
	}
	auth := token(t, key, map[string]any{"sub": "Ann", "name": "Ann"})
	io := ioDial(t, n1.url)
	io.connect(`{"auth":"` + auth + `"}`)
	check("Socket.IO", io.ask("join", `{"room":"lobby"}`))

	act("unmute", `"room":"lobby"`, "room", "lobby", "user", "Ann")
	act("slow", `"action":"slow","room":"lobby","by"`, "room", "lobby", "seconds", 0)
	act("unlock", `"action":"unlock","by"`)
	if j := known(t, n1.url, key, "Ann", false).Join("lobby"); strings.Contains(j.Raw, "rules") {
		t.Errorf("after the ends of the rules: %s", j.Raw)
	}
}
