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

// slowMember is a member on a slow connection, whose replies take their time too.
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

// Stalled notes that the member was closed (room.Stallable).
func (m *slowMember) Stalled() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.waiting = true, 0
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
		m.events = append(m.events, protocol.Event{Name: "message", Body: raw})
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

// Three hundred messages of 1,500 bytes came in one frame, which a slow client
// gave up in the middle, again and again.
func TestALargeJoinComesInPieces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after protocol.ID
		from  int64
	}{
		"a recovery":   {protocol.ID{MS: 1001, Seq: 1}, 2},
		"a first join": {protocol.ID{}, 252},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			quick, qu := r.enter("quick")
			r.join(quick, qu, protocol.ID{})
			r.long(301, 1500)
			m, u := r.slow("slow", 200)
			j := u.join("lobby", c.after)
			if !j.More || j.Recovered != !c.after.IsZero() || size(j.Messages) > protocol.MaxJoined || size(j.Messages) < protocol.MaxJoined/2 {
				t.Fatalf("joined with more %v, recovered %v, %d bytes of messages", j.More, j.Recovered, size(j.Messages))
			}
			if head := (protocol.ID{MS: 1301, Seq: 301}); j.Head != head.String() {
				t.Errorf("joined with the head %s, want %s", j.Head, head)
			}
			r.other(20) // meanwhile
			quick.got(t, count(1, 321))
			if m.last() == 321 {
				t.Error("the slow member had all at once")
			}
			m.got(t, count(c.from, 321))
			r.other(2)
			m.got(t, count(c.from, 323))
			if peak := m.peakWaiting(); peak > 40<<10 {
				t.Errorf("%d bytes waited for the slow member", peak)
			}
		})
	}
}

// What fits goes in one reply, as before.
func TestASmallJoinComesWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.other(60)
	m, u := r.slow("slow", 1)
	if j := u.join("lobby", protocol.ID{}); j.More || len(j.Messages) != 50 {
		t.Errorf("joined with %d messages, more %v", len(j.Messages), j.More)
	}
	if j := u.join("lobby", protocol.ID{MS: 1001, Seq: 1}); j.More || len(j.Messages) != 59 {
		t.Errorf("joined again with %d messages, more %v", len(j.Messages), j.More)
	}
	r.other(1)
	chattest.Eventually(t, "the next", func() bool { return m.last() == 61 })
}

// One message may be longer than a piece.
func TestAPieceHoldsOneMessageAtLeast(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.long(5, 2*protocol.MaxJoined)
	m, u := r.slow("slow", 1<<10)
	if j := u.join("lobby", protocol.ID{}); !j.More || len(j.Messages) != 1 {
		t.Errorf("joined with %d messages, more %v", len(j.Messages), j.More)
	}
	m.got(t, count(1, 5))
}

// A backlog that has outgrown the room's memory is read from the log.
func TestABacklogIsReadFromTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.long(900, 400)
	m, u := r.slow("slow", 0)
	if j := u.join("lobby", protocol.ID{MS: 1001, Seq: 1}); !j.More || !j.Recovered {
		t.Fatalf("joined with more %v, recovered %v", j.More, j.Recovered)
	}
	r.long(3000, 400)
	m.mu.Lock()
	m.rate = 20 << 10
	m.mu.Unlock()
	m.got(t, count(2, 3900))
}

// Where the log has dropped what was to come next, the member joins again.
func TestABacklogThatTheLogHasDroppedEndsWithAReset(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.long(900, 400)
	m, u := r.slow("slow", 0)
	u.join("lobby", protocol.ID{MS: 1001, Seq: 1})
	r.long(3000, 400)
	r.set(func() { r.logs["lobby"] = slices.Clone(r.logs["lobby"][2000:]) })
	m.mu.Lock()
	m.rate = 20 << 10
	m.mu.Unlock()
	chattest.Eventually(t, "a reset", func() bool { return slices.Contains(m.seqs(), -1) })
	r.other(1)
	chattest.Eventually(t, "what comes live", func() bool { return m.last() == 3901 })
	seqs := m.seqs()
	at := slices.Index(seqs, -1)
	if !slices.Equal(seqs[:at], count(2, seqs[at-1])) || !slices.Equal(seqs[at+1:], []int64{3901}) {
		t.Errorf("it got %d up to %d, then a reset, then %v", at, seqs[at-1], seqs[at+1:])
	}
}

// Redis is away while a backlog is read, and is back later.
func TestABacklogOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.long(900, 400)
	m, u := r.slow("slow", 0)
	u.join("lobby", protocol.ID{MS: 1001, Seq: 1})
	r.long(3000, 400)
	r.set(func() { r.away = true })
	m.mu.Lock()
	m.rate = 20 << 10
	m.mu.Unlock()
	chattest.Eventually(t, "what was kept", func() bool { return m.last() > 500 })
	r.set(func() { r.away = false })
	m.got(t, count(2, 3900))
}

// All replies come first, each with a message at least, and then the rest of each
// room, however many rooms: no more waits than for one.
func TestBacklogsOfManyRoomsComeByTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rooms := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	text := strings.Repeat("x", 1500)
	for _, name := range rooms {
		var drafts []protocol.Draft
		for range 50 {
			r.keys++
			drafts = append(drafts, protocol.Message(protocol.User{ID: "o"}, name+"-"+time.Now().String()+string(rune('a'+r.keys%26))+strings.Repeat("k", r.keys%50), text, "o"))
		}
		if _, err := r.Append(t.Context(), name, drafts); err != nil {
			t.Fatal(err)
		}
	}
	m, u := r.slow("slow", 400)
	m.most = 1 << 20
	for i, name := range rooms {
		j := u.join(name, protocol.ID{})
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
}

// A member that leaves, joins again, or is banned gets no more of what it had
// been about to get.
func TestABacklogEndsWithItsMember(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.long(300, 1500)
	m, u := r.slow("slow", 0)
	u.join("lobby", protocol.ID{MS: 1001, Seq: 1})
	had := len(m.seqs())
	r.hub.Leave(m, "lobby")
	m.mu.Lock()
	m.rate, m.waiting = 20<<10, 0
	m.mu.Unlock()
	other, ou := r.slow("other", 20<<10)
	ou.join("lobby", protocol.ID{MS: 1001, Seq: 1})
	other.got(t, count(2, 300))
	if now := len(m.seqs()); now != had {
		t.Errorf("%d messages came after it had left", now-had)
	}
	// Again, from where it is now.
	last := m.seqs()[had-1]
	u.join("lobby", protocol.ID{MS: 1000 + last, Seq: last})
	m.got(t, count(2, 300))

	kicked, ku := r.slow("kicked", 0)
	ku.join("lobby", protocol.ID{MS: 1001, Seq: 1})
	had = len(kicked.seqs())
	if _, err := r.hub.Moderate(t.Context(), protocol.Command{Action: protocol.Kick, Room: "lobby", User: "kicked"}, protocol.User{ID: "mod"}); err != nil {
		t.Fatal(err)
	}
	r.hub.Feed().Moderated(protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: protocol.Kick, Room: "lobby", User: &protocol.User{ID: "kicked", Name: "kicked"}}})
	kicked.mu.Lock()
	kicked.rate, kicked.waiting = 20<<10, 0
	kicked.mu.Unlock()
	r.other(1)
	other.got(t, count(2, 301))
	if now := kicked.seqs(); len(now) > had+1 {
		t.Errorf("%d messages came after the kick", len(now)-had)
	}
}

// The log was wiped while a member was behind: it hears that, and nothing of the
// old log after it.
func TestAResetEndsABacklog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.long(300, 1500)
	m, u := r.slow("slow", 0)
	u.join("lobby", protocol.ID{MS: 1001, Seq: 1})
	r.set(func() { r.logs, r.seqs, r.base = map[string][]protocol.Entry{}, map[string]int64{}, 1e6 })
	r.long(40, 1500)
	chattest.Eventually(t, "the reset", func() bool { return slices.Contains(m.seqs(), -1) })
	m.mu.Lock()
	m.rate = 20 << 10
	m.mu.Unlock()
	had := len(m.seqs())
	if j := u.join("lobby", protocol.ID{}); !j.More || j.Recovered {
		t.Errorf("joined with more %v, recovered %v", j.More, j.Recovered)
	}
	chattest.Eventually(t, "the new log", func() bool { return m.last() == 40 })
	if now := m.seqs()[had:]; !slices.Equal(now, count(1, 40)) {
		t.Errorf("after the reset: %v", now)
	}
}

// A message that is deleted while it waits is not sent any more.
func TestWhatIsDeletedLeavesABacklog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.long(100, 1500)
	m, u := r.slow("slow", 0)
	u.join("lobby", protocol.ID{MS: 1001, Seq: 1})
	gone := protocol.ID{MS: 1090, Seq: 90}
	r.keys++
	if _, err := r.Append(t.Context(), "lobby", []protocol.Draft{(protocol.Command{Type: protocol.Delete, Key: "d", Target: gone}).Change(protocol.User{ID: "o"}, "o", false)}); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	m.rate = 20 << 10
	m.mu.Unlock()
	m.got(t, append(count(2, 89), count(91, 101)...))
}

// Who takes nothing at all is not waited for.
func TestAMemberThatTakesNothingOfItsBacklogIsClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.long(100, 1500)
	stuck, u := r.slow("stuck", 0)
	slow, su := r.slow("slow", 8)
	u.join("lobby", protocol.ID{MS: 1001, Seq: 1})
	su.join("lobby", protocol.ID{MS: 1001, Seq: 1})
	chattest.Eventually(t, "the end of the one that takes nothing", stuck.isClosed)
	slow.got(t, count(2, 100))
	if slow.isClosed() {
		t.Error("the one that is slow was closed")
	}
}
