package room

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

// nothing is a broker in all roles that does nothing.
type nothing struct {
	Log
	Presence
	Names
	Rulebook
	hub *Hub
}

func (n *nothing) Follow(name string) { go n.hub.Feed().Following(name) }
func (*nothing) Unfollow(string)      {}

func (*nothing) Typing(context.Context, string, protocol.User) error { return nil }

func (*nothing) Messages(context.Context, string, protocol.ID, int) (protocol.Page, error) {
	return protocol.Page{}, nil
}

func (*nothing) After(context.Context, string, protocol.ID, int) ([]protocol.Entry, bool, bool, error) {
	return nil, true, false, nil
}

func (*nothing) Instance() string                                         { return "n~1" }
func (*nothing) Present(context.Context, string) ([]protocol.User, error) { return nil, nil }

func (*nothing) Here(context.Context, string, string, []protocol.Change) (int, error) { return 0, nil }

func (*nothing) Claim(_ context.Context, c protocol.NameClaim) (string, error) { return c.Name, nil }

func (*nothing) Rules(context.Context, string) (map[string]protocol.Rule, error) { return nil, nil }

// panicky is a member that panics once it is armed.
type panicky struct{ armed bool }

var errPanicky = errors.New("a member panics")

func (p *panicky) panics() {
	if p.armed {
		panic(errPanicky)
	}
}

func (p *panicky) Deliver(*Broadcast) { p.panics() }
func (p *panicky) Expel(string)       { p.panics() }
func (p *panicky) Mark() string       { p.panics(); return "" }
func (p *panicky) Pending() int       { p.panics(); return 0 }

// Whatever panics while something is delivered, no lock stays held: the node goes on.
func TestAPanicLeavesNoLock(t *testing.T) {
	t.Parallel()
	user := protocol.User{ID: "ann", Name: "ann"}
	other := protocol.User{ID: "bob", Name: "bob"}
	entry := protocol.Message(other, "k", "x", "n").Entry(protocol.ID{MS: 1, Seq: 1}, "lobby", 0)
	for name, call := range map[string]func(h *Hub, m Member, u *User){
		"an entry":   func(h *Hub, _ Member, _ *User) { h.Feed().Entries("lobby", protocol.ID{}, []protocol.Entry{entry}) },
		"typing":     func(h *Hub, _ Member, _ *User) { h.Feed().Typing("lobby", other) },
		"a new name": func(h *Hub, _ Member, _ *User) { h.Feed().Renamed("x", user) },
		"a decision": func(h *Hub, _ Member, _ *User) {
			h.Feed().Moderated(protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: protocol.Lock, Room: "lobby"}})
		},
		"a decision for all": func(h *Hub, _ Member, _ *User) {
			h.Feed().Moderated(protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: protocol.Lock}})
		},
		"an outage":   func(h *Hub, _ Member, _ *User) { h.Feed().Reachable(false) },
		"each member": func(h *Hub, m Member, _ *User) { h.Each(func(Member) { panic(errPanicky) }) },
		"presence": func(h *Hub, _ Member, _ *User) {
			r := h.rooms.find("lobby")
			h.Feed().Presence("lobby", protocol.PresenceDelta{Joined: []protocol.User{other}, Count: 1})
			r.here.announce()
		},
		"a join": func(h *Hub, m Member, u *User) {
			_ = h.Join(context.Background(), m, u, "lobby", protocol.Cursor{}, func(protocol.Event) { panic(errPanicky) })
		},
		"history": func(h *Hub, _ Member, _ *User) {
			_ = h.History(context.Background(), "lobby", protocol.Cursor{}, 5, func([]protocol.Entry, bool) { panic(errPanicky) })
		},
		"outboxes are looked at": func(h *Hub, _ Member, _ *User) { h.rooms.find("lobby").crowded() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &nothing{}
			h := New(Config{}, Broker{Log: n, Subscriber: n, Presence: n, Names: n, Rulebook: n})
			n.hub = h
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			m := &panicky{}
			u, err := h.Enter(ctx, m, protocol.NameClaim{User: user.ID, Name: user.Name})
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Join(ctx, m, u, "lobby", protocol.Cursor{}, func(protocol.Event) {}); err != nil {
				t.Fatal(err)
			}
			r := h.rooms.find("lobby")
			r.mu.Lock()
			m.armed = true
			r.mu.Unlock()
			func() {
				defer func() {
					if p := recover(); p != errPanicky {
						t.Errorf("it ended with %v", p)
					}
				}()
				call(h, m, u)
			}()
			for what, held := range map[string]func() bool{
				"room":     func() bool { return unlocked(&r.mu) },
				"registry": func() bool { return unlocked(&h.rooms.mu) },
				"users":    func() bool { return unlocked(&h.users.mu) },
				"user":     func() bool { return unlocked(&u.mu) },
				"backlogs": func() bool { return unlocked(&h.backlogs.mu) },
			} {
				if !held() {
					t.Fatalf("the lock of the %s stays held", what) // which Close would wait for
				}
			}
			h.Close(ctx)
		})
	}
}

// unlocked reports whether a lock is released in time.
func unlocked(mu *sync.Mutex) bool {
	done := make(chan struct{})
	go func() { // ends when the lock is released; never if it is not, and then the test fails
		mu.Lock()
		defer mu.Unlock()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(5 * time.Second):
		return false
	}
}
