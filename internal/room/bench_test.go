package room_test

import (
	"fmt"
	"testing"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// nullMember is a member that costs nothing.
type nullMember struct{ events int }

func (m *nullMember) Deliver(*room.Broadcast) { m.events++ }
func (m *nullMember) Expel(string)            {}

// BenchmarkLive measures the way of one message from the room's committer to all
// members, with a broker in memory.
func BenchmarkLive(b *testing.B) {
	for _, members := range []int{1, 100} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			r := newBenchRig(b, members)
			b.ReportAllocs()
			for b.Loop() {
				r.other(1)
			}
		})
	}
}

// BenchmarkJoin measures a join whose cursor memory knows, a hundred entries back, and
// one without a cursor.
func BenchmarkJoin(b *testing.B) {
	r := newBenchRig(b, 1)
	r.other(900)
	for name, after := range map[string]protocol.Cursor{
		"cursor": protocol.At(protocol.ID{MS: 1800, Seq: 800}), "fresh": {},
	} {
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

func newBenchRig(b *testing.B, members int) *rig {
	b.Helper()
	r := newRig(b)
	for i := range members {
		m := &nullMember{}
		name := fmt.Sprint("m", i)
		u, err := r.hub.Enter(b.Context(), m, protocol.NameClaim{User: name, Name: name})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.hub.Join(b.Context(), m, u, "lobby", protocol.Cursor{}, func(protocol.Event) {}); err != nil {
			b.Fatal(err)
		}
	}
	return r
}
