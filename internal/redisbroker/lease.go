package redisbroker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/chat/internal/cluster"
)

// healthEvery is how often the state of the connections to Redis is checked.
const healthEvery = 100 * time.Millisecond

// reapers bounds how many rooms of a dead instance are cleared at once.
const reapers = 8

// errLost means that the lease ended before it was renewed.
var errLost = errors.New("the lease was lost")

// Run keeps the subscriptions, their probes and the lease until ctx is done, and delivers to
// the listener what arrives. It is called once.
func (b *Broker) Run(ctx context.Context, listener cluster.Listener) {
	b.listener = listener
	var all sync.WaitGroup
	all.Go(func() { b.subs.run(ctx) })
	all.Go(func() { b.beatLoop(ctx) })
	all.Go(func() { b.healthLoop(ctx) })
	all.Wait()
}

// Ready returns nil while this node holds its lease and receives its own probes through
// Redis; otherwise the reason.
func (b *core) Ready() error { return b.health.reason() }

// Probe returns the last probe that this node received through Redis; with several
// subscriptions, that of the one in the worst state.
func (b *core) Probe() cluster.Probe { return b.health.probe() }

// Hurry triggers an immediate heartbeat. It does not wait for it.
func (b *core) Hurry() {
	select {
	case b.beatNow <- struct{}{}:
	default:
	}
}

// healthLoop reports outages of Redis, and their ends, until ctx is done.
func (b *Broker) healthLoop(ctx context.Context) {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if up, changed, ended := b.health.changed(); changed {
			b.logOutage(up, ended)
			b.listener.Reachable(up)
		}
	}
}

// logOutage logs the beginning of an outage, and its end with its length. Failures of the
// same reason in between are logged at level debug.
func (b *Broker) logOutage(up bool, ended outage) {
	switch after := ended.lasted.Round(time.Millisecond); {
	case !up:
		b.log.Error("this node can't use redis", "error", b.health.reason())
	case ended.lost:
		b.log.Warn("this node can use redis again; its lease was lost, and its users are written anew", "after", after)
	case after > 0:
		b.log.Warn("this node can use redis again", "after", after)
	}
}

// quietly returns the log level of failures that may belong to an outage: debug during one.
func (b *core) quietly() slog.Level {
	if b.health.bad() {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// beatLoop sends heartbeats until ctx is done: one every beatEvery, and others at Hurry. After
// the loss of a lease it continues as another instance.
func (b *Broker) beatLoop(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	first := true
	// owed is true if what this node wrote may be gone and the listener was not notified:
	// a heartbeat without an answer may have been executed, so the next one may find a
	// lease whose beginning this node has not seen.
	owed := false
	var old []string // instances whose lease was lost
	var trials sync.WaitGroup
	defer trials.Wait()
	for {
		err := b.beat(ctx, first)
		if errors.Is(err, errLost) {
			b.counts.leasesLost.Add(1)
			if !b.health.leaseLost() {
				b.log.Warn("this node's lease was lost; writing its users anew", "instance", b.Instance())
			}
			if len(old) < oldInstances {
				old = append(old, b.Instance())
			}
			b.newInstance()
			owed = true
			err = b.beat(ctx, true)
		}
		switch {
		case !holds(err):
			owed = owed || first
		case owed:
			b.reshareSecret(ctx)
			b.Log.directory.forget()
			b.listener.Lost()
			b.reapSoon(old) // other nodes may no longer list them
			owed, old = false, nil
			first = false
		default:
			first = false
		}
		b.health.setBeat(err)
		if b.trying.CompareAndSwap(false, true) {
			trials.Go(func() { // ends by its own deadlines; the loop's end waits for it
				defer b.trying.Store(false)
				b.tryAgain(ctx)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-b.beatNow:
		}
	}
}

// oldInstances bounds how many of its lost instances a node remembers until it holds a
// lease again. Other nodes remove what these left, too.
const oldInstances = 16

// holds reports whether a heartbeat that ended with err renewed the lease.
func holds(err error) bool { return err == nil || errors.Is(err, errReplicas) }

// reshareSecret writes the tokens' secret again if Redis has lost it.
func (b *Broker) reshareSecret(ctx context.Context) {
	b.mu.Lock()
	known := b.secret != nil
	b.mu.Unlock()
	if !known {
		return
	}
	if _, err := b.Secret(ctx); err != nil {
		b.log.Log(ctx, b.quietly(), "the tokens' secret could not be shared again", "error", err)
	}
}

// beat renews the lease and records the live nodes. Replicas that must confirm appends must
// confirm the lease too, so the node notices if they don't.
func (b *Broker) beat(ctx context.Context, first bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*beatEvery)
	defer cancel()
	info, err := json.Marshal(b.cfg.Node)
	if err != nil {
		return fmt.Errorf("describe this node: %w", err)
	}
	mode := ""
	if first {
		mode = "new"
	}
	own := b.instance.Load()
	keys := []string{b.keys.cluster("nodes"), b.keys.cluster("info")}
	cmd := b.runConfirmed(ctx, leaseScript, keys, own.id, leaseFor.Milliseconds(), info, mode,
		b.keys.news(), b.publishCommand(), forgetAfter.Milliseconds(), own.writes.Load(), b.ownStatus())
	reply, err := cmd.Slice()
	if err != nil && !errors.Is(err, errReplicas) {
		return b.plainly(ctx, err)
	}
	if err != nil { // the lease is held nevertheless
		reply, _ = cmd.Val().([]any)
	}
	if len(reply)%rowWidth != headWidth {
		return errReply
	}
	if reply[0] != int64(1) {
		return errLost
	}
	own.counted(reply[1])
	now, _ := reply[2].(int64)
	all := split(reply[headWidth:], now)
	b.setStatuses(all.statuses)
	b.setLive(all.live, all.twins(b.cfg.Node, b.began(now)))
	b.reapSoon(all.dead)
	return err
}

// plainly returns Redis's own reason if the refusal of a long command hides it: before the
// password Redis accepts no command of more than ten arguments, and reports a protocol
// error (processMultibulkBuffer in its networking.c).
func (b *Broker) plainly(ctx context.Context, err error) error {
	if !isReply(err) || !strings.Contains(err.Error(), "unauthenticated") {
		return err
	}
	if plain := b.rdb.Ping(ctx).Err(); plain != nil {
		return plain
	}
	return err
}

// reapSoon runs reapAll in a goroutine of its own, unless one is running.
func (b *Broker) reapSoon(dead []string) {
	if len(dead) > 0 && b.reaping.CompareAndSwap(false, true) {
		go b.reapAll(dead) // ends by its own deadline; nobody waits for it
	}
}

// reapAll removes what dead instances left. Every node does this; it is idempotent. Dead
// instances stay listed for forgetAfter, so it is repeated in case one of them wakes up
// and writes something late.
func (b *Broker) reapAll(dead []string) {
	defer b.reaping.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), leaseFor)
	defer cancel()
	for _, instance := range dead {
		if err := b.reap(ctx, instance); err != nil {
			b.log.Log(ctx, b.quietly(), "what a dead node left could not be cleared; trying again", "instance", instance, "error", err)
		}
	}
}

// reap removes the presence and the names that an instance wrote.
func (b *Broker) reap(ctx context.Context, instance string) error {
	rooms, err := b.rdb.SMembers(ctx, b.keys.cluster("rooms:"+instance)).Result()
	if err != nil {
		return err
	}
	held, err := b.rdb.SMembers(ctx, b.keys.cluster("held:"+instance)).Result()
	if err != nil {
		return err
	}
	var (
		work    sync.WaitGroup
		mu      sync.Mutex // guards failed
		failed  error
		tickets = make(chan struct{}, reapers)
	)
	for _, room := range rooms {
		tickets <- struct{}{}
		work.Go(func() {
			defer func() { <-tickets }()
			if err := b.Vacate(ctx, instance, room); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	work.Wait()
	for users := range slices.Chunk(held, 128) {
		ops := make([]nameOp, len(users))
		for i, user := range users {
			ops[i] = nameOp{what: "release", user: user, extra: "keep"}
		}
		if _, err := b.nameCall(ctx, instance, ops); err != nil {
			return err
		}
	}
	return failed
}

// Leave removes all that this node wrote about itself and its users, and notifies the
// cluster. It is called after Run has returned.
func (b *Broker) Leave(ctx context.Context) error {
	instance := b.Instance()
	if err := b.reap(ctx, instance); err != nil {
		return err
	}
	if err := b.Log.directory.flushNow(ctx); err != nil {
		return err
	}
	pipe := b.rdb.Pipeline()
	pipe.ZRem(ctx, b.keys.cluster("nodes"), instance)
	pipe.HDel(ctx, b.keys.cluster("info"), instance, instance+"#", instance+"@")
	_ = b.publish(ctx, pipe, b.keys.news(), string(lineNodes)) // queued
	_, err := pipe.Exec(ctx)
	return err
}
