package sim

import (
	"context"
	"math/rand/v2"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/redisbroker"
)

// fault is one kind of fault. do begins it, calls hold, which returns after its duration,
// and ends it.
type fault struct {
	name    string
	longest time.Duration
	rare    bool
	do      func(w *world, n *node, random *rand.Rand, hold func())
}

var faults = []fault{
	{name: "connections to redis cut", longest: time.Millisecond, do: func(w *world, n *node, random *rand.Rand, _ func()) {
		w.redis.each(n.net, func(k *link) {
			if random.IntN(3) > 0 {
				w.redis.drop(k, random.IntN(2) == 0)
			}
		})
	}},
	{name: "cut off from redis", longest: 5 * time.Second, do: func(w *world, n *node, random *rand.Rand, hold func()) {
		n.net.setCut(true)
		w.redis.each(n.net, func(k *link) { w.redis.drop(k, random.IntN(2) == 0) })
		hold()
		n.net.setCut(false)
	}},
	{name: "silence from redis", longest: 6 * time.Second, do: func(_ *world, n *node, _ *rand.Rand, hold func()) {
		n.net.freeze(true)
		hold()
		n.net.freeze(false)
	}},
	{name: "deaf to what redis publishes", longest: 6 * time.Second, do: func(_ *world, n *node, _ *rand.Rand, hold func()) {
		n.net.deafen(true)
		hold()
		n.net.deafen(false)
	}},
	{name: "slow network", longest: 4 * time.Second, do: func(_ *world, n *node, random *rand.Rand, hold func()) {
		n.net.slow(latency{time.Duration(random.Int64N(int64(200 * time.Millisecond))), 100 * time.Millisecond})
		hold()
		n.net.slow(usual)
	}},
	{name: "live posts lost, late and repeated", longest: 4 * time.Second, do: func(_ *world, n *node, _ *rand.Rand, hold func()) {
		n.setLossy(true)
		hold()
		n.setLossy(false)
	}},
	{name: "node frozen", longest: 12 * time.Second, do: func(_ *world, n *node, _ *rand.Rand, hold func()) {
		n.freeze(true)
		hold()
		n.freeze(false)
	}},
	{name: "node killed", longest: 8 * time.Second, do: func(w *world, n *node, _ *rand.Rand, hold func()) {
		n.mu.Lock()
		dead := n.life == nil
		n.mu.Unlock()
		if dead {
			return
		}
		n.kill()
		hold()
		_ = n.start(context.Background(), w.log)
	}},
	{name: "redis restarted", longest: 4 * time.Second, do: func(w *world, _ *node, random *rand.Rand, hold func()) {
		w.redis.setAway(true)
		w.redis.each(nil, func(k *link) { w.redis.drop(k, random.IntN(2) == 0) })
		hold()
		w.redis.setAway(false)
	}},
	{name: "redis frozen", longest: 5 * time.Second, do: func(w *world, _ *node, _ *rand.Rand, hold func()) {
		for _, n := range w.nodes {
			n.net.freeze(true)
		}
		hold()
		for _, n := range w.nodes {
			n.net.freeze(false)
		}
	}},
	{name: "scripts forgotten", longest: time.Millisecond, do: func(w *world, _ *node, random *rand.Rand, _ func()) {
		w.ask(random, "SCRIPT", "FLUSH")
	}},
	{name: "clock of redis off", longest: time.Second, do: func(w *world, _ *node, random *rand.Rand, _ func()) {
		w.redis.mu.Lock()
		defer w.redis.mu.Unlock()
		w.redis.offset = time.Duration(random.Int64N(int64(20*time.Minute))) - 10*time.Minute
	}},
	{name: "clients' connections cut", longest: time.Millisecond, do: func(_ *world, n *node, random *rand.Rand, _ func()) {
		n.mu.Lock()
		l := n.life
		n.mu.Unlock()
		if l == nil {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, w := range l.wires {
			if random.IntN(2) == 0 {
				w.cut()
			}
		}
	}},
	{name: "redis emptied", longest: time.Millisecond, rare: true, do: func(w *world, _ *node, random *rand.Rand, _ func()) {
		w.fleet.History.Add(check.Record{Op: check.OpWiped})
		w.ask(random, "FLUSHALL")
		w.fleet.History.Add(check.Record{Op: check.OpWiped})
	}},
	{name: "log deleted", longest: time.Millisecond, rare: true, do: func(w *world, _ *node, random *rand.Rand, _ func()) {
		w.fleet.History.Add(check.Record{Op: check.OpWiped, Room: "lobby"})
		w.ask(random, "DEL", redisbroker.LogKey(namespace, "lobby"))
		w.fleet.History.Add(check.Record{Op: check.OpWiped, Room: "lobby"})
	}},
	{name: "log trimmed by hand", longest: time.Millisecond, rare: true, do: func(w *world, _ *node, random *rand.Rand, _ func()) {
		w.ask(random, "XTRIM", redisbroker.LogKey(namespace, "lobby"), "MAXLEN", "3")
	}},
	{name: "log written by hand", longest: time.Millisecond, rare: true, do: func(w *world, _ *node, random *rand.Rand, _ func()) {
		w.ask(random, "XADD", redisbroker.LogKey(namespace, "lobby"), "*", "by", "hand")
	}},
}

func (n *node) setLossy(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lossy = on
}

// ask sends a command to Redis, unless it is away.
func (w *world) ask(random *rand.Rand, command ...any) {
	rdb := w.redis.from(random.Uint64(), latency{0, time.Microsecond}).client()
	defer rdb.Close()
	if err := rdb.Do(context.Background(), command...).Err(); err != nil {
		w.note("%v: %v", command[0], err)
	}
}
