package room_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest/faultbroker"
)

// outage lets reads of logs fail. No live posts arrive while mute is set.
type outage struct {
	rig   *rig
	mute  atomic.Bool
	away  atomic.Bool  // all reads fail
	once  atomic.Bool  // the next read fails
	reads atomic.Int64 // how many failed
}

func newOutage(r *rig) *outage {
	o := &outage{rig: r}
	r.inject(faultbroker.Faults{
		Entries: func(p faultbroker.Post, deliver func(faultbroker.Post)) {
			if !o.mute.Load() {
				deliver(p)
			}
		},
		Call: func(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
			if op == faultbroker.After && (o.once.CompareAndSwap(true, false) || o.away.Load()) {
				o.reads.Add(1)
				return errAway
			}
			return do(ctx)
		},
	})
	return o
}

// gap loses a live post, and delivers the next one, so that a read becomes due.
func (o *outage) gap() {
	o.mute.Store(true)
	o.rig.other(1)
	synctest.Wait() // until the post is lost
	o.mute.Store(false)
	o.rig.other(1)
}

// last lets reads fail for ten seconds, in which the wait between them grows to its bound, and
// returns right after one of them.
func (o *outage) last() {
	o.away.Store(true)
	o.gap()
	time.Sleep(10 * time.Second)
	began := time.Now()
	for failed := o.reads.Load(); o.reads.Load() == failed; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			o.rig.t.Fatal("no read fails")
		}
	}
}

// took returns how long it takes until m has the newest entry.
func (o *outage) took(m *fakeMember) time.Duration {
	began := time.Now()
	for m.last() < o.rig.headSeq() && time.Since(began) < time.Minute {
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// After an outage, a single read that fails is repeated as soon as one before it.
func TestAnOutageDelaysNoLaterRepetition(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		o := newOutage(r)
		o.last()
		o.away.Store(false)
		if took := o.took(m); took > 3*time.Second {
			t.Fatalf("the outage ended %s ago", took)
		}
		o.once.Store(true)
		o.gap()
		if took := o.took(m); took > 200*time.Millisecond {
			t.Errorf("the read was repeated after %s", took)
		}
	})
}

// A join that needs a read does not wait until one that failed is repeated by itself.
func TestAJoinRepeatsAFailedReadAtOnce(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		o := newOutage(r)
		o.last()
		o.away.Store(false)
		began := time.Now()
		j, body := visitor{r}.join("bob", at(r.headSeq()))
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("the join took %s", took)
		}
		if !j.Recovered {
			t.Errorf("joined with %s", body)
		}
	})
}

// Joins during an outage cause few reads, however many they are.
func TestJoinsInAnOutageCauseFewReads(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		r := newRig(t)
		m, u := r.enter("ann")
		r.join(m, u, newcomer)
		o := newOutage(r)
		o.last()
		after, before := cursor(at(r.headSeq())), o.reads.Load()
		var joins sync.WaitGroup
		const joined = 2000
		for range joined {
			joins.Go(func() { // ends after 50 ms; the test waits for it
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				if err := r.hub.Join(ctx, m, u, "lobby", after, m.take); err == nil {
					t.Error("joined without a read")
				}
			})
			time.Sleep(5 * time.Millisecond)
		}
		joins.Wait()
		if reads := o.reads.Load() - before; reads < 10 || reads > 60 {
			t.Errorf("%d joins in 10 s caused %d reads", joined, reads)
		}
		o.away.Store(false)
		o.took(m)
	})
}
