package redisbroker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/membroker"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

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
	hub := newHub(b)
	for i := range members {
		m := &deaf{}
		u, refused := hub.Enter(b.Context(), m, protocol.NameClaim{User: fmt.Sprint("u", i), Name: fmt.Sprint("u", i)})
		if refused != nil {
			b.Fatal(refused)
		}
		if refused := hub.Join(b.Context(), m, u, "lobby", protocol.Cursor{}, func(protocol.Event) {}); refused != nil {
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
	start := hub.Stats().Frames
	b.ReportAllocs()
	b.ResetTimer()
	for _, line := range published {
		deliver(hub.Feed(), "lobby", line)
	}
	b.StopTimer()
	if n := hub.Stats().Frames - start; n != int64(b.N*batch*members) {
		b.Fatalf("%d frames were delivered, not %d", n, b.N*batch*members)
	}
}

// newHub makes a hub over an empty log in memory. It reads nothing of it after a join,
// and writes nothing about users, so that no other frames are delivered.
func newHub(b *testing.B) *room.Hub {
	b.Helper()
	node, faults := membroker.New(membroker.Config{}).Join("n"), &faultbroker.Injector{}
	faults.Set(faultbroker.Faults{Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
		switch op {
		case faultbroker.Moved, faultbroker.Heads:
			return context.Canceled
		case faultbroker.Here:
			return nil
		}
		return do(ctx)
	}})
	hub := room.New(room.Config{Node: "n"}, faults.Broker(node.Room()))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { node.Run(ctx, hub.Feed()) }) // ends with ctx; the benchmark's end waits for it
	b.Cleanup(func() {
		hub.Close(context.Background())
		cancel()
		running.Wait()
	})
	chattest.Eventually(b, "the broker to be up", hub.Up)
	return hub
}
