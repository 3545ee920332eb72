package redisbroker_test

import (
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// pair is a primary and its replica.
func pair(t testing.TB) (primary, replica *redistest.Server) {
	t.Helper()
	primary = redistest.Start(t)
	_, port, _ := strings.Cut(primary.Addr, ":")
	replica = redistest.Start(t, "--replicaof", "127.0.0.1 "+port)
	chattest.Eventually(t, "the replica to follow", func() bool { return replica.Info("replication", "master_link_status") == "up" })
	return primary, replica
}

func TestReplicasConfirmWhatIsAcknowledged(t *testing.T) {
	t.Parallel()
	primary, replica := pair(t)
	redistest.SetUser(primary)
	at := &site{
		client:  single("redis://"+redistest.User+":"+redistest.Password+"@"+primary.Addr, nil),
		outside: single(primary.URL, nil),
	}
	log := &chattest.Output{}
	b := openWith(t, at, redisbroker.Config{
		History: 100, Replicas: 1, Node: cluster.NodeInfo{ID: "n1", Port: 1}, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	say := func(b *testBroker, key string) (protocol.Receipt, error) {
		r, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", key, "x")})
		if err != nil {
			return protocol.Receipt{}, err
		}
		return r[0], nil
	}
	if r, err := say(b, "1"); err != nil || r.ID.Seq != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	if strings.Contains(log.String(), "fewer replicas") {
		t.Error(log.String())
	}
	if n, err := replica.Client().XLen(t.Context(), redisbroker.LogKey(b.ns, "lobby")).Result(); err != nil || n != 1 {
		t.Errorf("the replica has %d entries: %v", n, err)
	}
	// Where Redis does not know the script, it is sent whole, and confirmed too.
	primary.Do("SCRIPT", "FLUSH")
	if r, err := say(b, "2"); err != nil || r.ID.Seq != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	// Without a replica in time nothing is acknowledged, not even a repeat of an earlier
	// draft; /readyz has the reason.
	replica.Freeze()
	if r, err := say(b, "3"); err == nil || !strings.Contains(err.Error(), "too few of redis's replicas") || b.Stats().Failed["replicas"] != 1 {
		t.Errorf("%+v %v %v", r, err, b.Stats().Failed)
	}
	if r, err := say(b, "3"); err == nil {
		t.Errorf("a repeat is acknowledged: %+v", r)
	}
	chattest.Eventually(t, "the reason", func() bool { return b.Ready() != nil && strings.Contains(b.Ready().Error(), "replicas") })
	if err := b.Ready(); err != nil && !strings.Contains(err.Error(), "with --wait-replicas 1 nothing can be sent until a second Redis server is back") {
		t.Errorf("/readyz says %v", err)
	}
	replica.Thaw()
	chattest.Eventually(t, "the repeat", func() bool {
		r, err := say(b, "3")
		return err == nil && r.Duplicate && r.ID.Seq == 3
	})
	chattest.Eventually(t, "to be ready again", func() bool { return b.Ready() == nil })
	// The entry of a repeat was written on another connection, and from Redis 7.2 on WAIT
	// covers only its own connection's writes. So a repeat writes something.
	plain := openWith(t, at, redisbroker.Config{History: 100, Node: cluster.NodeInfo{ID: "n2", Port: 2}})
	if propagates(t, b, primary, "3") == 0 || propagates(t, plain, primary, "3") != 0 {
		t.Error("a repeat writes where replicas have to confirm, and else it does not")
	}
}

// propagates counts the ZREMs in the replication stream, which repeats alone cause. Their
// ZADDs are among those of leases and of the list of rooms.
func propagates(t *testing.T, b *testBroker, primary *redistest.Server, key string) int64 {
	t.Helper()
	rdb := b.rdb.(*redis.Client)
	hdels := func() int64 {
		text, err := rdb.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, "cmdstat_hdel:calls="); ok {
				n, _, _ := strings.Cut(rest, ",")
				calls, _ := strconv.ParseInt(n, 10, 64)
				return calls
			}
		}
		return 0
	}
	kept := func() string {
		s, err := rdb.HGet(t.Context(), strings.Replace(redisbroker.LogKey(b.ns, "lobby"), ":log:", ":keys:", 1), "a|"+key).Result()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	_ = primary
	was := kept()
	before := hdels()
	if r, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", key, "x")}); err != nil || !r[0].Duplicate {
		t.Fatalf("%+v %v", r, err)
	}
	if kept() != was {
		t.Errorf("the repeat changed the id of its key")
	}
	return hdels() - before
}

func TestARedisWithoutReplicasIsWarnedOf(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	log := &chattest.Output{}
	_, err := redisbroker.New(t.Context(), redisbroker.Config{
		Client: single(s.URL, nil)(t), Namespace: "chat", History: 10, Replicas: 2, Node: cluster.NodeInfo{ID: "n1"},
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil || !strings.Contains(log.String(), "replicas=0 wanted=2") {
		t.Errorf("%v %s", err, log.String())
	}
}
