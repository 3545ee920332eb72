package ratelimit

import (
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// allowed counts the commands that are allowed at a time.
func allowed(u *User, command string, now time.Time) (n int, wait time.Duration) {
	for range 10_000 {
		if wait = u.Allow(command, now); wait > 0 {
			return n, wait
		}
		n++
	}
	return n, 0
}

func TestMessagesAreBoundedByTheirRate(t *testing.T) {
	t.Parallel()
	u := NewUser(protocol.Limits{Rate: 5, Burst: 20})
	if n, wait := allowed(u, protocol.Send, start); n != 20 || wait != 200*time.Millisecond {
		t.Errorf("%d messages at once, then wait %s", n, wait)
	}
	// A refused command costs nothing, and after the wait one is allowed.
	if wait := u.Allow(protocol.Send, start.Add(199*time.Millisecond)); wait != time.Millisecond {
		t.Errorf("too early: wait %s", wait)
	}
	if n, _ := allowed(u, protocol.Send, start.Add(200*time.Millisecond)); n != 1 {
		t.Errorf("after the wait %d are allowed", n)
	}
	// The budget fills to its burst and no further.
	if n, _ := allowed(u, protocol.Send, start.Add(time.Hour)); n != 20 {
		t.Errorf("after an hour %d are allowed", n)
	}
	// Other commands have a budget of their own; messages are charged to it too.
	if n, _ := allowed(u, protocol.Ping, start.Add(time.Hour)); n != 500-20 {
		t.Errorf("%d commands are allowed besides", n)
	}
}

func TestCommandsCostByTheirWork(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]int{
		protocol.Ping: 500, "unknown": 500, protocol.Join: 250, protocol.History: 100, protocol.Rename: 50,
	} {
		if n, _ := allowed(NewUser(protocol.Limits{Rate: 5, Burst: 20}), command, start); n != want {
			t.Errorf("%s: %d are allowed, want %d", command, n, want)
		}
	}
	if n, wait := allowed(NewUser(protocol.Limits{Rate: 1000, Burst: 1000}), protocol.Rename, start); n != 1000 || wait != time.Millisecond {
		t.Errorf("with high limits %d are allowed, then wait %s", n, wait)
	}
	if n, _ := allowed(NewUser(protocol.Limits{}), protocol.Rename, start); n != 10_000 {
		t.Errorf("without limits %d are allowed", n)
	}
}

func TestAClientThatDoesNotWaitIsRecognised(t *testing.T) {
	t.Parallel()
	s := NewStrikes(protocol.Limits{Burst: 20})
	// A client that waits is not, however often it is refused.
	now := start
	for range 1000 {
		if s.Refused(now, time.Second) {
			t.Fatal("a client that waits is treated as abusive")
		}
		now = now.Add(time.Second)
	}
	n := 0
	for !s.Refused(now, time.Second) {
		n++
	}
	if n != 101 { // the first one came when the wait was over
		t.Errorf("abusive after %d refusals", n)
	}
	// One ignored refusal a second is forgotten.
	s = NewStrikes(protocol.Limits{Burst: 100})
	for i := range 10_000 {
		if s.Refused(start.Add(time.Duration(i)*time.Second), time.Minute) {
			t.Fatalf("abusive after %d s", i)
		}
	}
	// The burst counts.
	n = 0
	for !s.Refused(start.Add(24*time.Hour), time.Second) {
		n++
	}
	if n != 501 {
		t.Errorf("with a burst of 100 abusive after %d refusals", n)
	}
}
