package room_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// A crowd returns to a room whose entries do not fit into memory: they share one read of the
// log, and the list of what follows.
func TestACrowdThatReturnsSharesOneRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.long(300, 4500) // 1.4 MB
	m, u := r.enter("first")
	r.join(m, u, newcomer)
	before := r.reads()
	const crowd = 20
	members := make([]*slowMember, crowd)
	var all sync.WaitGroup
	for i := range members {
		slow, user := r.slow(fmt.Sprint("u", i), 0) // their outboxes are full after the first answer
		members[i] = slow
		all.Go(func() {
			if err := user.into("lobby", at(1)); err != nil {
				t.Errorf("it was refused: %v", err)
			}
		})
	}
	all.Wait()
	if reads := r.reads() - before; reads > 4 { // one, and audits
		t.Errorf("%d joins have read the log %d times", crowd, reads)
	}
	// All get everything.
	for _, slow := range members {
		slow.setRate(1 << 30)
	}
	for _, slow := range members {
		slow.got(t, count(2, 300))
	}
	if s := r.hub.Stats(); s.FromMemory != crowd || s.FromLog != 0 {
		t.Errorf("%d joins were answered from memory, %d from the log", s.FromMemory, s.FromLog)
	}
}

// frameMember keeps the events that it gets.
type frameMember struct {
	slowMember
	frames []*room.Broadcast // guarded by fakeMember.mu
}

func (m *frameMember) Deliver(b *room.Broadcast) {
	m.fakeMember.mu.Lock()
	m.frames = append(m.frames, b)
	m.fakeMember.mu.Unlock()
	m.slowMember.Deliver(b)
}

// Members that return together get the same events of their backlogs, which are encoded once.
// What they share is freed afterwards.
func TestBacklogsShareTheirEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beQuiet()
	r.long(300, 500)
	first, u := r.enter("first")
	r.join(first, u, newcomer)
	members := make([]*frameMember, 3)
	for i := range members {
		m := &frameMember{slowMember: slowMember{bufferedMember: bufferedMember{rate: 1 << 30, most: outbox, taken: time.Now()}}}
		u, err := r.hub.Enter(t.Context(), m, protocol.NameClaim{User: fmt.Sprint("u", i), Name: fmt.Sprint("u", i)})
		if err != nil {
			t.Fatal(err)
		}
		m.setRate(0) // until all have joined
		if err := r.hub.Join(t.Context(), m, u, "lobby", cursor(at(1)), m.joined); err != nil {
			t.Fatal(err)
		}
		members[i] = m
	}
	if room.Shared(r.hub, "lobby") == 0 {
		t.Error("the members do not share their entries")
	}
	for _, m := range members {
		m.setRate(1 << 30)
	}
	distinct := make(map[*room.Broadcast]bool)
	events := 0
	for _, m := range members {
		m.got(t, count(2, 300))
		m.fakeMember.mu.Lock()
		events = len(m.frames)
		for _, b := range m.frames {
			distinct[b] = true
		}
		m.fakeMember.mu.Unlock()
	}
	if len(distinct) != events {
		t.Errorf("%d members got %d events each, and %d were encoded", len(members), events, len(distinct))
	}
	chattest.Eventually(t, "the shared entries to be freed", func() bool { return room.Shared(r.hub, "lobby") == 0 })
}

// Thousands of rooms are read again, written, and left at once, by few goroutines.
func TestManyRoomsNeedFewGoroutines(t *testing.T) {
	r := newRig(t)
	const rooms = 2000
	m, u := r.enter("ann")
	for i := range rooms {
		if err := r.hub.Join(t.Context(), m, u, strconv.Itoa(i), protocol.Cursor{}, m.take); err != nil {
			t.Fatal(err)
		}
	}
	chattest.Eventually(t, "all to be written", func() bool { return r.faults.Calls(faultbroker.Here) >= rooms })
	chattest.Eventually(t, "all users to be announced", func() bool { return m.named("presence") >= rooms })
	r.inject(faultbroker.Faults{Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
		runtime.Gosched() // as a call to Redis
		return do(ctx)
	}})
	most := func(what string, op faultbroker.Op, do func()) {
		t.Helper()
		base, peak, before := runtime.NumGoroutine(), 0, r.faults.Calls(op)
		do()
		chattest.Eventually(t, what, func() bool {
			peak = max(peak, runtime.NumGoroutine())
			return r.faults.Calls(op) >= before+rooms
		})
		if peak-base > rooms/4 {
			t.Errorf("%s: %d goroutines more for %d rooms", what, peak-base, rooms)
		}
	}
	most("a lost subscription", faultbroker.Present, func() {
		for i := range rooms {
			r.hub.Feed().Following(strconv.Itoa(i))
		}
	})
	most("all rooms left", faultbroker.Here, func() {
		for i := range rooms {
			r.hub.Leave(m, strconv.Itoa(i))
		}
	})
}

// A rename reaches the rooms of the user, whatever node the user is at, and no others.
func TestARenameReachesTheRoomsOfItsUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m, u := r.enter("ann")
	for i := range 50 {
		if err := r.hub.Join(t.Context(), m, u, fmt.Sprint("room-", i), protocol.Cursor{}, m.take); err != nil {
			t.Fatal(err)
		}
	}
	user := protocol.User{ID: "u-far", Name: "before"}
	in := func(room string, joined bool) {
		d := protocol.PresenceDelta{Count: 1}
		if joined {
			d.Joined = []protocol.User{user}
		} else {
			d.Left = []protocol.User{user}
		}
		r.hub.Feed().Presence(room, d)
	}
	heard := func() (rooms []string) {
		m.mu.Lock()
		defer m.mu.Unlock()
		n := 0
		for _, e := range m.events {
			if e.Name == "renamed" && strings.Contains(string(e.Body), "u-far") {
				n++
			}
		}
		m.events = nil
		return make([]string, n)
	}
	for i := range 40 { // more than a small set of rooms holds
		in(fmt.Sprint("room-", i), true)
	}
	r.hub.Feed().Renamed("", protocol.User{ID: "u-far", Name: "after"})
	if n := len(heard()); n != 40 {
		t.Errorf("the rename was heard in %d rooms, want 40", n)
	}
	if list, _ := r.hub.Members("room-7"); !hasName(list, "after") {
		t.Errorf("the room lists %v", list)
	}
	for i := range 39 {
		in(fmt.Sprint("room-", i), false)
	}
	r.hub.Feed().Renamed("", protocol.User{ID: "u-far", Name: "again"})
	if n := len(heard()); n != 1 {
		t.Errorf("the rename was heard in %d rooms, want 1", n)
	}
	in("room-39", false)
	r.hub.Feed().Renamed("", protocol.User{ID: "u-far", Name: "nowhere"})
	if n := len(heard()); n != 0 {
		t.Errorf("the rename of a user in no room was heard in %d", n)
	}
	r.hub.Feed().Renamed("", protocol.User{ID: "ann", Name: "Ann"})
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.events); n != 50 {
		t.Errorf("the user's own rename was heard in %d rooms, want 50", n)
	}
}

func hasName(list []protocol.User, name string) bool {
	for _, u := range list {
		if u.Name == name {
			return true
		}
	}
	return false
}

// typingMember counts the events of typing that it gets.
type typingMember struct{ typing, messages atomic.Int64 }

func (m *typingMember) Expel(string) {}
func (m *typingMember) Deliver(b *room.Broadcast) {
	switch b.Name {
	case "typing":
		m.typing.Add(1)
	case "message":
		m.messages.Add(1)
	}
}

// Each announcement of typing costs an event for each member: large rooms get a sample.
func TestTypingIsSampledInLargeRooms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ members, typists, least, most int64 }{
		{40, 40, 39, 39}, // all others
		{1000, 20, 1, 2},
	} {
		r := newRig(t)
		members := make([]*typingMember, c.members)
		for i := range members {
			members[i] = &typingMember{}
			u, err := r.hub.Enter(t.Context(), members[i], protocol.NameClaim{User: fmt.Sprint("u", i), Name: fmt.Sprint("u", i)})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.hub.Join(t.Context(), members[i], u, "lobby", protocol.Cursor{}, func(protocol.Event) {}); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		for _, m := range members[:c.typists] {
			if err := r.hub.Typing(t.Context(), m, "lobby"); err != nil {
				t.Errorf("it was refused: %v", err)
			}
		}
		took := time.Since(began)
		r.other(1) // comes after all of them
		for _, m := range members {
			chattest.Eventually(t, "a message", func() bool { return m.messages.Load() == 1 })
		}
		// One that does not type gets the announcements of all others.
		n := members[0].typing.Load()
		if c.typists < c.members {
			n = members[c.members-1].typing.Load()
		}
		if n < c.least || n > c.most+int64(took/time.Second) {
			t.Errorf("of %d users of %d who type, %d were announced in %s", c.typists, c.members, n, took)
		}
	}
}

// named returns how many events with a name the member got.
func (m *fakeMember) named(name string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		if e.Name == name {
			n++
		}
	}
	return n
}
