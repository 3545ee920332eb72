//go:build unix

package faults

import (
	"testing"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
)

// keeping returns the arguments of a Redis with an append-only file. It loses nothing with
// "always" only: with "everysec" it may delay writes by up to two seconds while the disk is
// slow, and then a kill -9 is enough to lose a tail.
func keeping(fsync string) []string {
	return []string{"--appendonly", "yes", "--appendfsync", fsync}
}

// watchers connects one client to each node.
func (r *rig) watchers(room string) (list []*watcher) {
	r.t.Helper()
	for _, n := range r.nodes {
		w := watch(r.t, n, client.Options{})
		w.join(room, "")
		list = append(list, w)
	}
	return list
}

// Redis is killed, is away for a while, and restarts with everything that it held.
func TestRedisKilled(t *testing.T) {
	r := newRig(t, fault{6, "kill -9 of Redis, away for 10 s, appendfsync always", false}, setup{redis: keeping("always")})
	watchers := r.watchers("lobby")
	for range 2 {
		r.recordFault("kill redis")
		killed := time.Now()
		r.redis.Kill()
		for i, w := range watchers {
			e := w.awaitStatus("down", killed)
			r.t.Logf("node %d sent status down after %s", i+1, e.at.Sub(killed))
		}
		r.hold(time.Until(killed.Add(10 * time.Second)))
		back := time.Now()
		r.redis.Restart()
		var slowest time.Duration
		for _, w := range watchers {
			slowest = max(slowest, w.awaitStatus("up", back).at.Sub(back))
		}
		r.note("status up after %.1f s", slowest.Seconds())
		r.flow(leastSaid)
	}
	for i, w := range watchers {
		if !w.alive() {
			t.Errorf("the watcher at node %d lost its connection", i+1)
		}
	}
	rep, list := r.finish()
	r.steady(rep)
	if rep.Lost > 0 {
		t.Errorf("%d connections were lost, although no node was away", rep.Lost)
	}
	if waited := countOp(list, check.OpRefused); waited == 0 {
		t.Error("no message was sent while redis was away")
	}
}

func countOp(list []check.Record, op check.Op) (n int) {
	for _, rec := range list {
		if rec.Op == op {
			n++
		}
	}
	return n
}

// Redis closes all subscriptions every second.
func TestSubscriptionsKilled(t *testing.T) {
	r := newRig(t, fault{9, "CLIENT KILL TYPE pubsub every second", true}, setup{})
	r.repeat(times(4, 30), time.Second, func() {
		r.recordFault("kill %v subscriptions", r.rdb.ask("CLIENT", "KILL", "TYPE", "pubsub"))
	})
	rep, _ := r.finish()
	r.untouched(rep)
}

// Redis closes all other connections every second.
func TestConnectionsToRedisKilled(t *testing.T) {
	r := newRig(t, fault{10, "CLIENT KILL TYPE normal every second", true}, setup{})
	r.repeat(times(4, 30), time.Second, func() {
		r.recordFault("kill %v connections", r.rdb.ask("CLIENT", "KILL", "TYPE", "normal"))
	})
	rep, _ := r.finish()
	r.untouched(rep)
}

// Redis forgets all scripts.
func TestScriptsForgotten(t *testing.T) {
	r := newRig(t, fault{12, "SCRIPT FLUSH under load", true}, setup{})
	r.repeat(times(10, 50), 200*time.Millisecond, func() {
		r.recordFault("flush the scripts")
		r.rdb.ask("SCRIPT", "FLUSH")
	})
	rep, _ := r.finish()
	r.untouched(rep)
}

// repeat calls do n times, once in each span, at a random moment.
func (r *rig) repeat(n int, span time.Duration, do func()) {
	began := time.Now()
	for i := range n {
		at := began.Add(span*time.Duration(i) + r.random.between(0, span*9/10))
		r.hold(time.Until(at))
		do()
	}
	r.flow(leastSaid)
}

// untouched checks that no client lost its connection, or got a gap or a reset.
func (r *rig) untouched(rep *check.Report) {
	r.t.Helper()
	r.steady(rep)
	if rep.Lost > 0 {
		r.t.Errorf("%d clients lost their connections", rep.Lost)
	}
}

// Redis loses everything: members get a reset, and entries of the new log are never treated
// as those of the old one.
func TestRedisEmptied(t *testing.T) {
	r := newRig(t, fault{13, "FLUSHALL", true}, setup{})
	for range times(2, 6) {
		old := r.watchers("lobby")
		var heads []string
		for _, w := range old {
			heads = append(heads, w.join("lobby", "").Head)
		}
		r.hold(r.random.between(0, 300*time.Millisecond))
		r.recordFault("empty redis")
		before := time.Now()
		r.history.wiped("", func() { r.rdb.ask("FLUSHALL") })
		for i, w := range old {
			w.await("reset", "reset", before, nil)
			again := watch(t, r.nodes[(i+1)%nodes], client.Options{}).join("lobby", heads[i])
			if again.Recovered {
				t.Errorf("%s is an id of the lost log, and was accepted as one of the new log", heads[i])
			}
		}
		r.flow(leastSaid)
		if got := r.history.resets(before, "lobby"); got != len(r.fleet.Clients) {
			t.Errorf("%d of %d clients got a reset", got, len(r.fleet.Clients))
		}
	}
	rep, _ := r.finish()
	if rep.Lost > 0 {
		t.Errorf("%d clients lost their connections", rep.Lost)
	}
}
