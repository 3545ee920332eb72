package room_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// nullMember is a member that costs next to nothing.
type nullMember struct{ entries atomic.Int64 }

func (m *nullMember) Deliver(b *room.Broadcast) {
	if b.Name == "message" {
		m.entries.Add(1)
	}
}
func (m *nullMember) Expel(string) {}

// has waits until the member has got n entries.
func (m *nullMember) has(n int64) {
	for m.entries.Load() < n {
		runtime.Gosched()
	}
}

// BenchmarkLive measures the way of one message from the append by another node to all
// members, with a broker in memory.
func BenchmarkLive(b *testing.B) {
	for _, members := range []int{1, 100} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			r, m := newBenchRig(b, members)
			b.ReportAllocs()
			for n := int64(1); b.Loop(); n++ {
				r.other(1)
				m.has(n)
			}
		})
	}
}

// BenchmarkJoin measures a join whose cursor memory knows, a hundred entries back, and
// one without a cursor.
func BenchmarkJoin(b *testing.B) {
	r, watch := newBenchRig(b, 1)
	r.other(900)
	watch.has(900)
	for name, after := range map[string]protocol.Cursor{"cursor": protocol.At(at(800)), "fresh": {}} {
		b.Run(name, func(b *testing.B) {
			m := &nullMember{}
			u, err := r.hub.Enter(b.Context(), m, protocol.NameClaim{User: name, Name: name})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := r.hub.Join(b.Context(), m, u, "lobby", after, func(protocol.Event) {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// newBenchRig returns a rig with members in the lobby, and one of them.
func newBenchRig(b *testing.B, members int) (*rig, *nullMember) {
	b.Helper()
	r := newRig(b)
	r.beQuiet()
	var m *nullMember
	for i := range members {
		m = &nullMember{}
		name := fmt.Sprint("m", i)
		u, err := r.hub.Enter(b.Context(), m, protocol.NameClaim{User: name, Name: name})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.hub.Join(b.Context(), m, u, "lobby", protocol.Cursor{}, func(protocol.Event) {}); err != nil {
			b.Fatal(err)
		}
	}
	return r, m
}
