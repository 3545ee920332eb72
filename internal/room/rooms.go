package room

import (
	"context"
	"sync"
	"time"
)

// Timings of the janitor.
const (
	// auditEvery is how often the heads of the followed rooms are compared with
	// their logs, in case the last post was lost.
	auditEvery = 3 * time.Second
	// auditChunk is how many rooms are compared in one call.
	auditChunk = 100
	// idleRoom is how long a room without members is still followed.
	idleRoom = 15 * time.Second
)

// registry holds the rooms that the node follows.
type registry struct {
	hub *Hub

	mu       sync.Mutex // guards the fields below; taken before a room's
	followed map[string]*room
	// leaving holds the rooms that were evicted and are not released yet, each with
	// what is closed then.
	leaving map[string]chan struct{}
}

func (g *registry) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.followed)
}

func (g *registry) all() []*room {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]*room, 0, len(g.followed))
	for _, r := range g.followed {
		list = append(list, r)
	}
	return list
}

// find returns a room that this node follows, else nil.
func (g *registry) find(name string) *room {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.followed[name]
}

// follow returns a room, and follows it from now on.
func (g *registry) follow(name string) *room {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.followed[name]
	if r == nil {
		r = newRoom(g.hub, name, g.leaving[name])
		g.followed[name] = r
		g.hub.broker.Follow(name)
	}
	return r
}

// janitor audits the rooms and evicts those without members.
func (g *registry) janitor() {
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for {
		select {
		case <-g.hub.ctx.Done():
			return
		case <-tick.C:
		}
		for _, r := range g.all() {
			g.evict(r)
		}
		g.audit()
	}
}

// evict stops following a room that has had no members for a while.
func (g *registry) evict(r *room) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leaving[r.name] != nil || !r.close() {
		return
	}
	delete(g.followed, r.name)
	g.hub.broker.Unfollow(r.name)
	done := make(chan struct{})
	g.leaving[r.name] = done
	g.hub.work.Go(func() { g.release(r.name, done) }) // one call; the end of the hub waits for it
}

// release removes what this node has written about a room that was evicted. If the room
// is followed again meanwhile, it waits for that before it writes anew.
func (g *registry) release(name string, done chan struct{}) {
	ctx, cancel := context.WithTimeout(g.hub.ctx, callTimeout)
	defer cancel()
	if err := g.hub.broker.Vacate(ctx, g.hub.broker.Instance(), name); err != nil {
		g.hub.log.Warn("an empty room could not be released", "room", name, "error", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	close(done)
	if g.leaving[name] == done {
		delete(g.leaving, name)
	}
}

// audit compares the heads of all followed rooms with their logs.
func (g *registry) audit() {
	rooms := g.all()
	for len(rooms) > 0 && g.hub.ctx.Err() == nil {
		n := min(len(rooms), auditChunk)
		if !g.auditSome(rooms[:n]) {
			return // Redis is away, and every room catches up when it is back
		}
		rooms = rooms[n:]
	}
}

func (g *registry) auditSome(rooms []*room) bool {
	names := make([]string, len(rooms))
	for i, r := range rooms {
		names[i] = r.name
	}
	ctx, cancel := context.WithTimeout(g.hub.ctx, callTimeout)
	defer cancel()
	heads, err := g.hub.broker.Heads(ctx, names)
	if err != nil || len(heads) != len(rooms) {
		return false
	}
	for i, r := range rooms {
		r.log.compare(heads[i])
	}
	return true
}
