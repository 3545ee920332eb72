// Package room holds the rooms that a node follows: who of its users is in
// them, the newest part of their logs, and the way of a message from its sender
// into the log and from the log to every member.
//
// It knows no transport and no Redis: connections are Members, and Redis is the
// Broker that it declares, which delivers to its Feed. What is published is only a hint to it; by the ids
// it sees what is missing, and reads the log.
//
// Locks: the hub's is taken before a room's, never the other way round. Members
// are handed events under the room's lock, which is what keeps them in order;
// so Member.Deliver must neither block nor call back.
package room

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"example.com/chat/internal/protocol"
)

// Member is one connection, as the hub sees it.
type Member interface {
	// Deliver hands an event over. It neither blocks nor fails: what the other
	// side does not take in time ends the connection.
	Deliver(*Broadcast)
	// Expel ends the connection because a moderator decided so.
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
	// Log takes what an operator should know.
	Log *slog.Logger
	// Jitter returns a random part of a wait; nil for one of its own. With one
	// that a seed decides, a simulated run can be repeated.
	Jitter func(time.Duration) time.Duration
}

// Bounds of what the hub does at once and keeps waiting. Their sum stays below
// the number of connections to Redis, so that one kind of work never starves
// another.
const (
	commitsAtOnce  = 24
	catchUpsAtOnce = 12
)

// Timings.
const (
	// auditEvery is how often the heads of the followed rooms are compared with
	// their logs, for the case that the last thing published was lost.
	auditEvery = 3 * time.Second
	// auditChunk is how many rooms are compared in one call.
	auditChunk = 100
	// idleRoom is how long a room without members is still followed.
	idleRoom = 15 * time.Second
	// callTimeout bounds one call of the broker that nobody waits for longer.
	callTimeout = 3 * time.Second
)

// Hub holds the rooms and users of one node.
type Hub struct {
	cfg     Config
	broker  Broker
	log     *slog.Logger
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	work    tasks
	commits chan struct{} // tickets for appending
	reads   chan struct{} // tickets for catching up
	// sends and commands bound what users say, and what they ask for in all.
	sends, commands pace

	backlogs struct { // the rooms in which each member has a backlog
		sync.Mutex // taken after a room's
		rooms      map[Member][]*room
	}

	failures failures    // to append, between two lines of the log
	up       atomic.Bool // Redis is within reach, as members were told

	counts counts
	traces traces

	mu      sync.Mutex // guards the fields below
	rooms   map[string]*room
	users   map[string]*User
	members map[Member]*User
	// leaving are the rooms that were let go and not given back yet, each with
	// what is closed then.
	leaving map[string]chan struct{}
	rules   rules
	spoken  map[string]time.Time // when each user said something last, in slow mode
	outages uint64               // counts Redis's comings and goings
	closed  bool
}

// User is somebody with at least one connection to this node.
type User struct {
	// ID never changes.
	ID string
	// shared tells that others may show the same name (protocol.NameClaim).
	shared bool

	conns int // guarded by the hub's lock

	mu       sync.Mutex // guards the fields below
	name     string
	renamed  bool   // since its token was made
	commands bucket // all that it asks for, by cost
	sends    bucket // what it says
}

// Public returns the user as others see it now.
func (u *User) Public() protocol.User {
	u.mu.Lock()
	defer u.mu.Unlock()
	return protocol.User{ID: u.ID, Name: u.name}
}

func (u *User) setName(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.renamed = u.renamed || u.name != name
	u.name = name
}

// New makes a Hub. Its Feed takes what the broker delivers.
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
		commits: make(chan struct{}, commitsAtOnce),
		reads:   make(chan struct{}, catchUpsAtOnce),
		rooms:   make(map[string]*room),
		users:   make(map[string]*User),
		members: make(map[Member]*User),
		leaving: make(map[string]chan struct{}),
	}
	h.backlogs.rooms = make(map[Member][]*room)
	if l := cfg.Limits; l.Rate > 0 {
		h.sends = pace{l.Rate, float64(l.Burst)}
		h.commands = pace{max(commandFactor*l.Rate, minCommandRate), float64(max(commandFactor*l.Burst, minCommandBurst))}
	}
	h.work.Go(h.tend) // ends with ctx; Close waits for it
	return h
}

// Close ends the hub's own work, after what is being appended is done or ctx
// is. Its members must be gone, or will hear nothing more.
func (h *Hub) Close(ctx context.Context) {
	h.mu.Lock()
	h.closed = true
	rooms := h.allLocked()
	h.mu.Unlock()
	for _, r := range rooms {
		r.drain(ctx)
	}
	h.cancel()
	h.work.end()
}

func (h *Hub) allLocked() []*room {
	list := make([]*room, 0, len(h.rooms))
	for _, r := range h.rooms {
		list = append(list, r)
	}
	return list
}

func (h *Hub) all() []*room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.allLocked()
}

// find returns the room when this node follows it.
func (h *Hub) find(name string) *room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rooms[name]
}

// follow returns the room, following it from now on if need be.
func (h *Hub) follow(name string) *room {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	if r == nil {
		r = newRoom(h, name, h.leaving[name])
		h.rooms[name] = r
		h.broker.Follow(name)
	}
	return r
}

// tend audits the rooms and lets go of those that nobody is in.
func (h *Hub) tend() {
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		}
		for _, r := range h.all() {
			h.letGo(r)
		}
		h.audit()
	}
}

// letGo stops following a room that has had no members for a while.
func (h *Hub) letGo(r *room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.leaving[r.name] != nil || len(r.members) > 0 || r.joining > 0 || len(r.queue) > 0 || r.committing || r.flushing || len(r.dirty) > 0 ||
		time.Since(r.emptySince) < idleRoom {
		return
	}
	r.closeLocked()
	delete(h.rooms, r.name)
	h.broker.Unfollow(r.name)
	done := make(chan struct{})
	h.leaving[r.name] = done
	h.work.Go(func() { h.giveBack(r.name, done) }) // one call; the end of the hub waits for it
}

// giveBack takes away what this node has written about a room that was let go.
// If it is followed again meanwhile, that room waits before it writes anew.
func (h *Hub) giveBack(name string, done chan struct{}) {
	ctx, cancel := context.WithTimeout(h.ctx, callTimeout)
	defer cancel()
	if err := h.broker.Vacate(ctx, h.broker.Instance(), name); err != nil {
		h.log.Warn("an empty room could not be given back", "room", name, "error", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	close(done)
	if h.leaving[name] == done {
		delete(h.leaving, name)
	}
}

// audit compares the heads of all followed rooms with their logs.
func (h *Hub) audit() {
	rooms := h.all()
	for len(rooms) > 0 && h.ctx.Err() == nil {
		n := min(len(rooms), auditChunk)
		chunk := rooms[:n]
		rooms = rooms[n:]
		names := make([]string, n)
		for i, r := range chunk {
			names[i] = r.name
		}
		ctx, cancel := context.WithTimeout(h.ctx, callTimeout)
		heads, err := h.broker.Heads(ctx, names)
		cancel()
		if err != nil {
			return // Redis is away, and every room catches up when it is back
		}
		for i, r := range chunk {
			r.log.compare(heads[i])
		}
	}
}
