// Package redisbroker is all communication of the chat with Redis: rooms' logs, their
// live channels, presence, the names in use, and the cluster's nodes.
//
// The log is authoritative. Live posts, which are published, are fast, but may be lost,
// late or repeated: their receivers compare ids, and read the log where these don't fit.
//
// Every call takes a context and ends with it. A call that fails may have been executed
// or not. The caller can repeat it, since all calls that write are idempotent. Errors are
// Redis's own or the network's. A Broker may be used by any number of goroutines.
package redisbroker

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// Timings of the lease and the probe; each is well below the next.
const (
	// beatEvery is how often the lease is renewed and the probe sent.
	beatEvery = time.Second
	// probeLost is how long a subscription may receive no probe before it counts as
	// dead.
	probeLost = 3 * time.Second
	// replicasWithin is how long replicas may take to confirm what was written.
	replicasWithin = time.Second
	// leaseFor is how long a lease holds without renewal.
	leaseFor = 6 * time.Second
	// forgetAfter is how long a dead instance stays listed, so that its late writes are
	// removed too.
	forgetAfter = time.Minute
)

// Config configures a Broker.
type Config struct {
	// Client is the connection to Redis; the Broker does not close it. With a
	// *redis.ClusterClient the Broker publishes sharded.
	Client redis.UniversalClient
	// Namespace is the prefix of every key and channel.
	Namespace string
	// History is how many entries a room's log keeps.
	History int
	// Replicas is how many of Redis's replicas must confirm an entry before it counts as
	// appended.
	Replicas int
	// Node describes the node to the others.
	Node cluster.NodeInfo
	// Status returns the node's status. It is called before each heartbeat; nil if the
	// node writes none.
	Status func() cluster.Status
	// Log gets messages for the operator.
	Log *slog.Logger
	// Jitter returns a random part of a wait; nil for one of its own. With one
	// that a seed decides, a simulated run can be repeated.
	Jitter func(time.Duration) time.Duration
}

// core is shared by all roles of a Broker: the connection to Redis, and its health.
type core struct {
	cfg      Config
	rdb      redis.UniversalClient
	cluster  *redis.ClusterClient // rdb if it is a Redis Cluster, else nil
	keys     keyspace
	log      *slog.Logger
	listener cluster.Listener // set by Run

	instance atomic.Pointer[instance]
	health   health
	counts   counts
	trying   atomic.Bool   // a trial is running
	beatNow  chan struct{} // triggers a heartbeat
}

// Broker is one node's connection to Redis: the roles that rooms need, the directory of
// rooms, and the node's own membership of the cluster.
type Broker struct {
	*core
	*Log
	*Subscriber
	*Presence
	*Names
	*Rulebook
	*Directory

	reaping atomic.Bool

	mu       sync.Mutex // guards the fields below
	secret   []byte
	live     []cluster.NodeInfo
	twins    []cluster.NodeInfo // see Twins
	start    int64              // see began
	statuses map[string]seen    // by the nodes' ids
}

// Log appends to rooms' logs and reads them (room.Log).
type Log struct {
	*core
	directory *directory
	moves     moves
}

// Subscriber subscribes to what is published in rooms, and publishes who is typing
// (room.Subscriber).
type Subscriber struct {
	*core
	subs *subscriptionManager
}

// Presence writes and reads who is in which room (room.Presence).
type Presence struct {
	*core
	directory *directory
	slots     atomic.Bool // Redis refuses scripts with keys of two slots
}

// Rulebook keeps moderators' decisions (room.Rulebook).
type Rulebook struct{ *core }

// New makes a Broker, and checks that its Redis answers, accepts the client and supports
// streams, and on a Redis Cluster sharded Pub/Sub.
func New(ctx context.Context, cfg Config) (*Broker, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Jitter == nil {
		cfg.Jitter = mathrand.N[time.Duration]
	}
	c := &core{cfg: cfg, rdb: cfg.Client, keys: keyspace{cfg.Namespace, databaseOf(cfg.Client)}, log: cfg.Log, beatNow: make(chan struct{}, 1)}
	c.cluster, _ = cfg.Client.(*redis.ClusterClient)
	c.newInstance()
	notes := newDirectory(c)
	b := &Broker{
		core: c, Log: &Log{core: c, directory: notes}, Subscriber: &Subscriber{c, newSubscriptionManager(c)}, Presence: &Presence{core: c, directory: notes}, Names: newNames(c),
		Rulebook: &Rulebook{c}, Directory: &Directory{core: c, notes: notes},
	}
	if err := Check(ctx, cfg.Client, cfg.Namespace); err != nil {
		return nil, err
	}
	if err := b.publish(ctx, b.rdb, b.keys.probe(mainTag, cfg.Node.ID), ""); err != nil {
		return nil, err
	}
	b.warnOfEviction(ctx)
	return b, b.countReplicas(ctx)
}

// Check checks that a Redis answers, accepts the client, supports streams and accepts
// writes. It changes nothing there. Its errors are Redis's own or the network's.
func Check(ctx context.Context, client redis.UniversalClient, namespace string) error {
	keys := keyspace{prefix: namespace}
	if err := client.Ping(ctx).Err(); err != nil {
		return err
	}
	// Keys of many slots: a node of a Redis Cluster that is used as a single Redis
	// redirects some of them.
	for i := range 12 {
		if err := client.XLen(ctx, keys.tagged(strconv.Itoa(i), "log:probe")).Err(); err != nil {
			return err
		}
	}
	// A write that never changes anything: a Redis that accepts no writes refuses it, as
	// a replica does.
	err := client.Do(ctx, "set", keys.nothing(mainTag), "", "xx").Err()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// warnOfEviction warns if Redis evicts keys of the chat when it is full: logs, or the
// keys that identify repeats. Only the allkeys policies do, as no key of the chat has a
// TTL. It does not warn if Redis does not answer INFO.
func (b *core) warnOfEviction(ctx context.Context) {
	info, err := b.rdb.InfoMap(ctx, "memory").Result()
	if err != nil {
		return
	}
	memory := info["Memory"]
	if policy := memory["maxmemory_policy"]; memory["maxmemory"] != "0" && strings.HasPrefix(policy, "allkeys-") {
		b.log.Warn("this redis evicts rooms when it is full: set its maxmemory-policy to noeviction, or to one that begins with volatile-", "policy", policy)
	}
}

// databaseOf returns the number of the database that a client uses. A Redis
// Cluster has none but 0.
func databaseOf(client redis.UniversalClient) int {
	if c, ok := client.(*redis.Client); ok {
		return c.Options().DB
	}
	return 0
}

// instance is the identity of a node between two losses of its lease.
type instance struct {
	id string
	// writes is the number of writes counted by Redis, as of its last reply. If Redis later
	// has a lower count, a failover has lost some.
	writes atomic.Int64
}

// counted records the count in a script's reply.
func (i *instance) counted(reply any) {
	n, _ := reply.(int64)
	for {
		old := i.writes.Load()
		if n <= old || i.writes.CompareAndSwap(old, n) {
			return
		}
	}
}

// newInstance gives this node a new identity for its lease. Other nodes remove what it
// wrote under the old one.
func (b *core) newInstance() {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	b.instance.Store(&instance{id: b.cfg.Node.ID + "~" + hex.EncodeToString(random[:])})
}

// Instance returns the identity under which this node holds its lease now.
func (b *core) Instance() string { return b.instance.Load().id }

// secretBytes is the length of a secret that nodes make themselves.
const secretBytes = 32

// Secret returns the key that signs guests' tokens. All nodes share the one in Redis,
// which the first node made.
func (b *Broker) Secret(ctx context.Context) ([]byte, error) {
	b.mu.Lock()
	mine := b.secret
	b.mu.Unlock()
	if mine == nil {
		mine = make([]byte, secretBytes)
		_, _ = rand.Read(mine) // never fails (crypto/rand)
	}
	key := b.keys.cluster("secret")
	if err := b.rdb.SetNX(ctx, key, base64.StdEncoding.EncodeToString(mine), 0).Err(); err != nil {
		return nil, fmt.Errorf("share the tokens' secret: %w", err)
	}
	text, err := b.rdb.Get(ctx, key).Result()
	if err != nil {
		return nil, fmt.Errorf("read the tokens' secret: %w", err)
	}
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(secret) < secretBytes {
		return nil, fmt.Errorf("the tokens' secret in %s is damaged: delete the key", key)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.secret = secret
	return secret, nil
}

// Room returns the roles of the Broker that rooms need.
func (b *Broker) Room() room.Broker {
	return room.Broker{Log: b.Log, Subscriber: b.Subscriber, Presence: b.Presence, Names: b.Names, Rulebook: b.Rulebook}
}

// Typing publishes that the user is typing in the room.
func (b *Subscriber) Typing(ctx context.Context, room string, user protocol.User) error {
	return b.publish(ctx, b.rdb, b.keys.live(room), encodeTyping(user))
}

// Follow subscribes to the room; room.Feed.Following reports when that is confirmed. It
// does not wait.
func (b *Subscriber) Follow(room string) { b.subs.want(b.keys.live(room), true) }

// Unfollow ends the subscription. It does not wait.
func (b *Subscriber) Unfollow(room string) { b.subs.want(b.keys.live(room), false) }

// errReply means that a script's reply has an unexpected shape.
var errReply = errors.New("redis answered in an unexpected shape")
