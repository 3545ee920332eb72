package room_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
)

// slowMember is a member on a slow connection. Replies to its joins wait there too.
type slowMember struct {
	bufferedMember
	joins []protocol.JoinedEvent // guarded by fakeMember.mu
}

func (r *rig) slow(name string, rate int) (*slowMember, *slowUser) {
	r.t.Helper()
	m := &slowMember{bufferedMember: bufferedMember{rate: rate, most: outbox, taken: time.Now()}}
	u, err := r.hub.Enter(r.t.Context(), m, protocol.NameClaim{User: name, Name: name})
	if err != nil {
		r.t.Fatal(err)
	}
	return m, &slowUser{r, m, func(room string, after protocol.ID) *protocol.Error {
		return r.hub.Join(r.t.Context(), m, u, room, cursor(after), m.joined)
	}}
}

// slowUser joins rooms for a slowMember.
type slowUser struct {
	*rig
	m    *slowMember
	into func(room string, after protocol.ID) *protocol.Error
}

// join joins a room and returns the reply.
func (u *slowUser) join(room string, after protocol.ID) protocol.JoinedEvent {
	u.t.Helper()
	if err := u.into(room, after); err != nil {
		u.t.Fatal(err)
	}
	u.m.fakeMember.mu.Lock()
	defer u.m.fakeMember.mu.Unlock()
	return u.m.joins[len(u.m.joins)-1]
}

// follow returns a member of the lobby that reads at once.
func (r *rig) follow() *fakeMember {
	r.t.Helper()
	m, u := r.enter("quick")
	r.join(m, u, newcomer)
	return m
}

// delivered waits until the member has got the newest entry of the log.
func (r *rig) delivered(m *fakeMember) {
	r.t.Helper()
	head := r.headSeq()
	chattest.Eventually(r.t, "the newest entry", func() bool { return m.last() == head })
}

// Stalled notes that the member was closed (room.Stallable).
func (m *slowMember) Stalled() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.waiting = true, 0
}

// setRate sets how many bytes a millisecond the client takes.
func (m *slowMember) setRate(rate int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.takeLocked()
	m.rate = rate
}

// setFree makes the client take all that waits, and the rest at a rate.
func (m *slowMember) setFree(rate int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rate, m.waiting = rate, 0
}

func (m *slowMember) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

func (m *slowMember) joined(e protocol.Event) {
	m.mu.Lock()
	m.takeLocked()
	m.waiting += len(e.Body)
	m.mu.Unlock()
	var j protocol.JoinedEvent
	if err := json.Unmarshal(e.Body, &j); err != nil {
		panic(err)
	}
	m.fakeMember.mu.Lock()
	defer m.fakeMember.mu.Unlock()
	m.joins = append(m.joins, j)
	for _, raw := range j.Messages { // as if each had come by itself
		m.noteLocked(protocol.Event{Name: "message", Body: raw})
	}
}

func (m *slowMember) peakWaiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peak
}

func size(list []jsontext.Value) int {
	raw, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return len(raw)
}

// A large reply to a join is split. Three hundred messages of 1,500 bytes were one frame,
// before whose end a slow client gave up, again and again.
func TestALargeJoinComesInPieces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after protocol.ID
		from  int64
	}{
		"a recovery":   {at(1), 2},
		"a first join": {newcomer, 252},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T) {
				r := newRig(t)
				quick := r.follow()
				r.long(301, 1500)
				quick.got(t, count(1, 301))
				m, u := r.slow("slow", 0)
				j := u.join("lobby", c.after)
				if !j.More || j.Recovered != !c.after.IsZero() || size(j.Messages) > protocol.MaxJoined || size(j.Messages) < protocol.MaxJoined/2 {
					t.Fatalf("joined with more %v, recovered %v, %d bytes of messages", j.More, j.Recovered, size(j.Messages))
				}
				if head := at(301); j.Head != head.String() {
					t.Errorf("joined with the head %s, want %s", j.Head, head)
				}
				r.other(20) // while the slow member reads nothing
				quick.got(t, count(1, 321))
				if m.last() == 321 {
					t.Error("the slow member got everything at once")
				}
				m.setRate(200)
				m.got(t, count(c.from, 321))
				r.other(2)
				m.got(t, count(c.from, 323))
				if peak := m.peakWaiting(); peak > 40<<10 {
					t.Errorf("%d bytes waited for the slow member", peak)
				}
			})
		})
	}
}

// Messages that fit into one reply are not split.
func TestASmallJoinComesWhole(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		r.other(60)
		m, u := r.slow("slow", 1)
		if j := u.join("lobby", newcomer); j.More || len(j.Messages) != 50 {
			t.Errorf("joined with %d messages, more %v", len(j.Messages), j.More)
		}
		if j := u.join("lobby", at(1)); j.More || len(j.Messages) != 59 {
			t.Errorf("joined again with %d messages, more %v", len(j.Messages), j.More)
		}
		r.other(1)
		chattest.Eventually(t, "the next", func() bool { return m.last() == 61 })
	})
}

// A piece holds a message also if that is longer than a piece.
func TestAPieceHoldsOneMessageAtLeast(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		r.long(5, 2*protocol.MaxJoined)
		m, u := r.slow("slow", 1<<10)
		if j := u.join("lobby", newcomer); !j.More || len(j.Messages) != 1 {
			t.Errorf("joined with %d messages, more %v", len(j.Messages), j.More)
		}
		m.got(t, count(1, 5))
	})
}

// A backlog that has outgrown the room's memory is read from the log.
func TestABacklogIsReadFromTheLog(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		quick := r.follow()
		r.long(900, 400)
		r.delivered(quick)
		m, u := r.slow("slow", 0)
		if j := u.join("lobby", at(1)); !j.More || !j.Recovered {
			t.Fatalf("joined with more %v, recovered %v", j.More, j.Recovered)
		}
		r.long(3000, 400)
		r.delivered(quick)
		m.setRate(20 << 10)
		m.got(t, count(2, 3900))
	})
}

// If the log has dropped the next entry of a backlog, the member gets a reset.
func TestABacklogThatTheLogHasDroppedEndsWithAReset(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		quick := r.follow()
		r.long(900, 400)
		r.delivered(quick)
		m, u := r.slow("slow", 0)
		u.join("lobby", at(1))
		r.long(3000, 400)
		r.delivered(quick)
		r.rewrite(func(list []protocol.Entry) []protocol.Entry { return list[2000:] })
		m.setRate(20 << 10)
		chattest.Eventually(t, "a reset", func() bool { return slices.Contains(m.seqs(), -1) })
		r.other(1)
		chattest.Eventually(t, "the live entry", func() bool { return m.last() == 3901 })
		seqs := m.seqs()
		at := slices.Index(seqs, -1)
		if !slices.Equal(seqs[:at], count(2, seqs[at-1])) || !slices.Equal(seqs[at+1:], []int64{3901}) {
			t.Errorf("the member got %d up to %d, then a reset, then %v", at, seqs[at-1], seqs[at+1:])
		}
	})
}

// Redis is away while a backlog is read, and returns later.
func TestABacklogOutlivesAnOutage(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		quick := r.follow()
		r.long(900, 400)
		r.delivered(quick)
		m, u := r.slow("slow", 0)
		u.join("lobby", at(1))
		r.long(3000, 400)
		r.delivered(quick)
		r.failLogs()
		m.setRate(20 << 10)
		chattest.Eventually(t, "what memory holds", func() bool { return m.last() > 500 })
		r.heal()
		m.got(t, count(2, 3900))
	})
}

// The replies to joins of many rooms come first, each with at least one message, and then
// the backlogs of the rooms by turns. No more bytes wait than for one room.
func TestBacklogsOfManyRoomsComeByTurns(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		rooms := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		text := strings.Repeat("x", 1500)
		for _, name := range rooms {
			var drafts []protocol.Draft
			for range 50 {
				r.keys++
				drafts = append(drafts, protocol.Message(protocol.User{ID: "o"}, name+"-"+time.Now().String()+string(rune('a'+r.keys%26))+strings.Repeat("k", r.keys%50), text, "o"))
			}
			r.put(name, drafts...)
		}
		m, u := r.slow("slow", 400)
		m.most = 1 << 20
		for i, name := range rooms {
			j := u.join(name, newcomer)
			if j.Room != name || !j.More || len(j.Messages) == 0 {
				t.Fatalf("%s: joined with %d messages, more %v", name, len(j.Messages), j.More)
			}
			if i >= 3 && len(j.Messages) != 1 {
				t.Errorf("%s: joined with %d messages, although replies wait", name, len(j.Messages))
			}
		}
		chattest.Eventually(t, "all messages", func() bool { return len(m.seqs()) == 50*len(rooms) })
		if peak := m.peakWaiting(); peak > 160<<10 {
			t.Errorf("%d bytes waited", peak)
		}
	})
}

// A member that leaves or is kicked gets no more of its backlog. One that joins again
// continues from its cursor.
func TestABacklogEndsWithItsMember(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		r.long(300, 1500)
		m, u := r.slow("slow", 0)
		u.join("lobby", at(1))
		had := len(m.seqs())
		r.hub.Leave(m, "lobby")
		m.setFree(20 << 10)
		other, ou := r.slow("other", 20<<10)
		ou.join("lobby", at(1))
		other.got(t, count(2, 300))
		if now := len(m.seqs()); now != had {
			t.Errorf("%d messages came after the member had left", now-had)
		}
		// It joins again with its cursor.
		last := m.seqs()[had-1]
		u.join("lobby", at(last))
		m.got(t, count(2, 300))

		kicked, ku := r.slow("kicked", 0)
		ku.join("lobby", at(1))
		had = len(kicked.seqs())
		if _, err := r.hub.Moderate(t.Context(), protocol.Command{Action: protocol.Kick, Room: "lobby", User: "kicked"}, protocol.User{ID: "mod"}); err != nil {
			t.Fatal(err)
		}
		chattest.Eventually(t, "the decision", func() bool { return len(kicked.bodies("moderated")) == 1 })
		kicked.setFree(20 << 10)
		r.other(1)
		other.got(t, count(2, 301))
		if now := kicked.seqs(); len(now) > had+1 {
			t.Errorf("%d messages came after the kick", len(now)-had)
		}
	})
}

// A log is wiped while a member has a backlog: the member gets a reset, and nothing of the
// old log after it.
func TestAResetEndsABacklog(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		r.long(300, 1500)
		m, u := r.slow("slow", 0)
		u.join("lobby", at(1))
		r.wipe(1e6)
		r.long(40, 1500)
		chattest.Eventually(t, "the reset", func() bool { return slices.Contains(m.seqs(), -1) })
		had := len(m.seqs())
		m.setRate(20 << 10)
		time.Sleep(time.Second) // of virtual time, in which the old backlog could be sent
		if now := m.seqs()[had:]; len(now) > 0 {
			t.Errorf("before a join, the member got %v", now)
		}
		if j := u.join("lobby", newcomer); !j.More || j.Recovered {
			t.Errorf("joined with more %v, recovered %v", j.More, j.Recovered)
		}
		chattest.Eventually(t, "the new log", func() bool { return m.last() == 40 })
		if now := m.seqs()[had:]; !slices.Equal(now, count(1, 40)) {
			t.Errorf("after the reset: %v", now)
		}
	})
}

// A message that is deleted before the backlog sends it is not sent.
func TestWhatIsDeletedLeavesABacklog(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		quick := r.follow()
		r.long(100, 1500)
		r.delivered(quick)
		m, u := r.slow("slow", 0)
		u.join("lobby", at(1))
		gone := at(90)
		r.put("lobby", protocol.Command{Type: protocol.Delete, Key: "d", Target: gone}.Change(protocol.User{ID: "o"}, "o", false))
		r.delivered(quick)
		m.setRate(20 << 10)
		m.got(t, append(count(2, 89), count(91, 101)...))
	})
}

// A member that reads nothing of its backlog is closed, and a slow one is not.
func TestAMemberThatTakesNothingOfItsBacklogIsClosed(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		r.long(100, 1500)
		stuck, u := r.slow("stuck", 0)
		slow, su := r.slow("slow", 8)
		u.join("lobby", at(1))
		su.join("lobby", at(1))
		chattest.Eventually(t, "the end of the one that reads nothing", stuck.isClosed)
		slow.got(t, count(2, 100))
		if slow.isClosed() {
			t.Error("the one that is slow was closed")
		}
	})
}
