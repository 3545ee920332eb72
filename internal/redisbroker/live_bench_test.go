package redisbroker

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// emptyLog is a log without entries; a subscription to it is confirmed at once.
type emptyLog struct {
	room.Log
	room.Presence
	room.Rulebook
	room.Names
	hub *room.Hub
}

func (emptyLog) Messages(context.Context, string, protocol.ID, int) (protocol.Page, error) {
	return protocol.Page{}, nil
}
func (emptyLog) After(context.Context, string, protocol.ID, int) ([]protocol.Entry, bool, bool, error) {
	return nil, true, false, nil
}
func (emptyLog) Heads(_ context.Context, rooms []string) ([]protocol.ID, error) {
	return nil, context.Canceled
}
func (emptyLog) Moved(context.Context, []protocol.RoomHead) ([]string, error) {
	return nil, context.Canceled
}
func (l *emptyLog) Follow(name string) { go l.hub.Feed().Following(name) }
func (emptyLog) Unfollow(string)       {}
func (emptyLog) Typing(context.Context, string, protocol.User) error {
	return nil
}
func (emptyLog) Instance() string { return "n~1" }
func (emptyLog) Here(context.Context, string, string, []protocol.Change) (int, error) {
	return 0, nil
}
func (emptyLog) Present(context.Context, string) ([]protocol.User, error) { return nil, nil }
func (emptyLog) Rules(context.Context, string) (map[string]protocol.Rule, error) {
	return nil, nil
}
func (emptyLog) Claim(_ context.Context, c protocol.NameClaim) (string, error) { return c.Name, nil }
func (emptyLog) Release(_ string, _ bool, done func(error))                    { go done(nil) }

// deaf is a member that drops what it gets.
type deaf struct{ _ byte }

func (*deaf) Deliver(*room.Broadcast) {}
func (*deaf) Expel(string)            {}

// BenchmarkLive measures how long a node takes for one published line, from its bytes to
// all members of the room.
//
//	go test -run - -bench Live ./internal/redisbroker
func BenchmarkLive(b *testing.B) {
	for _, members := range []int{1, 100} {
		for _, batch := range []int{1, 20} {
			b.Run(fmt.Sprintf("members=%d/batch=%d", members, batch), func(b *testing.B) { benchmarkLive(b, members, batch) })
		}
	}
}

func benchmarkLive(b *testing.B, members, batch int) {
	l := &emptyLog{}
	l.hub = room.New(room.Config{Node: "n"}, room.Broker{Log: l, Subscriber: l, Presence: l, Names: l, Rulebook: l})
	defer l.hub.Close(context.Background())
	for i := range members {
		m := &deaf{}
		u, refused := l.hub.Enter(b.Context(), m, protocol.NameClaim{User: fmt.Sprint("u", i), Name: fmt.Sprint("u", i)})
		if refused != nil {
			b.Fatal(refused)
		}
		if refused := l.hub.Join(b.Context(), m, u, "lobby", protocol.Cursor{}, func(protocol.Event) {}); refused != nil {
			b.Fatal(refused)
		}
	}
	text := strings.Repeat("some words of a message ", 5)
	published := make([]string, b.N)
	before, seq := protocol.ID{}, int64(0)
	for i := range published {
		list := make([]protocol.Entry, batch)
		for k := range list {
			seq++
			list[k] = protocol.Message(protocol.User{ID: "user-0123456789", Name: "Ann"}, "0123456789abcdef", text, "n").Entry(protocol.ID{MS: 1e12, Seq: seq}, "lobby", 0)
		}
		published[i] = encodeEntries(before, list)
		before = list[batch-1].ID
	}
	start := l.hub.Stats().Frames
	b.ReportAllocs()
	b.ResetTimer()
	for _, line := range published {
		deliver(l.hub.Feed(), "lobby", line)
	}
	b.StopTimer()
	if n := l.hub.Stats().Frames - start; n != int64(b.N*batch*members) {
		b.Fatalf("%d frames were delivered, not %d", n, b.N*batch*members)
	}
}
