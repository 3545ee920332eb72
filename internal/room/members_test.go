package room_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// A node counts its own users and those that Redis tells of, each once, in
// whatever order it hears of them.
func TestTheCountIsOfAllEachOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	random := rand.New(rand.NewPCG(1, 2))
	type place struct {
		m *fakeMember
		u *room.User
	}
	here, told := make(map[string]place), make(map[string]bool)
	m, u := r.enter("first")
	r.join(m, u, protocol.ID{})
	here["first"] = place{m, u}
	for step := range 2000 {
		id := fmt.Sprintf("u%d", random.IntN(40))
		p, in := here[id]
		switch {
		case random.IntN(2) == 0 && !in:
			m, u := r.enter(id)
			r.join(m, u, protocol.ID{})
			here[id] = place{m, u}
		case random.IntN(2) == 0 && in:
			r.hub.Leave(p.m, "lobby")
			r.hub.Exit(p.m)
			delete(here, id)
		case told[id]:
			delete(told, id)
			r.hub.Feed().Presence("lobby", protocol.PresenceDelta{Left: []protocol.User{{ID: id, Name: id}}, Count: len(told)})
		default:
			told[id] = true
			r.hub.Feed().Presence("lobby", protocol.PresenceDelta{Joined: []protocol.User{{ID: id, Name: id}}, Count: len(told)})
		}
		want := make(map[string]bool)
		for id := range here {
			want[id] = true
		}
		for id := range told {
			want[id] = true
		}
		list, count := r.hub.Members("lobby")
		if count != len(want) || len(list) != len(want) {
			t.Fatalf("step %d: %d counted, %d listed, there are %d", step, count, len(list), len(want))
		}
		for _, u := range list {
			if !want[u.ID] {
				t.Fatalf("step %d: %s is listed, and not there", step, u.ID)
			}
		}
	}
}

// Many who join one after the other are written to Redis together.
func TestPresenceIsWrittenByRoomAndNotByUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	began := time.Now()
	const users = 2000
	for i := range users {
		m, u := r.enter(fmt.Sprintf("u%d", i))
		r.join(m, u, protocol.ID{})
	}
	var heres int
	r.set(func() { heres = r.heres })
	if most := 2 + int(time.Since(began)/(100*time.Millisecond)); heres > most {
		t.Errorf("%d users were written in %d calls within %s", users, heres, time.Since(began))
	}
}
