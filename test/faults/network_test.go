//go:build unix

package faults

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/redisbroker"
)

// foundWithin is how long a silence between a node and Redis may stay undetected.
const foundWithin = 3 * time.Second

// slack is how much a busy machine may add to a measured time.
const slack = 400 * time.Millisecond

// The network between one node and Redis is slow, breaks connections, and cuts
// replies in the middle.
func TestNetworkToRedisBad(t *testing.T) {
	r := newRig(t, fault{18, "200 ms delay, resets, half replies between a node and Redis", true}, setup{proxied: 1})
	p := r.nodes[0].proxy
	r.recordFault("200 ms delay")
	p.delay(200 * time.Millisecond)
	r.hold(time.Duration(times(1, 5)) * time.Second)
	r.flow(leastSaid)
	p.delay(0)
	r.repeat(times(2, 10), time.Second/2, func() { r.recordFault("reset %d connections", p.reset()) })
	r.repeat(times(2, 10), time.Second/2, func() { r.recordFault("cut the next replies of %d connections in half", p.halve()) })
	rep, _ := r.finish()
	r.untouched(rep)
}

// Nothing passes between one node and Redis for 5 s, and no connection ends.
func TestNetworkToRedisSilent(t *testing.T) {
	r := newRig(t, fault{18, "5 s of silence between a node and Redis", false}, setup{proxied: 1})
	n := r.nodes[0]
	w := watch(t, n, client.Options{})
	for range 3 {
		n.awaitReady(true, time.Now())
		r.hold(r.random.between(0, time.Second))
		r.recordFault("silence")
		silent := time.Now()
		n.proxy.freeze(true)
		took, reason := n.awaitReady(false, silent)
		if took > foundWithin+slack {
			t.Errorf("the silence was detected after %s", took)
		}
		r.note("detected after %.1f s (%s)", took.Seconds(), reason)
		w.awaitStatus("down", silent)
		r.hold(time.Until(silent.Add(5 * time.Second)))
		back := time.Now()
		n.proxy.freeze(false)
		w.awaitStatus("up", back)
		r.flow(leastSaid)
	}
	rep, _ := r.finish()
	r.untouched(rep)
}

// A node is cut off from Redis while its clients stay with it.
func TestNodeCutOffFromRedis(t *testing.T) {
	r := newRig(t, fault{19, "a node cut off from Redis for 30 s", false}, setup{proxied: 1})
	n := r.nodes[0]
	w := watch(t, n, client.Options{})
	w.join("lobby", "")
	r.pin(n, "stays", "lobby", "side")
	r.recordFault("cut %s off", n.id)
	off := time.Now()
	n.proxy.setCut(true)
	took, reason := n.awaitReady(false, off)
	down := w.awaitStatus("down", off)
	r.note("not ready after %.1f s (%s), status down after %.1f s", took.Seconds(), reason, down.at.Sub(off).Seconds())
	for time.Since(off) < 30*time.Second {
		if ok, _ := n.ready(); ok {
			t.Fatal("the node is ready, although it is cut off")
		}
		r.hold(time.Second)
	}
	back := time.Now()
	n.proxy.setCut(false)
	up := w.awaitStatus("up", back)
	r.note("status up after %.1f s", up.at.Sub(back).Seconds())
	r.flow(leastSaid)
	if !w.alive() {
		t.Error("a client of the node lost its connection")
	}
	rep, _ := r.finish()
	r.untouched(rep)
}

// A subscription stays open, and nothing arrives on it.
func TestSubscriptionDead(t *testing.T) {
	r := newRig(t, fault{20, "a subscription that is open and dead", true}, setup{proxied: 1})
	n := r.nodes[0]
	r.pin(n, "stays", "lobby")
	r.flow(leastSaid)
	for range times(1, 4) {
		n.awaitReady(true, time.Now())
		r.hold(r.random.between(0, time.Second))
		dead, before := time.Now(), n.said("was made anew")
		count := n.proxy.mute()
		r.recordFault("mute %d subscriptions", count)
		if count == 0 {
			t.Fatal("no subscription to mute")
		}
		took, reason := n.awaitReady(false, dead)
		if took > foundWithin+slack {
			t.Errorf("the dead subscription was detected after %s", took)
		}
		again, _ := n.awaitReady(true, dead)
		n.awaitSaid("was made anew", before)
		r.note("detected after %.1f s (%s), ready after %.1f s", took.Seconds(), reason, again.Seconds())
		r.flow(leastSaid)
	}
	rep, _ := r.finish()
	r.untouched(rep)
	// A node misses messages of its own users after 150 ms, and those of others at the
	// next audit or with the new subscription.
	if rep.Behind > foundWithin+2*time.Second {
		t.Errorf("a client was %s behind", rep.Behind)
	}
}

// swallowed is an entry of a dropped line.
type swallowed struct {
	id string
	at time.Time
}

// entries returns the ids in a published line.
func entries(payload []byte) (ids []string) {
	_, list, _ := redisbroker.DecodeLine(string(payload))
	for _, e := range list {
		ids = append(ids, e.ID.String())
	}
	return ids
}

// Some published lines are dropped on their way to a node; at the end the last one before a
// silence.
func TestPublishedSwallowed(t *testing.T) {
	const filledWithin, lastWithin = 300 * time.Millisecond, 5 * time.Second
	r := newRig(t, fault{32, "one published message in 100 swallowed; then the last one", true}, setup{proxied: 1})
	n := r.nodes[0]
	r.pin(n, "stays", "lobby")
	r.flow(leastSaid)
	var mu sync.Mutex // guards lost and random
	var lost []swallowed
	random := r.random.fork()
	oneIn := times(20, 100)
	n.proxy.setSwallow(func(channel, payload []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		if !strings.HasSuffix(string(channel), ":live:lobby") || random.IntN(oneIn) > 0 {
			return false
		}
		for _, id := range entries(payload) {
			lost = append(lost, swallowed{id, time.Now()})
		}
		return true
	})
	r.hold(time.Duration(times(2, 20)) * time.Second)
	n.proxy.setSwallow(nil)
	r.flow(leastSaid)
	r.hush()
	list := r.settled()
	slowest := time.Duration(0)
	for _, one := range lost {
		r.injected++
		received := heardAt(list, "stays", one.id)
		if received == 0 {
			t.Errorf("%s was never received", one.id)
		}
		slowest = max(slowest, time.Duration(received-r.history.at(one.at)))
	}
	if len(lost) == 0 {
		t.Error("nothing was dropped")
	}
	if slowest > filledWithin+slack {
		t.Errorf("a gap was filled after %s", slowest)
	}
	r.note("gaps filled within %.0f ms", float64(slowest.Milliseconds()))
	r.lastSwallowed(lastWithin)
	rep, _ := r.finish()
	r.untouched(rep)
}

// settled returns the history once clients receive nothing more.
func (r *rig) settled() (list []check.Record) {
	r.t.Helper()
	chattest.Eventually(r.t, "the clients to come to rest", func() bool {
		before := len(r.fleet.History.Records())
		r.hold(200 * time.Millisecond)
		list = r.fleet.History.Records()
		return len(list) == before
	})
	return list
}

// lastSwallowed drops entries that are followed by a silence.
func (r *rig) lastSwallowed(within time.Duration) {
	r.t.Helper()
	speaker := watch(r.t, r.nodes[1], client.Options{})
	speaker.join("quiet", "")
	hearer := watch(r.t, r.nodes[0], client.Options{})
	hearer.join("quiet", "")
	speaker.say("quiet", "first", "first")
	hearer.await("the first message", "message", time.Time{}, nil)
	r.nodes[0].proxy.setSwallow(func(channel, _ []byte) bool { return strings.HasSuffix(string(channel), ":live:quiet") })
	var slowest time.Duration
	for i := range times(1, 4) {
		r.hold(r.random.between(0, 3*time.Second))
		r.recordFault("drop the last message")
		said := time.Now()
		id := speaker.say("quiet", fmt.Sprint(i), "last").ID
		e := hearer.await("the last message", "message", said, func(e received) bool { return bytes.Contains(e.Raw, []byte(id)) })
		slowest = max(slowest, e.at.Sub(said))
	}
	if slowest > within {
		r.t.Errorf("the last message was received after %s", slowest)
	}
	r.note("the last one received within %.1f s", slowest.Seconds())
}
