package redisbroker_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/redisbroker"
)

// openCounting opens a broker whose node reports the given number of users.
func openCounting(t *testing.T, at *site, id string, users *atomic.Int64) *testBroker {
	t.Helper()
	return openWith(t, at, redisbroker.Config{History: 10, Node: cluster.NodeInfo{ID: id, Port: 1}, Status: func() cluster.Status {
		return cluster.Status{State: cluster.StateReady, Users: int(users.Load())}
	}})
}

func TestNodesKnowHowTheOthersAre(t *testing.T) {
	each(t, func(t *testing.T, at *site) {
		var users atomic.Int64
		users.Store(7)
		one, two, silent := openCounting(t, at, "n1", &users), openCounting(t, at, "n2", &users), open(t, at, "n3", 10)
		for _, b := range []*testBroker{one, two, silent} {
			chattest.Eventually(t, "the others", func() bool {
				all := b.Statuses()
				return len(all) == 2 && all["n1"].Users == 7 && all["n2"].Users == 7 && all["n1"].State == cluster.StateReady
			})
		}
		one.Has(t, "the nodes to be told of", func() bool { return len(one.nodes) == 3 })
		// A change is visible, and is not sent as a change of the cluster.
		one.Note(func() { one.nodes = nil })
		users.Store(8)
		two.Hurry()
		chattest.Eventually(t, "the change", func() bool { s := one.Statuses()["n2"]; return s.Users == 8 && s.Ago < 5*time.Second })
		one.Note(func() {
			if one.nodes != nil {
				t.Error("a change of how a node is was told as one of the cluster")
			}
		})
		// The status of a node that stopped writing gets old.
		two.stop()
		chattest.Eventually(t, "the age to grow", func() bool { return one.Statuses()["n2"].Ago > 1500*time.Millisecond })
	})
}

// The status of a node is removed when the node leaves, and when it is forgotten.
func TestNothingIsLeftOfHowANodeWas(t *testing.T) {
	each(t, func(t *testing.T, at *site) {
		var users atomic.Int64
		one, two := openCounting(t, at, "n1", &users), openCounting(t, at, "n2", &users)
		info := one.ns + ":{cluster}:info"
		left := func() string {
			return fmt.Sprint(one.rdb.HKeys(t.Context(), info).Val())
		}
		chattest.Eventually(t, "both to be written", func() bool { return strings.Count(left(), "@") == 2 })
		two.stop() // or its next heartbeat would write it again
		if err := two.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := one.rdb.Time(t.Context()).Val()
		// It was found dead an hour ago.
		fields := []string{"n3~x", `{"id":"n3"}`, "n3~x#", "-1000000000", "n3~x@", `1 {"state":"ready"}`}
		if err := one.rdb.HSet(t.Context(), info, fields).Err(); err != nil {
			t.Fatal(err)
		}
		long := redis.Z{Score: float64(now.Add(-time.Hour).UnixMilli()), Member: "n3~x"}
		if err := one.rdb.ZAdd(t.Context(), one.ns+":{cluster}:nodes", long).Err(); err != nil {
			t.Fatal(err)
		}
		chattest.Eventually(t, "only one to be left", func() bool { return strings.Count(left(), "@") == 1 && !strings.Contains(left(), "n3") })
		chattest.Eventually(t, "only itself to be known", func() bool { return len(one.Statuses()) == 1 })
	})
}

// A node that was killed and restarted has two instances until the first lease ends.
// The status of the first is not treated as the second's; otherwise sessions of the second
// are unknown.
func TestWhatANodeSaysSinceItWasStartedAgainCounts(t *testing.T) {
	each(t, func(t *testing.T, at *site) {
		var users atomic.Int64
		users.Store(2)
		one, two := openCounting(t, at, "n1", &users), openCounting(t, at, "n2", &users)
		chattest.Eventually(t, "the other", func() bool { return one.Statuses()["n2"].Users == 2 })
		ends := float64(one.rdb.Time(t.Context()).Val().Add(4 * time.Second).UnixMilli())
		pipe := one.rdb.TxPipeline()
		pipe.HSet(t.Context(), one.ns+":{cluster}:info", "n2~before", `{"id":"n2","port":9}`, "n2~before@", `1 {"state":"ready","users":1}`,
			"n3~x", `{"id":"n3"}`)
		pipe.ZAdd(t.Context(), one.ns+":{cluster}:nodes", redis.Z{Score: ends, Member: "n2~before"}, redis.Z{Score: ends, Member: "n3~x"})
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, b := range []*testBroker{one, two} {
			b.Hurry()
			b.Has(t, "a third node, and the second as it is now", func() bool {
				return len(b.nodes) == 3 && b.nodes[1].ID == "n2" && b.nodes[1].Port == 1 && b.nodes[2].ID == "n3"
			})
			if n := b.Statuses()["n2"].Users; n != 2 {
				t.Errorf("the second has %d users", n)
			}
		}
	})
}
