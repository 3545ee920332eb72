package curves_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
)

// What one client more costs when a crowd returns to a room whose missed entries are more
// than memory usually holds.
func TestRecoveringMoreThanMemoryHolds(t *testing.T) {
	const entries, size = 990, 1000
	var reads, grew, alloc []point
	for _, clients := range sizes([]int{10, 100}, []int{10, 100, 1000}) {
		s := open(t)
		after := protocol.At(s.fill("lobby", entries, size))
		m, u := s.enter("first")
		if err := s.join(m, u, "lobby", protocol.Cursor{}); err != nil {
			t.Fatal(err)
		}
		members := make([]*member, clients)
		users := make(map[int]func() *protocol.Error)
		for i := range members {
			m, u := s.enter(fmt.Sprint("u", i))
			members[i] = m
			users[i] = func() *protocol.Error { return s.join(m, u, "lobby", after) }
		}
		s.quiet()
		before := s.sent.sent.Load()
		stop := peak()
		var refused atomic.Int64
		bytes := allocated(func() {
			var all sync.WaitGroup
			for _, join := range users {
				all.Go(func() {
					if join() != nil {
						refused.Add(1)
					}
				})
			}
			all.Wait()
			chattest.Eventually(t, "all to have all", func() bool {
				for _, m := range members {
					if m.bytes.Load() < entries*size-size {
						return false
					}
				}
				return true
			})
		})
		_, grown := stop()
		if n := refused.Load(); n > 0 {
			t.Errorf("of %d clients %d were refused", clients, n)
		}
		reads = append(reads, point{clients, float64(s.sent.sent.Load() - before)})
		grew = append(grew, point{clients, float64(grown) / (1 << 20)})
		alloc = append(alloc, point{clients, bytes / 1024})
	}
	// Two reads of the log, heartbeats, probes and one audit, and a write of presence for some
	// users at a time.
	curve(t, "commands to Redis in all", 30, 0.03, reads)
	curve(t, "KiB allocated in all", 27_000, 260, alloc)
	if chattest.Measure() {
		curve(t, "MiB more at the peak", 24, 0.02, grew)
	}
}

// What it costs to follow one room more.
func TestFollowingOneMoreRoom(t *testing.T) {
	const more = 200
	var sent, busy []point
	s := open(t)
	m, u := s.enter("ann")
	rooms := 0
	for _, n := range sizes([]int{100, 1000}, []int{1000, 10_000, 50_000}) {
		s.joinAll(m, u, rooms, n)
		rooms = n
		before, began := s.sent.sent.Load(), cpu()
		for range more {
			if err := s.join(m, u, roomName(rooms), protocol.Cursor{}); err != nil {
				t.Fatal(err)
			}
			rooms++
		}
		busy = append(busy, point{n, float64((cpu() - began).Microseconds()) / more})
		sent = append(sent, point{n, float64(s.sent.sent.Load()-before) / more})
	}
	curve(t, "commands to Redis a room", 6, 0, sent)
	if chattest.Measure() {
		curve(t, "µs of processor time a room", 600, 0, busy)
	}
}

// What rooms without news cost for each audit.
func TestIdleRooms(t *testing.T) {
	const audits = 20 // after which all partitions were checked as a whole
	var sent []point
	s := open(t)
	m, u := s.enter("ann")
	rooms := 0
	for _, n := range sizes([]int{100, 1000}, []int{1000, 10_000, 30_000}) {
		s.joinAll(m, u, rooms, n)
		rooms = n
		known := make([]protocol.RoomHead, n)
		for i := range known {
			known[i].Room = roomName(i)
		}
		if _, err := s.broker.Moved(t.Context(), known); err != nil { // the first one finds all of a new partition
			t.Fatal(err)
		}
		before, asked := s.sent.sent.Load(), 0
		for range audits {
			names, err := s.broker.Moved(t.Context(), known)
			if err != nil {
				t.Fatal(err)
			}
			asked += 2 * len(names) // to read their heads
		}
		sent = append(sent, point{n, (float64(s.sent.sent.Load()-before) + float64(asked)) / audits})
		if chattest.Measure() {
			s.watchIdle(n)
		}
	}
	// Two for each of 256 partitions, and two for a twentieth of the rooms.
	curve(t, "commands to Redis an audit", 512, 0.1, sent)
}

// watchIdle prints what the node and its Redis need with n rooms in which nothing happens.
func (s *stand) watchIdle(n int) {
	const watched = 9 * time.Second     // three audits
	time.Sleep(3500 * time.Millisecond) // the first audit of new rooms reads their heads
	s.quiet()
	runtime.GC()
	began, redisBegan := cpu(), s.redisCPU()
	time.Sleep(watched)
	percent := func(d time.Duration) float64 { return 100 * d.Seconds() / watched.Seconds() }
	s.t.Logf("%8d: %12.2f %% of a core in the node, %.2f %% in Redis", n, percent(cpu()-began), percent(s.redisCPU()-redisBegan))
}

// What a node needs for a moment when its subscription was replaced: all its rooms are read.
func TestALostSubscription(t *testing.T) {
	var goroutines, grew []point
	s := open(t)
	m, u := s.enter("ann")
	rooms := 0
	for _, n := range sizes([]int{100, 1000}, []int{1000, 10_000, 30_000}) {
		s.joinAll(m, u, rooms, n)
		rooms = n
		base := memory()
		stop := peak()
		for i := range n {
			s.hub.Feed().Following(roomName(i))
		}
		s.quiet()
		most, grown := stop()
		goroutines = append(goroutines, point{n, float64(most)})
		grew = append(grew, point{n, float64(base+grown) / float64(base)})
	}
	curve(t, "goroutines more", 60, 0, goroutines)
	if chattest.Measure() {
		curve(t, "times the memory", 1.3, 0, grew)
	}
}

// What a node needs for a moment when all its rooms are left at once.
func TestRoomsLeftAtOnce(t *testing.T) {
	var goroutines, late []point
	for _, n := range sizes([]int{100, 1000}, []int{1000, 10_000, 25_000}) {
		s := open(t)
		m, u := s.enter("ann")
		bob, bobUser := s.enter("bob")
		if err := s.join(bob, bobUser, "bystanders", protocol.Cursor{}); err != nil {
			t.Fatal(err)
		}
		s.joinAll(m, u, 0, n)
		stop := peak()
		for i := range n {
			s.hub.Leave(m, roomName(i))
		}
		worst := time.Duration(0)
		for i := range 50 {
			began, done := time.Now(), make(chan struct{})
			s.hub.Send(bob, "bystanders", false, protocol.Message(protocol.User{ID: "bob", Name: "bob"}, fmt.Sprint("k", i), "x", "n1"),
				func(protocol.Receipt, *protocol.Error) { close(done) })
			<-done
			worst = max(worst, time.Since(began))
		}
		s.quiet()
		most, _ := stop()
		goroutines = append(goroutines, point{n, float64(most)})
		late = append(late, point{n, float64(worst.Milliseconds())})
	}
	curve(t, "goroutines more", 200, 0, goroutines) // among them some timers of announcements
	if chattest.Measure() {
		curve(t, "ms until a bystander's message is acknowledged, at worst", 40, 0, late)
	}
}

// What the rename of a user costs a node, whose other rooms the user is not in.
func TestARename(t *testing.T) {
	const renames = 500
	var alloc, busy []point
	s := open(t)
	m, u := s.enter("ann")
	rooms := 0
	for _, n := range sizes([]int{100, 1000}, []int{1000, 10_000, 30_000}) {
		s.joinAll(m, u, rooms, n)
		rooms = n
		s.hub.Feed().Presence(roomName(0), protocol.PresenceDelta{Joined: []protocol.User{{ID: "far", Name: "far"}}, Count: 2})
		began := cpu()
		bytes := allocated(func() {
			for i := range renames {
				s.hub.Feed().Renamed("", protocol.User{ID: "far", Name: fmt.Sprint("name-", i)})
			}
		})
		busy = append(busy, point{n, float64((cpu() - began).Microseconds()) / renames})
		alloc = append(alloc, point{n, bytes / renames / 1024})
	}
	curve(t, "KiB allocated a rename", 1, 0, alloc)
	if chattest.Measure() {
		curve(t, "µs of processor time a rename", 20, 0, busy)
	}
}

// What 20 users who type cost a room, once a second each.
func TestTyping(t *testing.T) {
	const typists, seconds = 20, 3
	var events, busy []point
	for _, n := range sizes([]int{100, 1000}, []int{30, 300, 3000}) {
		s := open(t)
		members := make([]*member, n)
		for i := range members {
			m, u := s.enter(fmt.Sprint("u", i))
			members[i] = m
			if err := s.join(m, u, "lobby", protocol.Cursor{}); err != nil {
				t.Fatal(err)
			}
		}
		s.quiet()
		before, began, start := s.hub.Stats().Frames, cpu(), time.Now()
		for range seconds {
			for _, m := range members[:typists] {
				if err := s.hub.Typing(t.Context(), m, "lobby"); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(1050 * time.Millisecond)
		}
		took := time.Since(start).Seconds()
		events = append(events, point{n, float64(s.hub.Stats().Frames-before) / took})
		busy = append(busy, point{n, 100 * (cpu() - began).Seconds() / took})
	}
	// A thousand a second, and once as many as there are members.
	curve(t, "events a second", 1000, 0.35, events)
	if chattest.Measure() {
		curve(t, "% of a core", 1.5, 0, busy)
	}
}
