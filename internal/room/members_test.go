package room_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// A node counts its own users and those that Redis lists, each once, in whatever order it
// learns of them. The test's own events of presence stand for those of other nodes.
func TestTheCountIsOfAllEachOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beQuiet()
	random := rand.New(rand.NewPCG(1, 2))
	type place struct {
		m *fakeMember
		u *room.User
	}
	here, listed := make(map[string]place), make(map[string]bool)
	m, u := r.enter("first")
	r.join(m, u, newcomer)
	here["first"] = place{m, u}
	for step := range 2000 {
		id := fmt.Sprintf("u%d", random.IntN(40))
		p, in := here[id]
		switch {
		case random.IntN(2) == 0 && !in:
			m, u := r.enter(id)
			r.join(m, u, newcomer)
			here[id] = place{m, u}
		case random.IntN(2) == 0 && in:
			r.hub.Leave(p.m, "lobby")
			r.hub.Exit(p.m)
			delete(here, id)
		case listed[id]:
			delete(listed, id)
			r.hub.Feed().Presence("lobby", protocol.PresenceDelta{Left: []protocol.User{{ID: id, Name: id}}, Count: len(listed)})
		default:
			listed[id] = true
			r.hub.Feed().Presence("lobby", protocol.PresenceDelta{Joined: []protocol.User{{ID: id, Name: id}}, Count: len(listed)})
		}
		want := make(map[string]bool)
		for id := range here {
			want[id] = true
		}
		for id := range listed {
			want[id] = true
		}
		list, count := r.hub.Members("lobby")
		if count != len(want) || len(list) != len(want) {
			t.Fatalf("step %d: %d counted, %d listed, there are %d", step, count, len(list), len(want))
		}
		for _, u := range list {
			if !want[u.ID] {
				t.Fatalf("step %d: %s is listed, and not in the room", step, u.ID)
			}
		}
	}
}

// Users who join soon after each other are written to Redis together.
func TestPresenceIsWrittenByRoomAndNotByUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.beQuiet()
	began := time.Now()
	const users = 2000
	for i := range users {
		m, u := r.enter(fmt.Sprintf("u%d", i))
		r.join(m, u, newcomer)
	}
	calls := r.faults.Calls(faultbroker.Here)
	if most := 2 + int(time.Since(began)/(100*time.Millisecond)); calls > most {
		t.Errorf("%d users were written in %d calls within %s", users, calls, time.Since(began))
	}
}
