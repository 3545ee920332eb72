package room_test

import (
	"fmt"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// counted waits until a count of the hub has a value, and logs all counts if it does not.
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

// Each recovery is counted when it happens. The test is one story, as each step begins
// with the counts of the one before.
func TestRecoveriesAreCounted(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		r.beQuiet()
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		r.other(3)
		m.got(t, count(1, 3))
		if s := r.hub.Stats(); s != (room.Stats{Rooms: 1, Users: 1, Frames: 3, Bytes: s.Bytes}) || s.Bytes < 3*20 {
			t.Fatalf("without a fault: %+v", s)
		}

		// A live post is lost, and the next one shows the gap.
		r.dropPosts(1)
		r.other(2)
		m.got(t, count(1, 5))
		r.counted("gaps", 1, func(s room.Stats) int64 { return s.LogGaps })
		r.counted("catch-ups", 1, func(s room.Stats) int64 { return s.CaughtUp })
		r.counted("entries missed", 1, func(s room.Stats) int64 { return s.Missed })

		// The last live posts are lost, and only the audit finds that.
		r.dropPosts(2)
		r.other(2)
		m.got(t, count(1, 7))
		r.counted("catch-ups", 2, func(s room.Stats) int64 { return s.CaughtUp })
		r.counted("entries missed", 3, func(s room.Stats) int64 { return s.Missed })
		r.counted("gaps", 1, func(s room.Stats) int64 { return s.LogGaps })
		r.heal()

		// A read that finds nothing is no recovery.
		r.hub.Feed().Following("lobby")
		before := r.faults.Calls(faultbroker.Moved)
		chattest.Eventually(t, "an audit", func() bool { return r.faults.Calls(faultbroker.Moved) > before })
		r.counted("catch-ups", 2, func(s room.Stats) int64 { return s.CaughtUp })

		// The same key is sent twice, and a reply is lost.
		for range 2 {
			if _, err := r.sayKey(m, "again"); err != nil {
				t.Fatal(err)
			}
		}
		r.counted("duplicates", 1, func(s room.Stats) int64 { return s.Duplicates })
		r.loseReply()
		if _, err := r.sayKey(m, "unanswered"); err != nil {
			t.Fatal(err)
		}
		r.counted("retries", 1, func(s room.Stats) int64 { return s.Retried })
		r.counted("duplicates", 2, func(s room.Stats) int64 { return s.Duplicates })
		r.failLogs()
		if _, err := r.sayKey(m, "refused"); err == nil {
			t.Fatal("accepted while Redis is away")
		}
		r.heal()
		r.counted("unavailable sends", 1, func(s room.Stats) int64 { return s.Unavailable })
		m.got(t, count(1, 9))

		// The log is another one: two members get a reset.
		m2, u2 := r.enter("bob")
		r.join(m2, u2, newcomer)
		r.wipe(0)
		r.counted("resets", 1, func(s room.Stats) int64 { return s.Resets })
		r.counted("resets delivered", 2, func(s room.Stats) int64 { return s.ResetsSent })
	})
}

func TestJoinsAreCountedByHowTheyRecovered(t *testing.T) {
	t.Parallel()
	first := newRig(t)
	m, u := first.enter("ann")
	first.join(m, u, newcomer)
	first.other(1500)
	m.got(t, count(1, 1500))
	// A node that has just followed the room knows the newest hundred messages.
	r := newRigOn(t, first)
	for _, c := range []struct {
		name                      string
		after                     protocol.ID
		fromMemory, fromLog, gaps int64
	}{
		{"without a cursor", newcomer, 0, 0, 0},
		{"with the newest entry", at(1500), 1, 0, 0},
		{"with a cursor that memory holds", at(1450), 2, 0, 0},
		{"with a cursor of another log", protocol.ID{MS: 77, Seq: 1450}, 2, 0, 1},
		{"with a cursor before more entries than are recovered", at(1), 2, 0, 2},
	} {
		m, u := r.enter(c.name)
		r.join(m, u, c.after)
		if s := r.hub.Stats(); s.FromMemory != c.fromMemory || s.FromLog != c.fromLog || s.NotRecovered != c.gaps {
			t.Errorf("after a join %s: %+v", c.name, s)
		}
	}
}

// Memory is bounded in bytes, and so is spare memory; a cursor beyond both is looked up in the
// log.
func TestAJoinThatOnlyTheLogAnswersIsCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	r.join(m, u, newcomer)
	for range 80 {
		r.long(1, 500<<10)
	}
	m.got(t, count(1, 80))
	m2, u2 := r.enter("bob")
	r.join(m2, u2, at(2))
	if s := r.hub.Stats(); s.FromLog != 1 || s.FromMemory != 0 || s.NotRecovered != 0 {
		t.Errorf("%+v", s)
	}
}
