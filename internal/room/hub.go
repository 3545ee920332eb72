// Package room is the hub of a node: the rooms that it follows, their members, and the
// way of a message from its sender into the room's log and from the log to every
// member.
//
// It knows no transport and no Redis: connections are Members, and Redis is the
// Broker that it declares, which delivers to its Feed. Live posts may be lost: each room
// drives a replica.Replica, which decides what is delivered and when the log is read.
//
// Locks: each struct's fields say what guards them, and ARCHITECTURE.md lists the
// orders. Members get events under their room's lock, which keeps them in order, so
// Member.Deliver must neither block nor call back. No lock is held during a call that
// waits for the Broker.
package room

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"example.com/chat/internal/protocol"
)

// Member is one connection, as the hub sees it.
type Member interface {
	// Deliver queues an event for the connection. It neither blocks, fails nor calls
	// back: if the other side does not read in time, the connection ends.
	Deliver(*Broadcast)
	// Expel ends the connection because a moderator decided so. It neither blocks nor
	// calls back.
	Expel(reason string)
}

// Config is what a Hub needs to know.
type Config struct {
	// Node is this node's id, which entries carry.
	Node string
	// Limits are the operator's bounds.
	Limits protocol.Limits
	// History is how many messages a room's log holds at most; 0 for any number.
	History int
	// Log receives what an operator should know.
	Log *slog.Logger
	// Jitter returns a random part of a wait; nil for one of its own. With one
	// that a seed decides, a simulated run can be repeated.
	Jitter func(time.Duration) time.Duration
}

// Bounds of the calls to the Broker that run at once. Their sum stays below the number
// of connections to Redis, so that one kind of work never starves another.
const (
	maxCommits = 24
	maxReads   = 12
)

// callTimeout bounds one call of the Broker that nobody waits for longer.
const callTimeout = 3 * time.Second

// Hub holds the rooms and users of one node. It is safe for concurrent use. Make one
// with New.
type Hub struct {
	cfg     Config
	broker  Broker
	log     *slog.Logger
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	work    tasks
	commits chan struct{} // a place for each append that may run at once
	reads   reads         // places for the other calls
	spare   spare         // memory for long recoveries

	rooms    registry
	users    users
	present  present
	backlogs backlogs
	failures failures

	counts counts
	traces traces
}

// New makes a Hub. The broker delivers to its Feed.
func New(cfg Config, broker Broker) *Hub {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.N[time.Duration]
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &Hub{
		cfg: cfg, broker: broker, log: cfg.Log, ctx: ctx, cancel: cancel,
		commits: make(chan struct{}, maxCommits),
	}
	h.reads = reads{hub: h, free: maxReads}
	h.spare.left = spareBytes
	h.rooms = registry{hub: h, followed: make(map[string]*room), leaving: make(map[string]chan struct{})}
	h.users = users{hub: h, online: make(map[string]*User), members: make(map[Member]*User), firstUp: make(chan struct{})}
	h.present.byUser = make(map[string]roomSet)
	h.backlogs = backlogs{hub: h, rooms: make(map[Member][]*room)}
	h.failures.hub = h
	h.work.Go(h.rooms.janitor) // ends with ctx; Close waits for it
	return h
}

// Close ends the hub's own work, after the appends that are under way, or when ctx
// ends. Members get nothing from then on.
func (h *Hub) Close(ctx context.Context) {
	for _, r := range h.rooms.all() {
		r.sends.drain(ctx)
	}
	h.cancel()
	h.work.end()
}

// beginRead waits for the place of a call until ctx ends. It returns a context for the
// call; done ends both.
func (h *Hub) beginRead(ctx context.Context) (call context.Context, done func(), err error) {
	p, err := h.reads.claim(ctx)
	if err != nil {
		return nil, nil, err
	}
	call, cancel := h.call()
	return call, func() { cancel(); p.release() }, nil
}

// call returns a context for one call of the Broker.
func (h *Hub) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(h.ctx, callTimeout)
}

// atMost bounds the number of messages to read by what the log of a room holds.
func (h *Hub) atMost(n int) int {
	if h.cfg.History > 0 {
		return min(n, h.cfg.History)
	}
	return n
}

// pause waits, or until the hub ends.
func (h *Hub) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.ctx.Done():
	}
}
