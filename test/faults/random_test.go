//go:build unix

package faults

import (
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/load"
	"example.com/chat/internal/redisbroker"
)

// happening is a fault that may occur in TestAtRandom. do begins it, calls hold, which
// returns after its duration, and ends it. n is a node that has no other fault meanwhile.
type happening struct {
	name    string
	longest time.Duration
	// lone is set if Redis as a whole has no other fault meanwhile, and no node is
	// started.
	lone bool
	// rare is set for faults that are chosen less often, because logs begin anew.
	rare bool
	do   func(r *rig, n *node, random *rand.Rand, hold func())
}

var happenings = []happening{
	{name: "a node killed", longest: 8 * time.Second, do: func(_ *rig, n *node, _ *rand.Rand, hold func()) {
		n.kill()
		hold()
	}},
	{name: "a node drained", longest: time.Second, do: func(r *rig, n *node, _ *rand.Rand, hold func()) {
		if n.dead() {
			return // it was killed, and has not been restarted yet
		}
		if status, _ := n.stop(); status != 0 {
			r.t.Errorf("%s ended with %d", n.id, status)
		}
		hold()
	}},
	{name: "a node frozen", longest: 15 * time.Second, do: func(_ *rig, n *node, _ *rand.Rand, hold func()) {
		n.signal(syscall.SIGSTOP)
		hold()
		n.signal(syscall.SIGCONT)
	}},
	{name: "a node cut off from redis", longest: 8 * time.Second, do: func(_ *rig, n *node, _ *rand.Rand, hold func()) {
		n.proxy.setCut(true)
		hold()
		n.proxy.setCut(false)
	}},
	{name: "silence between a node and redis", longest: 6 * time.Second, do: func(_ *rig, n *node, _ *rand.Rand, hold func()) {
		n.proxy.freeze(true)
		hold()
		n.proxy.freeze(false)
	}},
	{name: "a slow network to redis", longest: 5 * time.Second, do: func(_ *rig, n *node, random *rand.Rand, hold func()) {
		n.proxy.delay(time.Duration(random.IntN(300)) * time.Millisecond)
		hold()
		n.proxy.delay(0)
	}},
	{name: "connections to redis reset", longest: time.Millisecond, do: func(_ *rig, n *node, _ *rand.Rand, _ func()) { n.proxy.reset() }},
	{name: "replies of redis cut in half", longest: time.Millisecond, do: func(_ *rig, n *node, _ *rand.Rand, _ func()) { n.proxy.halve() }},
	{name: "a subscription dead", longest: time.Millisecond, do: func(_ *rig, n *node, _ *rand.Rand, _ func()) { n.proxy.mute() }},
	{name: "published messages swallowed", longest: 5 * time.Second, do: func(r *rig, n *node, random *rand.Rand, hold func()) {
		var mu sync.Mutex // guards random
		n.proxy.setSwallow(func(channel, _ []byte) bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(string(channel), ":live:") && random.IntN(5) == 0
		})
		hold()
		n.proxy.setSwallow(nil)
	}},
	{name: "subscriptions killed", longest: time.Millisecond, lone: true, do: func(r *rig, _ *node, _ *rand.Rand, _ func()) {
		r.rdb.try("CLIENT", "KILL", "TYPE", "pubsub")
	}},
	{name: "connections killed", longest: time.Millisecond, lone: true, do: func(r *rig, _ *node, _ *rand.Rand, _ func()) {
		r.rdb.try("CLIENT", "KILL", "TYPE", "normal")
	}},
	{name: "scripts forgotten", longest: time.Millisecond, lone: true, do: func(r *rig, _ *node, _ *rand.Rand, _ func()) { r.rdb.try("SCRIPT", "FLUSH") }},
	{name: "redis killed", longest: 4 * time.Second, lone: true, do: func(r *rig, _ *node, _ *rand.Rand, hold func()) {
		r.redis.Kill()
		hold()
		r.redis.Restart()
	}},
	{name: "redis frozen", longest: 6 * time.Second, lone: true, do: func(r *rig, _ *node, _ *rand.Rand, hold func()) {
		r.redis.Signal(syscall.SIGSTOP)
		hold()
		r.redis.Signal(syscall.SIGCONT)
	}},
	{name: "redis full", longest: 4 * time.Second, lone: true, do: func(r *rig, _ *node, _ *rand.Rand, hold func()) {
		r.rdb.try("CONFIG", "SET", "maxmemory", "1mb")
		hold()
		r.rdb.try("CONFIG", "SET", "maxmemory", "0")
	}},
	{name: "redis emptied", longest: time.Millisecond, lone: true, rare: true, do: func(r *rig, _ *node, _ *rand.Rand, _ func()) {
		r.history.wiped("", func() { r.rdb.try("FLUSHALL") })
	}},
	{name: "a log deleted", longest: time.Millisecond, lone: true, rare: true, do: func(r *rig, _ *node, _ *rand.Rand, _ func()) {
		r.history.wiped("lobby", func() { r.rdb.try("DEL", redisbroker.LogKey("chat", "lobby")) })
	}},
	{name: "a log written by hand", longest: time.Millisecond, lone: true, rare: true, do: func(r *rig, _ *node, _ *rand.Rand, _ func()) {
		r.rdb.try("XADD", redisbroker.LogKey("chat", "lobby"), "*", "by", "hand")
	}},
}

// Faults occur at random, several at once.
func TestAtRandom(t *testing.T) {
	r := newRig(t, fault{37, "everything at random", false}, setup{
		proxied: nodes, redis: append(keeping("always"), "--client-output-buffer-limit", "pubsub 256kb 0 0"),
		load: load.Config{Every: 250 * time.Millisecond, Switch: 10 * time.Second},
	})
	var redis sync.Mutex // held during a fault of Redis as a whole
	var busy [nodes]sync.Mutex
	var mending sync.WaitGroup
	for end := time.Now().Add(chattest.For(30 * time.Second)); time.Now().Before(end); {
		h := happenings[r.random.IntN(len(happenings))]
		i, random := r.random.IntN(nodes), r.random.fork()
		long := 50*time.Millisecond + time.Duration(r.random.Int64N(int64(h.longest)))
		if h.rare && r.random.IntN(3) > 0 || !busy[i].TryLock() {
			continue
		}
		if h.lone && !redis.TryLock() {
			busy[i].Unlock()
			continue
		}
		n := r.nodes[i]
		r.recordFault("%s, %s, for %s", h.name, n.id, long)
		mending.Go(func() { // ends with the fault; waited for below
			defer busy[i].Unlock()
			if h.lone {
				defer redis.Unlock()
			}
			h.do(r, n, random, func() { r.hold(long) })
		})
		r.hold(r.random.between(0, 3*time.Second))
		r.revive(&busy, &redis)
	}
	mending.Wait()
	for _, n := range r.nodes {
		n.revive()
	}
	r.flow(leastSaid)
	r.finish()
}

// revive restarts the dead nodes without a fault, unless Redis has one.
func (r *rig) revive(busy *[nodes]sync.Mutex, redis *sync.Mutex) {
	if !redis.TryLock() {
		return
	}
	defer redis.Unlock()
	for i, n := range r.nodes {
		if busy[i].TryLock() {
			n.revive()
			busy[i].Unlock()
		}
	}
}

// revive restarts the node if it is dead.
func (n *node) revive() {
	if n.dead() {
		n.start()
	}
}

func (n *node) dead() bool { return n.process().Ended() }
