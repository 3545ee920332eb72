package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/load"
	"example.com/chat/internal/redisbroker"
)

// throng is three nodes with one Redis, and clients whose history is checked.
type throng struct {
	t     *testing.T
	fleet *load.Fleet
	nodes []*testNode
	rooms []string
	rdb   redis.UniversalClient // not through a node
}

// everybody is the number of clients of a throng.
const everybody = 8

// assemble starts the nodes with further flags, and clients in rooms of many partitions;
// talkers of them send messages.
func assemble(t *testing.T, redisURL string, rdb redis.UniversalClient, talkers int, flags ...string) *throng {
	t.Helper()
	c := &throng{t: t, fleet: load.NewFleet(), rdb: rdb}
	for i := range 3 {
		args := append([]string{fmt.Sprintf("--node-id=n%d", i+1), "--rate=0", "--redis=" + redisURL}, flags...)
		c.nodes = append(c.nodes, startNode(t, redisURL, args...))
	}
	urls := func() []string { return []string{c.nodes[0].url, c.nodes[1].url, c.nodes[2].url} }
	const rooms = 6
	for i := range rooms {
		c.rooms = append(c.rooms, fmt.Sprintf("room-%d", i))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i := range everybody {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		every := 20 * time.Millisecond
		if i >= talkers {
			every = 0
		}
		c.fleet.Add(load.Config{
			Name: fmt.Sprintf("c%d", i), Random: random, Every: every, Window: 1 + i%4, Switch: 4 * time.Second,
			Rooms: []string{c.rooms[i%rooms], c.rooms[(i+1)%rooms], c.rooms[(i+3)%rooms]},
			Dial:  load.Dialer(rand.New(rand.NewPCG(seed, uint64(100+i))), urls, client.Timing{}),
		})
	}
	t.Cleanup(c.fleet.Close)
	return c
}

// more waits until all logs that can be read hold n more entries together than now.
func (c *throng) more(n int64) {
	c.t.Helper()
	length := func() (sum int64) {
		for _, room := range c.rooms {
			sum += c.rdb.XLen(c.t.Context(), redisbroker.LogKey("chat", room)).Val()
		}
		return sum
	}
	before := length()
	chattest.Eventually(c.t, fmt.Sprintf("%d more messages", n), func() bool { return length() >= before+n })
}

// everywhere waits until each room has n more entries.
func (c *throng) everywhere(n int64) {
	c.t.Helper()
	for _, room := range c.rooms {
		length := func() int64 { return c.rdb.XLen(c.t.Context(), redisbroker.LogKey("chat", room)).Val() }
		before := length()
		chattest.Eventually(c.t, "messages in "+room, func() bool { return length() >= before+n })
	}
}

// wiped records that the logs may have lost their end.
func (c *throng) wiped() { c.fleet.History.Add(check.Record{Op: check.OpWiped}) }

// finish ends the load, and checks its history. It returns how many acknowledged messages
// are not in the log under their acknowledged id.
func (c *throng) finish() (lost int, r *check.Report) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*chattest.Patience)
	defer cancel()
	list, err := c.fleet.Finish(ctx, c.rdb, "chat")
	if err != nil {
		c.t.Fatal(err)
	}
	r = check.Verify(list)
	for _, v := range r.Violations {
		c.t.Error(v)
	}
	if !r.OK() {
		for _, client := range c.fleet.Clients {
			c.t.Log(client.State())
		}
		if dir := os.Getenv("CHAT_TEST_HISTORIES"); dir != "" {
			f, err := os.Create(filepath.Join(dir, strings.ReplaceAll(c.t.Name(), "/", "-")+".jsonl"))
			if err == nil {
				_ = check.Write(f, list)
				_ = f.Close()
			}
		}
	}
	held := make(map[string]bool)
	for _, rec := range list {
		if rec.Op == check.OpLog {
			held[rec.Room+" "+rec.ID+" "+rec.Key] = true
		}
	}
	for _, rec := range list {
		if rec.Op == check.OpSent && rec.ID != "" && !held[rec.Room+" "+rec.ID+" "+rec.Key] {
			lost++
		}
	}
	c.t.Logf("%d sent, %d acknowledged, %d of them lost, %d duplicates, %d gaps, %d resets; longest wait %s, longest behind %s",
		r.Sent, r.Acknowledged, lost, r.Duplicates, r.Gaps, r.Resets, r.Waited.Round(time.Millisecond), r.Behind.Round(time.Millisecond))
	if r.Acknowledged < 100 {
		c.t.Errorf("only %d messages were acknowledged, too few for the test", r.Acknowledged)
	}
	return lost, r
}

// The same failover, with a replica that certainly lacks the end of the log: with
// --wait-replicas no acknowledged message is lost, without it members get reset.
func TestAFailoverThatLosesATail(t *testing.T) {
	t.Parallel()
	chattest.NeedLong(t)
	for _, c := range []struct {
		name     string
		replicas int
	}{{"told without waiting", 0}, {"not acknowledged with --wait-replicas", 1}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.StartSentinel(t, nil)
			primary, replica := s.Primary()
			direct := primary.Client()
			outside := redis.NewFailoverClient(&redis.FailoverOptions{
				MasterName: redistest.MasterName, SentinelAddrs: []string{s.Sentinels[0].Addr, s.Sentinels[1].Addr}, Protocol: 2, DisableIdentity: true,
			})
			t.Cleanup(func() { _ = outside.Close() })
			crowd := assemble(t, s.URL, direct, everybody, fmt.Sprintf("--wait-replicas=%d", c.replicas))
			crowd.everywhere(10)
			replica.Freeze()
			if err := direct.Do(t.Context(), "CLIENT", "KILL", "TYPE", "replica").Err(); err != nil {
				t.Fatal(err)
			}
			crowd.wiped()
			crowd.more(6)
			primary.Kill()
			crowd.wiped()
			replica.Thaw()
			s.Await(replica)
			crowd.wiped()
			crowd.rdb = outside
			if c.replicas > 0 {
				// The dead server restarts, as the replica that must confirm.
				primary.Restart()
				follow(primary, replica)
			}
			crowd.everywhere(10)
			lost, r := crowd.finish()
			if c.replicas > 0 && lost > 0 {
				t.Errorf("%d acknowledged messages were lost", lost)
			}
			if c.replicas == 0 && lost == 0 {
				t.Error("nothing was lost, so the test shows nothing")
			}
			if r.Resets+r.Gaps == 0 {
				t.Error("no member got a reset")
			}
		})
	}
}

// follow makes a server another's replica.
func follow(server, primary *redistest.Server) {
	host, port, _ := strings.Cut(primary.Addr, ":")
	server.Do("REPLICAOF", host, port)
}

// A primary becomes a replica while it is in use (READONLY), and its connections are
// closed.
func TestSentinelsGiveTheRoleToAnother(t *testing.T) {
	t.Parallel()
	chattest.NeedLong(t)
	s := redistest.StartSentinel(t, nil)
	primary, replica := s.Primary()
	outside := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: redistest.MasterName, SentinelAddrs: []string{s.Sentinels[0].Addr}, Protocol: 2, DisableIdentity: true,
	})
	t.Cleanup(func() { _ = outside.Close() })
	crowd := assemble(t, s.URL, outside, everybody, "--wait-replicas=1")
	crowd.everywhere(5)
	crowd.wiped()
	s.Sentinels[0].Do("SENTINEL", "FAILOVER", redistest.MasterName)
	s.Await(replica)
	crowd.wiped()
	follow(primary, replica) // the sentinels would do the same some seconds later
	replica.Do("CLIENT", "KILL", "TYPE", "normal")
	replica.Do("CLIENT", "KILL", "TYPE", "pubsub")
	crowd.everywhere(10)
	if lost, _ := crowd.finish(); lost > 0 {
		t.Errorf("%d acknowledged messages were lost", lost)
	}
}

// moveOwned moves the slot of a room to another primary, and returns the one that had it.
func moveOwned(t *testing.T, cluster *redistest.Cluster, asked *redistest.Server, key string) (from *redistest.Server) {
	t.Helper()
	slot := cluster.Slot(key)
	from = cluster.Owner(asked, slot)
	for _, to := range cluster.Servers {
		if to != from && to.Info("replication", "role") == "master" {
			cluster.Move(slot, from, to)
			return from
		}
	}
	t.Fatal("there is no other primary")
	return nil
}

// No loss of Redis is recorded, so the checker accepts none.
func TestSlotsOfARedisClusterAreMovedWhileInUse(t *testing.T) {
	t.Parallel()
	chattest.NeedLong(t)
	cluster := redistest.StartCluster(t, nil)
	redistest.SetUser(cluster.Servers[:]...)
	given := strings.Replace(cluster.URL, "://", "://"+redistest.User+":"+url.QueryEscape(redistest.Password)+"@", 1)
	crowd := assemble(t, given, cluster.Client(), everybody)
	crowd.everywhere(5)
	for _, room := range crowd.rooms[:3] {
		moveOwned(t, cluster, cluster.Servers[0], redisbroker.LogKey("chat", room))
		crowd.more(20)
	}
	moveOwned(t, cluster, cluster.Servers[0], "chat:{cluster}:nodes")
	for _, s := range cluster.Servers {
		s.Do("CLIENT", "KILL", "TYPE", "pubsub")
	}
	crowd.everywhere(10)
	for _, s := range cluster.Servers {
		s.Do("CLIENT", "KILL", "TYPE", "normal")
	}
	crowd.everywhere(10)
	lost, r := crowd.finish()
	if lost > 0 || r.Resets > 0 {
		t.Errorf("%d lost, %d resets", lost, r.Resets)
	}
	for _, n := range crowd.nodes {
		chattest.Eventually(t, "the node to be ready", func() bool { return n.Ready() == nil })
	}
}

// One primary is killed, another hands its role to its replica (CLUSTER
// FAILOVER) and is a replica itself from then on.
func TestAPrimaryOfARedisClusterDiesUnderLoad(t *testing.T) {
	t.Parallel()
	chattest.NeedLong(t)
	cluster := redistest.StartCluster(t, nil)
	crowd := assemble(t, cluster.URL, cluster.Client(), everybody, "--wait-replicas=1")
	crowd.everywhere(5)
	cluster.Servers[4].Do("CLUSTER", "FAILOVER")
	chattest.Eventually(t, "the replica to be a primary", func() bool { return cluster.Servers[4].Info("replication", "role") == "master" })
	crowd.everywhere(5)
	dead := cluster.Owner(cluster.Servers[4], cluster.Slot(redisbroker.LogKey("chat", crowd.rooms[0])))
	crowd.wiped()
	dead.Kill()
	crowd.wiped()
	chattest.Eventually(t, "its replica to take over", func() bool {
		for _, s := range cluster.Servers {
			if s != dead {
				owner := cluster.Owner(s, cluster.Slot(redisbroker.LogKey("chat", crowd.rooms[0])))
				return owner != nil && owner != dead
			}
		}
		return false
	})
	crowd.wiped()
	dead.Restart() // as the replica that must confirm
	crowd.everywhere(10)
	if lost, _ := crowd.finish(); lost > 0 {
		t.Errorf("%d acknowledged messages were lost", lost)
	}
	for _, n := range crowd.nodes {
		chattest.Eventually(t, "the node to be ready", func() bool { return n.Ready() == nil })
	}
}
