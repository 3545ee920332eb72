//go:build unix

package faults

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// Redis is killed and has lost the end of its logs: members of a room whose log continues
// with other entries get a reset.
func TestRedisLosesItsTail(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, fault{7, "kill -9 of Redis, a tail lost", true}, setup{redis: append(keeping("everysec"), "--dir", dir)})
	for range times(1, 5) {
		r.hold(r.random.between(0, time.Second))
		r.history.wiped("", func() {
			r.redis.Kill()
			r.recordFault("kill redis, and %d bytes of its file", r.rdb.truncate(dir, 200+r.random.IntN(20_000)))
			r.hold(r.random.between(0, time.Second))
			r.redis.Restart()
		})
		r.flow(leastSaid)
	}
	rep, _ := r.finish()
	if rep.Lost > 0 {
		t.Errorf("%d clients lost their connections", rep.Lost)
	}
	if rep.Resets == 0 {
		t.Error("nobody got a reset")
	}
}

// memoryFor is by how much a node's memory may grow, in KiB, while it waits for Redis and its
// users go on sending.
const memoryFor = 64 << 10

// Redis is frozen: messages wait in bounded memory, or are refused.
func TestRedisFrozen(t *testing.T) {
	r := newRig(t, fault{8, "SIGSTOP of Redis for 5 s", false}, setup{})
	for range 3 {
		r.hold(r.random.between(0, time.Second))
		var flooders []*watcher
		for range 10 {
			w := watch(t, r.nodes[0], client.Options{})
			w.join("flood", "")
			flooders = append(flooders, w)
		}
		before := r.nodes[0].resident(t)
		r.recordFault("freeze redis")
		frozen := time.Now()
		r.redis.Signal(syscall.SIGSTOP)
		flood(flooders, frozen.Add(5*time.Second))
		r.hold(time.Until(frozen.Add(5 * time.Second)))
		most := r.nodes[0].resident(t) - before
		r.redis.Signal(syscall.SIGCONT)
		r.note("memory grew by %d KiB", most)
		if most > memoryFor {
			t.Errorf("memory grew by %d KiB", most)
		}
		r.flow(leastSaid)
	}
	rep, _ := r.finish()
	r.untouched(rep)
}

// flood makes clients send, until a moment, as much as the node accepts, in a room that is
// not part of the history.
func flood(list []*watcher, until time.Time) {
	text := strings.Repeat("flood ", 600)
	for _, w := range list {
		go func() { // ends at the moment, or a bounded time after the node accepts no more
			for i := 0; time.Now().Before(until); i++ {
				if w.conn.Write(protocol.SendCommand{Room: "flood", Key: strconv.Itoa(i), Text: text}) != nil {
					return
				}
			}
		}()
	}
}

// Redis closes the subscriptions that do not read at once, and bursts of long messages are
// published.
func TestSubscribersOverrun(t *testing.T) {
	r := newRig(t, fault{11, "client-output-buffer-limit pubsub 32kb 0 0, and bursts", true}, setup{redis: []string{"--client-output-buffer-limit", "pubsub 32kb 0 0"}})
	for _, n := range r.nodes {
		r.pin(n, "hears at "+n.id, "burst")
	}
	for i := range times(3, 20) {
		r.recordFault("a burst")
		r.burst(r.any(), fmt.Sprintf("burst%d", i), "burst", 60, 3900)
		// Valkey 9.1 does not count one long PUBLISH towards the limit, since it keeps
		// the payload once for all subscribers; it counts many short ones, all of which
		// wait if one script sends them. Nodes can't decode them.
		r.rdb.ask("EVAL", "for i = 1, 1000 do redis.call('PUBLISH', ARGV[1], ARGV[2]) end return 1", 0,
			redisbroker.LiveChannel("chat", 0, "burst"), strings.Repeat("x", 200))
	}
	r.flow(leastSaid)
	broke := 0
	for _, n := range r.nodes {
		broke += n.said("subscription to redis broke off")
	}
	r.note("%d subscriptions closed", broke)
	if broke == 0 {
		t.Error("no subscription was closed")
	}
	rep, _ := r.finish()
	r.untouched(rep)
}

// One room's log is deleted, or cut below a client's cursor.
func TestLogDeletedOrCut(t *testing.T) {
	r := newRig(t, fault{14, "a room's log deleted; cut below a cursor", true}, setup{})
	for range times(2, 8) {
		r.hold(r.random.between(0, 300*time.Millisecond))
		before := time.Now()
		r.recordFault("delete the log")
		r.history.wiped("lobby", func() { r.rdb.ask("DEL", redisbroker.LogKey("chat", "lobby")) })
		chattest.Eventually(t, "all clients to get a reset", func() bool { return r.history.resets(before, "lobby") == len(r.fleet.Clients) })
		r.flow(leastSaid)
	}
	speaker := watch(t, r.nodes[0], client.Options{})
	speaker.join("cut", "")
	var ids []string
	for i := range 20 {
		ids = append(ids, speaker.say("cut", strconv.Itoa(i), "said").ID)
	}
	r.recordFault("cut a log below a cursor")
	r.rdb.ask("XTRIM", redisbroker.LogKey("chat", "cut"), "MAXLEN", "3")
	// Only the first node follows the room.
	j := watch(t, r.nodes[1], client.Options{}).join("cut", ids[4])
	if j.Recovered || len(j.Messages) != 3 {
		t.Errorf("after a cursor that the log does not hold: recovered %t, %d messages", j.Recovered, len(j.Messages))
	}
	rep, _ := r.finish()
	if rep.Lost > 0 {
		t.Errorf("%d clients lost their connections", rep.Lost)
	}
}

// Redis is full, and refuses writes.
func TestRedisFull(t *testing.T) {
	r := newRig(t, fault{15, "maxmemory reached, noeviction", true}, setup{})
	for range times(1, 3) {
		r.hold(r.random.between(0, time.Second))
		r.recordFault("no more memory")
		full, from := time.Now(), len(r.fleet.History.Records())
		r.rdb.ask("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
		for _, n := range r.nodes {
			took, reason := n.awaitReady(false, full)
			if !strings.Contains(strings.ToLower(reason), "memory") {
				t.Errorf("%s is not ready for the reason %q", n.id, reason)
			}
			r.t.Logf("%s not ready after %s: %s", n.id, took, reason)
		}
		r.hold(time.Duration(times(1, 7)) * time.Second)
		r.rdb.ask("CONFIG", "SET", "maxmemory", "0")
		refused := 0
		for _, rec := range r.fleet.History.Records()[from:] {
			if rec.Op == check.OpRefused && rec.Code == string(protocol.CodeUnavailable) {
				refused++
			}
		}
		if refused == 0 {
			t.Error("nothing was refused as unavailable")
		}
		room := time.Now()
		for _, n := range r.nodes {
			n.awaitReady(true, room)
		}
		r.note("%d refused, ready again after %.1f s", refused, time.Since(room).Seconds())
		r.flow(leastSaid)
	}
	rep, _ := r.finish()
	r.untouched(rep)
}
