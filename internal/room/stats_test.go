package room_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"

	"example.com/chat/internal/chattest"
)

// counted polls until a count of the hub's has a value, and shows all if not.
func (r *rig) counted(what string, want int64, count func(room.Stats) int64) {
	r.t.Helper()
	var last room.Stats
	defer func() {
		if r.t.Failed() {
			r.t.Logf("the last counts: %+v", last)
		}
	}()
	chattest.Eventually(r.t, fmt.Sprintf("%s to be %d", what, want), func() bool {
		last = r.hub.Stats()
		return count(last) == want
	})
}

// Each recovery is counted when it happens, and nothing is before.
func TestRecoveriesAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, protocol.ID{})
	r.other(3)
	m.got(t, count(1, 3))
	if s := r.hub.Stats(); s != (room.Stats{Rooms: 1, Users: 1, Frames: 3, Bytes: s.Bytes}) || s.Bytes < 3*20 {
		t.Fatalf("after what went well: %+v", s)
	}

	// A live post is lost, and the next one shows the gap.
	r.set(func() { r.fault = func(int, published) []published { return nil } })
	r.other(1)
	r.set(func() { r.fault = nil })
	r.other(1)
	m.got(t, count(1, 5))
	r.counted("holes", 1, func(s room.Stats) int64 { return s.LogGaps })
	r.counted("rooms caught up", 1, func(s room.Stats) int64 { return s.CaughtUp })
	r.counted("entries missed", 1, func(s room.Stats) int64 { return s.Missed })

	// The last live post is lost, and only the audit finds it.
	r.set(func() { r.fault = func(int, published) []published { return nil } })
	r.other(2)
	m.got(t, count(1, 7))
	r.counted("rooms caught up", 2, func(s room.Stats) int64 { return s.CaughtUp })
	r.counted("entries missed", 3, func(s room.Stats) int64 { return s.Missed })
	r.counted("holes", 1, func(s room.Stats) int64 { return s.LogGaps })
	r.set(func() { r.fault = nil })

	// A reading that finds nothing is no recovery.
	r.hub.Feed().Following("lobby")
	r.set(func() { r.reads = 0 })
	chattest.Eventually(t, "an audit", func() bool { reads := 0; r.set(func() { reads = r.reads }); return reads > 0 })
	r.counted("rooms caught up", 2, func(s room.Stats) int64 { return s.CaughtUp })

	// The same key twice, and an answer that got lost.
	for range 2 {
		if _, err := r.sayKey(m, "again"); err != nil {
			t.Fatal(err)
		}
	}
	r.counted("duplicates", 1, func(s room.Stats) int64 { return s.Duplicates })
	r.set(func() { r.lostOK = true })
	if _, err := r.sayKey(m, "unanswered"); err != nil {
		t.Fatal(err)
	}
	r.counted("retries", 1, func(s room.Stats) int64 { return s.Retried })
	r.counted("duplicates", 2, func(s room.Stats) int64 { return s.Duplicates })
	r.set(func() { r.away = true })
	if _, err := r.sayKey(m, "refused"); err == nil {
		t.Fatal("taken while Redis is away")
	}
	r.set(func() { r.away = false })
	r.counted("sends that were unavailable", 1, func(s room.Stats) int64 { return s.Unavailable })
	m.got(t, count(1, 9))

	// Another log: two members are told.
	m2, u2 := r.enter("bob")
	r.join(m2, u2, protocol.ID{})
	r.set(func() { r.logs["lobby"], r.seqs["lobby"] = nil, 0 })
	r.counted("resets", 1, func(s room.Stats) int64 { return s.Resets })
	r.counted("members told", 2, func(s room.Stats) int64 { return s.ResetsSent })
}

func TestJoinsAreCountedByHowTheyRecovered(t *testing.T) {
	t.Parallel()
	first := newRig(t)
	m, u := first.enter("ann")
	first.join(m, u, protocol.ID{})
	first.other(1500)
	m.got(t, count(1, 1500))
	// A node that has just begun to follow knows the newest hundred.
	r := newRigOn(t, first)
	at := func(seq int64) protocol.ID { return protocol.ID{MS: 1000 + seq, Seq: seq} }
	for _, c := range []struct {
		name                      string
		after                     protocol.ID
		fromMemory, fromLog, gaps int64
	}{
		{"without a cursor", protocol.ID{}, 0, 0, 0},
		{"of the newest", at(1500), 1, 0, 0},
		{"of what memory holds", at(1450), 2, 0, 0},
		{"of another log", protocol.ID{MS: 77, Seq: 1450}, 2, 0, 1},
		{"of more than are recovered", at(1), 2, 0, 2},
	} {
		m, u := r.enter(c.name)
		r.join(m, u, c.after)
		if s := r.hub.Stats(); s.FromMemory != c.fromMemory || s.FromLog != c.fromLog || s.NotRecovered != c.gaps {
			t.Errorf("after a join with a cursor %s: %+v", c.name, s)
		}
	}
}

// What is too old for memory, whose bytes are bounded, comes from the log.
func TestAJoinThatOnlyTheLogAnswersIsCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, protocol.ID{})
	for range 80 {
		r.keys++
		big := protocol.Message(protocol.User{ID: "o"}, strconv.Itoa(r.keys), strings.Repeat("x", 32<<10), "o")
		if _, err := r.Append(t.Context(), "lobby", []protocol.Draft{big}); err != nil {
			t.Fatal(err)
		}
	}
	m.got(t, count(1, 80))
	m2, u2 := r.enter("bob")
	r.join(m2, u2, protocol.ID{MS: 1002, Seq: 2})
	if s := r.hub.Stats(); s.FromLog != 1 || s.FromMemory != 0 || s.NotRecovered != 0 {
		t.Errorf("%+v", s)
	}
}
