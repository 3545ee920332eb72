package room_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/protocol"
)

// Each later join and history holds what this node has acknowledged, although the live
// post comes late.
func TestWhatIsAcknowledgedIsSeenByWhoComesAfter(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		r.inject(faultbroker.Faults{Entries: func(p faultbroker.Post, deliver func(faultbroker.Post)) {
			time.Sleep(5 * time.Millisecond)
			deliver(p)
		}})
		visitor{r}.verifySeen(t, m)
	})
}

// Each join and history waits for what was acknowledged before it, not for what is
// acknowledged meanwhile.
func TestABusyRoomDelaysNoJoinForLaterEntries(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		const late, every = 5 * time.Millisecond, 2 * time.Millisecond
		r.inject(faultbroker.Faults{Entries: func(p faultbroker.Post, deliver func(faultbroker.Post)) {
			time.AfterFunc(late, func() { deliver(p) })
		}})
		ctx, stop := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		sending.Go(func() { // ends with ctx
			for n := 0; ctx.Err() == nil; n++ {
				r.hub.Send(m, "lobby", false, protocol.Message(protocol.User{ID: "u"}, fmt.Sprint("key-", n), "x", "n"), func(protocol.Receipt, *protocol.Error) {})
				time.Sleep(every)
			}
		})
		defer sending.Wait()
		defer stop()
		time.Sleep(10 * late)
		for i := range 3 {
			began := time.Now()
			visitor{r}.join(fmt.Sprint("new-", i), newcomer)
			if took := time.Since(began); took > 10*late {
				t.Errorf("join %d took %s", i+1, took)
			}
			began = time.Now()
			visitor{r}.history(cursor(newcomer), 5)
			if took := time.Since(began); took > 10*late {
				t.Errorf("history %d took %s", i+1, took)
			}
		}
	})
}

// The live post is lost: the entry is in later joins and histories, also in those that begin
// while it is being read of the log.
func TestAnAcknowledgedEntryIsSeenAlthoughItsPostIsLost(t *testing.T) {
	for name, pause := range map[string]time.Duration{"at once": 0, "during the read": 160 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T) {
				r := newRig(t)
				m, u := r.enter("ann")
				r.join(m, u, newcomer)
				r.inject(faultbroker.Faults{
					Entries: func(faultbroker.Post, func(faultbroker.Post)) {},
					Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
						if op == faultbroker.After {
							time.Sleep(20 * time.Millisecond)
						}
						return do(ctx)
					},
				})
				r.pause = pause
				visitor{r}.verifySeen(t, m)
			})
		})
	}
}

// An outage of Redis delays joins by a bounded time for entries that were acknowledged before
// it, and hardly at all once the node has detected it.
func TestAnOutageDelaysNoJoinForAcknowledgedEntries(t *testing.T) {
	for name, c := range map[string]struct {
		detected      bool
		first, second time.Duration // bounds of two joins
	}{
		"not detected yet": {false, time.Second, time.Second},
		"detected":         {true, 200 * time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T) {
				r := newRig(t)
				m, u := r.enter("ann")
				r.join(m, u, newcomer)
				var away atomic.Bool
				r.inject(faultbroker.Faults{
					Entries: func(faultbroker.Post, func(faultbroker.Post)) {},
					Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
						if away.Load() && slices.Contains(logOps, op) {
							return errAway
						}
						return do(ctx)
					},
				})
				if _, err := r.say(m); err != nil {
					t.Fatal(err)
				}
				away.Store(true)
				if c.detected {
					r.hub.Feed().Reachable(false)
				}
				for i, bound := range []time.Duration{c.first, c.second} {
					began := time.Now()
					visitor{r}.join(fmt.Sprint("new-", i), newcomer)
					if took := time.Since(began); took > bound {
						t.Errorf("join %d took %s, and may take %s", i+1, took, bound)
					}
				}
			})
		})
	}
}
