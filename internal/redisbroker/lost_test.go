package redisbroker_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// A node notices that a failover lost its last writes, although its lease is still valid.
// Otherwise a name that a user claimed in the last second is free, and another user can
// take it while the first is still online.
func TestAClaimThatAFailoverLostIsNoticed(t *testing.T) {
	t.Parallel()
	primary, replica := pair(t)
	var addr atomic.Pointer[string]
	addr.Store(&primary.Addr)
	at := &site{
		client: func(*testing.T) redis.UniversalClient {
			return redis.NewClient(&redis.Options{
				Addr: "primary", Protocol: 2, MaxRetries: -1, DisableIdentity: true, ContextTimeoutEnabled: true,
				Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, *addr.Load())
				},
			})
		},
		outside: single(replica.URL, nil),
	}
	b := openWith(t, at, redisbroker.Config{History: 10, Node: cluster.NodeInfo{ID: "n1", Port: 1}})
	other := openWith(t, at, redisbroker.Config{History: 10, Node: cluster.NodeInfo{ID: "n2", Port: 2}})
	was := b.Instance()
	failOver(t, primary, replica, func() {
		if _, err := b.Claim(t.Context(), protocol.NameClaim{User: "a", Name: "Ann"}); err != nil {
			t.Fatal(err)
		}
		addr.Store(&replica.Addr)
	})
	// The hub claims its users' names again after Lost.
	b.Has(t, "the loss", func() bool { return b.Heard.Lost == 1 })
	if b.Instance() == was {
		t.Error("the instance is still the same")
	}
	if _, err := b.Claim(t.Context(), protocol.NameClaim{User: "a", Name: "Ann"}); err != nil {
		t.Error(err)
	}
	if _, err := other.Claim(t.Context(), protocol.NameClaim{User: "x", Name: "ann"}); err == nil {
		t.Error("the name is another's too")
	}
}

// failOver makes the replica the primary, with all writes before the call of meanwhile,
// and without those in it.
func failOver(t *testing.T, primary, replica *redistest.Server, meanwhile func()) {
	t.Helper()
	chattest.Eventually(t, "the replica to have all", func() bool {
		return replica.Info("replication", "slave_repl_offset") == primary.Info("replication", "master_repl_offset")
	})
	replica.Freeze()
	primary.Do("CLIENT", "KILL", "TYPE", "replica")
	meanwhile()
	primary.Kill()
	replica.Thaw()
	replica.Do("REPLICAOF", "NO", "ONE")
	if role := replica.Info("replication", "role"); !strings.Contains(role, "master") {
		t.Fatalf("the replica is a %s", role)
	}
}

// An instance that others found dead has lost its lease for good, also if Redis's clock
// went forward and back: then the lease looks valid, but its users were removed.
func testALeaseFoundDeadIsLost(t *testing.T, at *site) {
	n1, n2 := open(t, at, "n1", 10), open(t, at, "n2", 10)
	leases, info := n1.ns+":{cluster}:nodes", n1.ns+":{cluster}:info"
	past := float64(time.Now().Add(-time.Second).UnixMilli())
	if err := n1.rdb.ZAdd(t.Context(), leases, redis.Z{Score: past, Member: "n3~dead"}).Err(); err != nil {
		t.Fatal(err)
	}
	var mark string
	chattest.Eventually(t, "the dead one to be marked", func() bool {
		var err error
		mark, err = n2.rdb.HGet(t.Context(), info, "n3~dead#").Result()
		return err == nil
	})
	was := n1.Instance()
	if err := n1.rdb.HSet(t.Context(), info, was+"#", mark).Err(); err != nil {
		t.Fatal(err)
	}
	n1.Has(t, "the loss", func() bool { return n1.Heard.Lost == 1 })
	if n1.Instance() == was {
		t.Error("the instance is still the same")
	}
}
