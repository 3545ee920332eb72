package redisbroker_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

func counted(t *testing.T, b *redisbroker.Broker, what string, ok func(cluster.BrokerStats) bool) {
	t.Helper()
	var last cluster.BrokerStats
	defer func() {
		if t.Failed() {
			t.Logf("the last counts: %+v", last)
		}
	}()
	chattest.Eventually(t, what+" to be counted", func() bool {
		last = b.Stats()
		return ok(last)
	})
}

func TestWhatIsSaidToRedisIsCounted(t *testing.T) {
	each(t, func(t *testing.T, at *site) {
		b := open(t, at, "n1", 100)
		counted(t, b.Broker, "a probe", func(s cluster.BrokerStats) bool { return s.Probes.Count > 0 && s.Probes.Sum > 0 })
		key := redisbroker.LogKey(b.ns, "lobby")
		before := b.Stats()
		say := func(keys ...string) {
			t.Helper()
			var list []protocol.Draft
			for _, k := range keys {
				list = append(list, draft("a", k, "x"))
			}
			if _, err := b.Append(t.Context(), "lobby", list); err != nil {
				t.Fatal(err)
			}
		}
		say("1", "2")
		say("2", "3")
		s := b.Stats()
		if s.Batches-before.Batches != 2 || s.Entries-before.Entries != 3 || s.Appends.Count-before.Appends.Count != 2 || s.Appends.Sum <= before.Appends.Sum {
			t.Errorf("after two batches of three entries: %+v, before %+v", s, before)
		}
		if s.Skipped != 0 || s.Remade != 0 || s.Silent != 0 || s.LeasesLost != 0 {
			t.Errorf("nothing was recovered, and %+v", s)
		}
		for kind, n := range s.Failed {
			if n != 0 {
				t.Errorf("%d failed of the kind %s", n, kind)
			}
		}
		if err := b.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: key, Values: []string{"by", "hand"}}).Err(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.newest(t, "lobby", 10); err != nil || b.Stats().Skipped != 1 {
			t.Errorf("an entry by hand: %v, %d skipped", err, b.Stats().Skipped)
		}
		if err := b.rdb.Set(t.Context(), key, "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		_, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "4", "x")})
		if failed := b.Stats().Failed; err == nil || failed["wrongtype"] != 1 {
			t.Errorf("a log of another type: %v, %v", err, b.Stats().Failed)
		}
		if err := b.rdb.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		counted(t, b.Broker, "the lost lease", func(s cluster.BrokerStats) bool { return s.LeasesLost == 1 })
	})
}

func TestFailuresAreCountedByTheirKind(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := open(t, at(server), "n1", 100)
	fails := func(kind string) {
		t.Helper()
		before := b.Stats()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := b.Append(ctx, "lobby", []protocol.Draft{draft("a", "1", "x")})
		if err == nil || b.Stats().Failed[kind] != before.Failed[kind]+1 || b.Stats().Batches != before.Batches {
			t.Errorf("%v is not counted as %s: %v", err, kind, b.Stats().Failed)
		}
	}
	set := func(name, value string) {
		t.Helper()
		if err := b.rdb.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("maxmemory", "1")
	fails("oom")
	set("maxmemory", "0")
	set("min-replicas-to-write", "1")
	fails("noreplicas")
	set("min-replicas-to-write", "0")
	if err := b.rdb.Do(t.Context(), "CLIENT", "PAUSE", "3000", "ALL").Err(); err != nil {
		t.Fatal(err)
	}
	fails("timeout")
	server.Kill()
	fails("connection")
	for kind := range b.Stats().Failed {
		if strings.ToLower(kind) != kind || strings.ContainsAny(kind, " :'\"") {
			t.Errorf("%q is no name of a kind", kind)
		}
	}
}

// The counts distinguish why a subscription was reopened: no probe arrived although its
// connection looked alive, or the connection broke.
func TestRemadeSubscriptionsAreCountedByTheirCause(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var deaf atomic.Bool
	rdb := redis.NewClient(&redis.Options{
		Addr: server.Addr, Protocol: 2, MaxRetries: -1,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &swallower{Conn: c, deaf: &deaf}, err
		},
	})
	defer rdb.Close()
	b, err := redisbroker.New(t.Context(), redisbroker.Config{Client: rdb, Namespace: "test", History: 10, Node: cluster.NodeInfo{ID: "n1"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &heard{}
	done := make(chan struct{})
	go func() { // ends with ctx; the cleanup waits for it
		b.Run(ctx, h.listener())
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	b.Follow("lobby")
	h.Has(t, "to follow", func() bool { return h.Heard.Following == 1 })
	deaf.Store(true)
	began := time.Now()
	counted(t, b, "the silent subscription", func(s cluster.BrokerStats) bool { return s.Silent == 1 && s.Remade == 0 })
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("a dead subscription was found after %s", took)
	}
	deaf.Store(false)
	h.Has(t, "to follow again", func() bool { return h.Heard.Following == 2 && h.Up })
	if err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	counted(t, b, "the broken subscription", func(s cluster.BrokerStats) bool { return s.Silent == 1 && s.Remade == 1 })
}

// swallower is a connection to Redis that drops published messages, if it is a
// subscriber's and deaf is set.
type swallower struct {
	net.Conn
	deaf       *atomic.Bool
	subscribed atomic.Bool
}

func (s *swallower) Write(b []byte) (int, error) {
	if strings.Contains(strings.ToLower(string(b)), "subscribe") {
		s.subscribed.Store(true)
	}
	return s.Conn.Write(b)
}

func (s *swallower) Read(b []byte) (int, error) {
	for {
		n, err := s.Conn.Read(b)
		if err != nil || !s.subscribed.Load() || !s.deaf.Load() {
			return n, err
		}
	}
}
