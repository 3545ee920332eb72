package room_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// How many bytes may wait for a client before it is closed: for one that reads nothing,
// and for one that reads.
const (
	outbox = 256 << 10
	burst  = 8 * outbox
)

// bufferedMember is a member whose client reads rate bytes a millisecond, and which is
// closed when more than most wait for it.
type bufferedMember struct {
	fakeMember
	rate int
	most int

	mu      sync.Mutex // guards the fields below
	waiting int
	peak    int
	closed  bool
	taken   time.Time
}

func (m *bufferedMember) Deliver(b *room.Broadcast) {
	m.fakeMember.Deliver(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.takeLocked()
	if !m.closed {
		m.waiting += len(b.Body)
	}
	m.peak = max(m.peak, m.waiting)
	if m.waiting > m.most {
		m.closed, m.waiting = true, 0
	}
}

func (m *bufferedMember) Pending() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.takeLocked()
	return m.waiting
}

func (m *bufferedMember) takeLocked() {
	now := time.Now()
	m.waiting = max(0, m.waiting-m.rate*int(now.Sub(m.taken)/time.Millisecond))
	m.taken = now
}

// A node has missed a megabyte of a room, as after half a minute without Redis. Delivered
// at once it overran the outboxes of all clients, which were closed as too slow and
// returned with a gap.
func TestWhatWasMissedGoesOutInTurns(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		const missed = 3000
		r := newRig(t)
		quick, stuck := &bufferedMember{rate: 20 << 10, most: outbox, taken: time.Now()}, &bufferedMember{most: outbox, taken: time.Now()}
		r.bring(quick, "quick")
		r.bring(stuck, "stuck")
		r.dropPosts(all)
		r.long(missed, 400)
		began := time.Now()
		r.hub.Feed().Following("lobby")
		quick.got(t, count(1, missed))
		quick.mu.Lock()
		defer quick.mu.Unlock()
		if quick.closed {
			t.Errorf("%d bytes waited for a client that reads, and it was closed", quick.peak)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("one that does not read delayed the others by %s", took)
		}
	})
}

// A node slept, and receives at once, when it wakes up, megabytes that were published
// meanwhile, each entry following the one before.
func TestWhatComesAtOnceGoesOutInTurns(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		const rounds, each = 10, 2000
		r := newRig(t)
		m := &bufferedMember{rate: 20 << 10, most: burst, taken: time.Now()}
		r.bring(m, "quick")
		for range rounds {
			r.long(each, 400)
		}
		m.got(t, count(1, rounds*each))
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.closed {
			t.Errorf("%d bytes waited for a client that reads, and it was closed", m.peak)
		}
	})
}

// bring makes a member enter and join.
func (r *rig) bring(m *bufferedMember, name string) {
	r.t.Helper()
	u, err := r.hub.Enter(r.t.Context(), m, protocol.NameClaim{User: name, Name: name})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.hub.Join(r.t.Context(), m, u, "lobby", protocol.Cursor{}, m.take); err != nil {
		r.t.Fatal(err)
	}
}

// long appends n messages of a size as another node, in one call.
func (r *rig) long(n, size int) {
	r.t.Helper()
	var drafts []protocol.Draft
	for range n {
		r.keys++
		drafts = append(drafts, protocol.Message(protocol.User{ID: "o"}, strconv.Itoa(r.keys), strings.Repeat("x", size), "o"))
	}
	r.put("lobby", drafts...)
}
