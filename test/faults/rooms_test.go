//go:build unix

package faults

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/client"
	"example.com/chat/internal/load"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// connectionsMost is how many connections to Redis one node may have: its pool, its
// subscription, and some that are being replaced.
const connectionsMost = 64

// A thousand rooms catch up at once, after Redis was away for all nodes, and after it was
// away for one of them.
func TestThousandRoomsCatchUp(t *testing.T) {
	const rooms, each = 1000, 100
	r := newRig(t, fault{24, "1,000 rooms catch up at once", false}, setup{
		proxied: 1, talkers: 2 * rooms / each, redis: keeping("always"),
		rooms: func(i int) (list []string) {
			for k := range each {
				list = append(list, fmt.Sprintf("room-%d", i%(rooms/each)*each+k))
			}
			return list
		},
	})
	watchers := r.watchers("lobby")
	for _, away := range []time.Duration{time.Second, 4 * time.Second} {
		r.hold(2 * time.Second)
		r.recordFault("redis away for %s", away)
		r.redis.Kill()
		r.hold(away)
		back := time.Now()
		r.redis.Restart()
		r.flow(leastSaid)
		r.note("messages were acknowledged again %.1f s after redis was back", since(back))
	}
	n := r.nodes[0]
	for range 2 {
		n.awaitReady(true, time.Now())
		r.recordFault("cut %s off", n.id)
		off := time.Now()
		n.proxy.setCut(true)
		watchers[0].awaitStatus("down", off)
		r.hold(5 * time.Second)
		back := time.Now()
		n.proxy.setCut(false)
		r.flow(leastSaid)
		up := watchers[0].awaitStatus("up", back)
		r.note("the node that was cut off had caught up after %.1f s", up.at.Sub(back).Seconds())
	}
	n.proxy.mu.Lock()
	most := n.proxy.most
	n.proxy.mu.Unlock()
	r.note("%d connections to redis at most", most)
	if most > connectionsMost {
		t.Errorf("the node had %d connections to redis", most)
	}
	rep, _ := r.finish()
	r.untouched(rep)
}

// One user sends the same key at once through two nodes.
func TestSameKeyOnTwoNodes(t *testing.T) {
	r := newRig(t, fault{25, "one key at once on two nodes", true}, setup{})
	first := watch(t, r.nodes[0], client.Options{})
	second := watch(t, r.nodes[1], client.Options{Token: first.me.Token})
	if first.me.User.ID != second.me.User.ID {
		t.Fatal("the connections are not of one user")
	}
	first.join("twins", "")
	second.join("twins", "")
	const rounds = 100
	for i := range rounds {
		r.injected++
		var got [2]protocol.SentEvent
		var both sync.WaitGroup
		for k, w := range []*watcher{first, second} {
			both.Go(func() { // ends with the answer
				e, err := w.conn.Call(t.Context(), protocol.SendCommand{Room: "twins", Key: strconv.Itoa(i), Text: "once"})
				if err != nil || e.Decode(&got[k]) != nil {
					t.Errorf("key %d at node %d: %v %s", i, k+1, err, e.Raw)
				}
			})
		}
		both.Wait()
		if got[0].ID == "" || got[0].ID != got[1].ID || got[0].Duplicate == got[1].Duplicate {
			t.Fatalf("key %d was answered %+v and %+v", i, got[0], got[1])
		}
	}
	if n := r.rdb.ask("XLEN", redisbroker.LogKey("chat", "twins")); n != int64(rounds) {
		t.Errorf("%v entries of %d keys", n, rounds)
	}
	rep, _ := r.finish()
	r.untouched(rep)
}

// A node of a later version writes an entry of a kind that this one does not know: it is
// delivered unchanged, to members, in history and at a join.
func TestUnknownKind(t *testing.T) {
	r := newRig(t, fault{30, "an entry of an unknown kind", true}, setup{load: load.Config{Changes: -1}})
	old := r.watchers("lobby")
	log := redisbroker.LogKey("chat", "lobby")
	live := strings.Replace(log, ":log:", ":0:live:", 1)
	for i := range times(3, 20) {
		r.hold(r.random.between(0, 200*time.Millisecond))
		began := time.Now()
		id := r.put(log, live, byHand{"lobby", "poll", "u-next", fmt.Sprint("next-", i), "Tea?"})
		r.recordFault("an entry of the kind poll as %s", id)
		entry := []byte(`"kind":"poll","key":"next-` + strconv.Itoa(i) + `","user":{"id":"u-next","name":"Next"},"text":"Tea?","node":"next","more":{"of":[1,2,3]}}`)
		for k, w := range old {
			w.await("the entry", "message", began, func(e received) bool { return bytes.Contains(e.Raw, entry) })
			var h protocol.HistoryEvent
			if refused := w.call(protocol.HistoryCommand{Room: "lobby", Limit: 200}, &h); refused != nil {
				t.Fatal(refused)
			}
			if !holds(h.Messages, entry) {
				t.Errorf("the history at node %d does not hold the entry as it was written", k+1)
			}
			if j := watch(t, r.nodes[k], client.Options{}).join("lobby", ""); !holds(j.Messages, entry) {
				t.Errorf("joined at node %d does not hold the entry as it was written", k+1)
			}
		}
		r.flow(5)
	}
	r.note("%d entries by hand have no acknowledgement", r.byHand)
	rep, _ := r.finish()
	r.untouched(rep)
}

func holds[T ~[]byte](list []T, entry []byte) bool {
	for _, raw := range list {
		if bytes.Contains(raw, entry) {
			return true
		}
	}
	return false
}

// Somebody writes into logs by hand: entries without their field, and a key of
// another type where a log should be.
func TestLogWrittenByHand(t *testing.T) {
	r := newRig(t, fault{33, "an entry by hand without its field; a log of another type", true}, setup{})
	log := redisbroker.LogKey("chat", "lobby")
	r.repeat(times(5, 30), 200*time.Millisecond, func() {
		r.recordFault("an entry by hand")
		r.rdb.ask("XADD", log, "*", "by", "hand")
	})
	for range times(1, 4) {
		r.recordFault("a string in place of a log")
		from := time.Now()
		r.history.wiped("lobby", func() {
			r.rdb.ask("SET", log, "not a log")
			r.hold(r.random.between(500*time.Millisecond, 2*time.Second))
			r.rdb.ask("DEL", log)
		})
		chattest.Eventually(t, "all clients to get a reset", func() bool { return r.history.resets(from, "lobby") == len(r.fleet.Clients) })
		r.flow(leastSaid)
	}
	r.readByHand()
	rep, _ := r.finish()
	if rep.Lost > 0 {
		t.Errorf("%d clients lost their connections", rep.Lost)
	}
}

// readByHand makes a node read a log that holds entries by hand, of a room that it does not
// follow.
func (r *rig) readByHand() {
	r.t.Helper()
	speaker := watch(r.t, r.nodes[0], client.Options{})
	speaker.join("hand", "")
	log := redisbroker.LogKey("chat", "hand")
	for i := range 3 {
		speaker.say("hand", strconv.Itoa(i), "said")
		r.recordFault("an entry by hand in another room")
		r.rdb.ask("XADD", log, "*", "m", "{}")
	}
	reader := r.nodes[1]
	if j := watch(r.t, reader, client.Options{}).join("hand", ""); len(j.Messages) != 3 {
		r.t.Errorf("%d messages of 3 between entries by hand", len(j.Messages))
	}
	reader.awaitSaid("is not one of ours", 0)
}

// A user is connected to three nodes, two of which die.
func TestUserOnThreeNodes(t *testing.T) {
	r := newRig(t, fault{26, "one user on three nodes, two die, then the last", false}, setup{})
	var user protocol.WelcomeEvent
	for i, n := range r.nodes {
		w := watch(t, n, client.Options{Token: user.Token})
		w.join("lobby", "")
		if i == 0 {
			user = w.me
		} else if w.me.User.ID != user.User.ID {
			t.Fatal("the connections are not of one user")
		}
	}
	witness := watch(t, r.nodes[2], client.Options{})
	witness.join("lobby", "")
	began := time.Now()
	for _, n := range r.nodes[:2] {
		r.recordFault("kill %s", n.id)
		n.kill()
	}
	r.hold(goneWithin)
	if e, ok := witness.find("presence", began, left(user.User.ID)); ok {
		t.Errorf("the user went offline while it was connected to a node: %s", e.Raw)
	}
	var m struct {
		Members []protocol.User `json:"members"`
	}
	if refused := witness.call(protocol.MembersCommand{Room: "lobby"}, &m); refused != nil {
		t.Fatal(refused)
	}
	online := 0
	for _, u := range m.Members {
		if u.ID == user.User.ID {
			online++
		}
	}
	if online != 1 {
		t.Errorf("the user is listed %d times among the members", online)
	}
	r.nodes[0].start()
	witness = watch(t, r.nodes[0], client.Options{})
	witness.join("lobby", "")
	r.recordFault("kill %s", r.nodes[2].id)
	last := time.Now()
	r.nodes[2].signal(syscall.SIGKILL)
	gone := witness.await("the user to leave", "presence", last, left(user.User.ID))
	r.note("offline %.1f s after the last node died", gone.at.Sub(last).Seconds())
	if took := gone.at.Sub(last); took > goneWithin {
		t.Errorf("the user left %s after the last node died", took)
	}
	r.nodes[1].start()
	r.nodes[2].start()
	r.flow(leastSaid)
	rep, _ := r.finish()
	r.steady(rep)
}
