package room_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// panicky is a member that panics once it is armed.
type panicky struct{ armed bool }

var errPanicky = errors.New("a member panics")

func (p *panicky) panics() {
	if p.armed {
		panic(errPanicky)
	}
}

func (p *panicky) Deliver(*room.Broadcast) { p.panics() }
func (p *panicky) Expel(string)            { p.panics() }
func (p *panicky) Mark() string            { p.panics(); return "" }
func (p *panicky) Pending() int            { p.panics(); return 0 }

// panics are calls that reach a member of the lobby, which panics. entered is the member's
// user.
var panics = map[string]func(h *room.Hub, m room.Member, entered *room.User){
	"an entry": func(h *room.Hub, _ room.Member, _ *room.User) {
		entry := protocol.Message(bob, "k", "x", "n").Entry(protocol.ID{MS: 1, Seq: 1}, "lobby", 0)
		h.Feed().Entries("lobby", protocol.ID{}, []protocol.Entry{entry})
	},
	"typing":     func(h *room.Hub, _ room.Member, _ *room.User) { h.Feed().Typing("lobby", bob) },
	"a new name": func(h *room.Hub, _ room.Member, u *room.User) { h.Feed().Renamed("x", u.Public()) },
	"a decision": func(h *room.Hub, _ room.Member, _ *room.User) {
		h.Feed().Moderated(protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: protocol.Lock, Room: "lobby"}})
	},
	"a decision for all": func(h *room.Hub, _ room.Member, _ *room.User) {
		h.Feed().Moderated(protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: protocol.Lock}})
	},
	"an outage":   func(h *room.Hub, _ room.Member, _ *room.User) { h.Feed().Reachable(false) },
	"each member": func(h *room.Hub, _ room.Member, _ *room.User) { h.Each(func(room.Member) { panic(errPanicky) }) },
	"presence": func(h *room.Hub, _ room.Member, _ *room.User) {
		h.Feed().Presence("lobby", protocol.PresenceDelta{Joined: []protocol.User{bob}, Count: 1})
		room.Announce(h, "lobby")
	},
	"a join": func(h *room.Hub, m room.Member, u *room.User) {
		_ = h.Join(context.Background(), m, u, "lobby", protocol.Cursor{}, func(protocol.Event) { panic(errPanicky) })
	},
	"history": func(h *room.Hub, _ room.Member, _ *room.User) {
		_ = h.History(context.Background(), "lobby", protocol.Cursor{}, 5, func([]protocol.Entry, bool) { panic(errPanicky) })
	},
	"a look at outboxes": func(h *room.Hub, _ room.Member, _ *room.User) { room.Crowded(h, "lobby") },
}

var bob = protocol.User{ID: "bob", Name: "bob"}

// Whatever panics during a delivery, no lock stays held: the node goes on.
func TestAPanicLeavesNoLock(t *testing.T) {
	t.Parallel()
	for name, call := range panics {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.beQuiet()
			m := &panicky{}
			u, err := r.hub.Enter(t.Context(), m, protocol.NameClaim{User: "ann", Name: "ann"})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.hub.Join(t.Context(), m, u, "lobby", protocol.Cursor{}, func(protocol.Event) {}); err != nil {
				t.Fatal(err)
			}
			locks := room.Locks(r.hub, "lobby", u)
			m.arm(locks["room"], true)
			func() {
				defer func() {
					if p := recover(); p != errPanicky {
						t.Errorf("it ended with %v", p)
					}
				}()
				call(r.hub, m, u)
			}()
			for what, mu := range locks {
				if !unlocked(mu) {
					r.abandoned = true
					t.Fatalf("the lock of the %s stays held", what)
				}
			}
			m.arm(locks["room"], false)
		})
	}
}

// arm makes the member panic, or not any more. Deliveries hold the lock.
func (p *panicky) arm(mu *sync.Mutex, on bool) {
	mu.Lock()
	defer mu.Unlock()
	p.armed = on
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
	case <-time.After(chattest.Patience):
		return false
	}
}
