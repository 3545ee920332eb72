package redisbroker_test

import (
	"context"
	"crypto/tls"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/embed"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// suite holds the tests that pass on every kind of Redis.
var suite = []struct {
	name string
	test func(t *testing.T, at *site)
}{
	{"EntriesPutInByHandAreSkipped", testEntriesPutInByHandAreSkipped},
	{"PresenceIsWorthAsMuchAsItsLease", testPresenceIsWorthAsMuchAsItsLease},
	{"ADeadInstanceIsFoundLate", testADeadInstanceIsFoundLate},
	{"ALeaseIsNeverLongerThanLeasesAre", testALeaseIsNeverLongerThanLeasesAre},
	{"NamesAreShared", testNamesAreShared},
	{"AKeptNameIsNotLostOnline", testAKeptNameIsNotLostOnline},
	{"RoomsWithEntriesAreListed", testRoomsWithEntriesAreListed},
	{"TheListOfRoomsIsPaged", testTheListOfRoomsIsPaged},
	{"RoomsAreListedWithTheirUsers", testRoomsAreListedWithTheirUsers},
	{"NamedRoomsAreListedAlone", testNamedRoomsAreListedAlone},
	{"ALostLeaseIsNoticed", testALostLeaseIsNoticed},
	{"ALeaseFoundDeadIsLost", testALeaseFoundDeadIsLost},
	{"AKilledSubscriptionIsMadeAnew", testAKilledSubscriptionIsMadeAnew},
	{"WhatWasDeletedIsRememberedWithinBounds", testWhatWasDeletedIsRememberedWithinBounds},
	{"EditsLeaveWithTheirMessage", testEditsLeaveWithTheirMessage},
	{"TidyingCannotFailAnAppend", testTidyingCannotFailAnAppend},
	{"AnEntryByHandRemovesNoEdits", testAnEntryByHandRemovesNoEdits},
	{"KeysAreRememberedAsPromised", testKeysAreRememberedAsPromised},
}

// site is one Redis, of whatever kind.
type site struct {
	// client makes a client as a node has it, outside one with all permissions; on a
	// Redis Cluster both are clients of the cluster.
	client, outside func(t *testing.T) redis.UniversalClient
	// servers are the processes; none for the embedded broker.
	servers []*redistest.Server
	// alone is false where tests share the Redis.
	alone bool
	// database is the number of client's database; outside uses 0.
	database int
	// namespace is the brokers'; "" for one of the test's own.
	namespace string
}

// each runs a test on the embedded broker and on a Redis.
func each(t *testing.T, test func(t *testing.T, at *site)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		b, err := embed.StartBroker(embed.BrokerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		client := single(b.URL(), nil)
		test(t, &site{client: client, outside: client, alone: true})
	})
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		test(t, at(redistest.Start(t)))
	})
}

// at is the site of one server.
func at(s *redistest.Server) *site {
	client := single(s.URL, nil)
	return &site{client: client, outside: client, servers: []*redistest.Server{s}, alone: true}
}

func TestOnTheEmbeddedBroker(t *testing.T) {
	t.Parallel()
	held(t, func(t *testing.T) *site {
		b, err := embed.StartBroker(embed.BrokerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		client := single(b.URL(), nil)
		return &site{client: client, outside: client, alone: true}
	})
}

// held runs the contract of all brokers, and suite, at the sites that open returns.
func held(t *testing.T, open func(t *testing.T) *site) {
	contract(t, open)
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

func TestOnARedis(t *testing.T) {
	t.Parallel()
	held(t, func(t *testing.T) *site { return at(redistest.Start(t)) })
}

// The user is the one that the README recommends.
func TestOverTLSAsTheRecommendedUser(t *testing.T) {
	t.Parallel()
	held(t, func(t *testing.T) *site {
		ca := redistest.NewCA(t)
		s := redistest.StartTLS(t, ca)
		redistest.SetUser(s)
		return &site{
			client:  single("rediss://"+redistest.User+":"+redistest.Password+"@"+s.Addr, ca.Trusting),
			outside: single(s.URL, ca.Trusting), servers: []*redistest.Server{s}, alone: true,
		}
	})
}

// The user is the one that the README recommends.
func TestOnARedisCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, nil)
	redistest.SetUser(cluster.Servers[:]...)
	at := &site{
		client: func(*testing.T) redis.UniversalClient {
			return clusterClient(cluster, redistest.User, redistest.Password)
		},
		outside: func(t *testing.T) redis.UniversalClient { return cluster.Client() },
		servers: cluster.Servers[:],
	}
	t.Run("suite", func(t *testing.T) {
		held(t, func(*testing.T) *site { return at })
	})
	own := *at
	own.alone = true
	t.Run("AKilledSubscriptionIsMadeAnew", func(t *testing.T) { testAKilledSubscriptionIsMadeAnew(t, &own) })
	t.Run("OneSubscriptionAPartition", func(t *testing.T) { testOneSubscriptionAPartition(t, &own) })
	t.Run("ASlotIsMoved", func(t *testing.T) { testASlotIsMoved(t, cluster, &own) })
	t.Run("ASilentSubscriptionIsMadeAnewAlone", func(t *testing.T) {
		chattest.NeedLong(t)
		testASilentSubscriptionIsMadeAnewAlone(t, cluster, &own)
	})
	t.Run("APrimaryDies", func(t *testing.T) {
		chattest.NeedLong(t)
		testAPrimaryDies(t, cluster, &own)
	})
}

func TestBehindSentinels(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, nil)
	client := func(t *testing.T) redis.UniversalClient {
		opts := redis.FailoverOptions{MasterName: redistest.MasterName, Protocol: 2, MaxRetries: -1, DisableIdentity: true, ContextTimeoutEnabled: true, PoolSize: 48, PipelinePoolSize: -1}
		for _, s := range sentinel.Sentinels {
			opts.SentinelAddrs = append(opts.SentinelAddrs, s.Addr)
		}
		return redis.NewFailoverClient(&opts)
	}
	held(t, func(*testing.T) *site { return &site{client: client, outside: client, servers: sentinel.Servers[:]} })
}

// clusterClient makes a client as a node has it.
func clusterClient(c *redistest.Cluster, user, password string) *redis.ClusterClient {
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{c.Servers[0].Addr, c.Servers[1].Addr}, Username: user, Password: password, Protocol: 2, DisableIdentity: true,
		DisableRoutingPolicies: true, ClusterStateReloadInterval: time.Second, ContextTimeoutEnabled: true, PipelinePoolSize: -1,
		DialTimeout: time.Second, ReadTimeout: 2 * time.Second, DialerRetries: 1,
	})
}

// single makes clients of one server.
func single(url string, trusting *tls.Config) func(t *testing.T) redis.UniversalClient {
	return func(t *testing.T) redis.UniversalClient { return newSingle(t, url, trusting) }
}

func newSingle(t testing.TB, url string, trusting *tls.Config) *redis.Client {
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	if trusting != nil {
		opts.TLSConfig = trusting
	}
	opts.MaxRetries, opts.Protocol, opts.DisableIdentity, opts.ContextTimeoutEnabled = -1, 2, true, true // as in the program
	opts.PoolSize, opts.PipelinePoolSize = 48, -1
	return redis.NewClient(opts)
}

// find lists the keys of the test that match a pattern, on all servers.
func (b *testBroker) find(t *testing.T, pattern string) []string {
	t.Helper()
	var mu sync.Mutex // guards found
	var found []string
	look := func(ctx context.Context, c *redis.Client) error {
		list, err := c.Keys(ctx, b.ns+pattern).Result()
		mu.Lock()
		defer mu.Unlock()
		found = append(found, list...)
		return err
	}
	var err error
	if c, ok := b.rdb.(*redis.ClusterClient); ok {
		err = c.ForEachMaster(t.Context(), look)
	} else {
		err = look(t.Context(), b.rdb.(*redis.Client))
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}
