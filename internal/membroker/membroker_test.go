package membroker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"example.com/chat/internal/chattest/brokertest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// site returns a Store as the suite uses one. faults are injected on both sides of each
// node.
func site(faults *faultbroker.Injector) *brokertest.Site {
	s := New(Config{})
	return &brokertest.Site{
		Open: func(t *testing.T, id string, history int, feed room.Feed) (room.Broker, func()) {
			s.mu.Lock()
			s.cfg.History = history
			s.mu.Unlock()
			n := s.Join(id)
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { n.Run(ctx, faults.Feed(feed)) })
			stop := func() { cancel(); running.Wait() }
			t.Cleanup(stop)
			return faults.Broker(n.Room()), stop
		},
		DeleteLog: func(_ *testing.T, name string) {
			s.Rewrite(name, func([]protocol.Entry) []protocol.Entry { return nil })
		},
		DropChanges: func(_ *testing.T, name string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.logLocked(name).changes = nil
		},
		Wipe: func(*testing.T) { s.Wipe() },
		Dump: func(*testing.T) string { return s.dump() },
	}
}

// dump returns all that the Store holds of logs.
func (s *Store) dump() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for name, l := range s.logs {
		fmt.Fprintln(&b, name, l.gone)
		for _, m := range l.messages {
			fmt.Fprintf(&b, "%s %s %v %v\n", m.Raw, m.Text, m.Reactions, m.put)
		}
		for _, e := range l.changes {
			fmt.Fprintf(&b, "%s\n", e.Raw)
		}
	}
	return b.String()
}

func TestInMemory(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, func(*testing.T) *brokertest.Site { return site(&faultbroker.Injector{}) })
}

// Faults that change nothing leave the contract as it is.
func TestInMemoryWithFaultsThatChangeNothing(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, func(*testing.T) *brokertest.Site {
		faults := &faultbroker.Injector{}
		faults.Set(faultbroker.Faults{
			Call: func(ctx context.Context, _ faultbroker.Op, do func(context.Context) error) error { return do(ctx) },
			Append: func(_ string, drafts []protocol.Draft, do func([]protocol.Draft) ([]protocol.Receipt, error)) ([]protocol.Receipt, error) {
				return do(drafts)
			},
			Read:    func(list []protocol.Entry, more bool) ([]protocol.Entry, bool) { return list, more },
			Page:    func(p protocol.Page) protocol.Page { return p },
			Moved:   func(names []string) []string { return names },
			Entries: func(p faultbroker.Post, deliver func(faultbroker.Post)) { deliver(p) },
			Publish: func(deliver func()) { deliver() },
		})
		return site(faults)
	})
}

// Events that a node does not deliver in time are dropped beyond a bound. The node
// reports that like the loss of a subscription. A node that has ended answers no calls.
func TestANodeThatHearsTooMuchIsToldThatItMissedSome(t *testing.T) {
	t.Parallel()
	n := New(Config{}).Join("n1")
	n.Follow("lobby")
	for range 2 * queueMost {
		if err := n.Typing(t.Context(), "lobby", protocol.User{ID: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	h := &brokertest.Heard{}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx, h.Feed()) })
	h.Has(t, "to follow anew", func() bool { return h.Following == 2 && len(h.Live) == queueMost-1 })
	cancel()
	running.Wait()
	if err := n.Typing(t.Context(), "lobby", protocol.User{ID: "a"}); !errors.Is(err, ErrClosed) {
		t.Errorf("after its end: %v", err)
	}
}
