package room

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// Timings of the janitor.
const (
	// auditEvery is how often the rooms whose logs have moved compare their heads with
	// these, in case the last post was lost.
	auditEvery = 3 * time.Second
	// auditChunk is how many rooms are compared in one call.
	auditChunk = 100
	// releaseBatch is how many evicted rooms are released in one call.
	releaseBatch = 32
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
	// evicted are those of leaving that are released next.
	evicted   []string
	releasing bool // releaseAll runs

	// unsure holds the rooms whose comparison with their logs failed; used by the janitor
	// alone.
	unsure map[*room]struct{}
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
		g.release()
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
	g.leaving[r.name] = make(chan struct{})
	g.evicted = append(g.evicted, r.name)
}

// release starts to remove what this node has written about the rooms that were evicted,
// unless that goes on already. If a room is followed again meanwhile, it waits for that
// before it writes anew.
func (g *registry) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.releasing && len(g.evicted) > 0 {
		g.releasing = true
		g.hub.work.Go(g.releaseAll) // ends when there are no more, or with the hub, which waits for it
	}
}

func (g *registry) releaseAll() {
	for {
		names := g.toRelease()
		if names == nil {
			return
		}
		if err := g.vacate(names); err != nil {
			g.hub.log.Warn("empty rooms could not be released", "rooms", len(names), "first", names[0], "error", err)
		}
		g.released(names)
	}
}

// toRelease returns the next rooms to release; nil if there are none, which ends releaseAll.
func (g *registry) toRelease() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.evicted), releaseBatch)
	if g.releasing = n > 0 && g.hub.ctx.Err() == nil; !g.releasing {
		return nil
	}
	names := g.evicted[:n:n]
	g.evicted = g.evicted[n:]
	return names
}

func (g *registry) vacate(names []string) error {
	ctx, done, err := g.hub.beginRead(g.hub.ctx)
	if err != nil {
		return err
	}
	defer done()
	return g.hub.broker.Vacate(ctx, g.hub.broker.Instance(), names...)
}

func (g *registry) released(names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		close(g.leaving[name])
		delete(g.leaving, name)
	}
}

// audit compares the heads of rooms with their logs: of those whose logs may have moved,
// that were not audited before, or whose last comparison failed. Only the janitor calls it.
func (g *registry) audit() {
	known, due := g.auditable()
	names, err := g.moved(known)
	if err != nil {
		g.unsure = due
		return // Redis is away, and every room catches up when it is back
	}
	for _, name := range names {
		if r := g.find(name); r != nil {
			due[r] = struct{}{}
		}
	}
	g.unsure = nil
	rooms := slices.Collect(maps.Keys(due))
	for len(rooms) > 0 {
		n := min(len(rooms), auditChunk)
		if !g.auditSome(rooms[:n]) {
			g.unsure = make(map[*room]struct{}, len(rooms))
			for _, r := range rooms {
				g.unsure[r] = struct{}{}
			}
			return // as above
		}
		rooms = rooms[n:]
	}
}

// auditable returns the rooms whose logs are known with their heads, and those of them that
// are compared in any case.
func (g *registry) auditable() (known []protocol.RoomHead, due map[*room]struct{}) {
	rooms := g.all()
	known, due = make([]protocol.RoomHead, 0, len(rooms)), make(map[*room]struct{})
	for _, r := range rooms {
		head, first, ok := r.auditable()
		if !ok {
			continue
		}
		known = append(known, protocol.RoomHead{Room: r.name, Head: head})
		if _, unsure := g.unsure[r]; unsure || first {
			due[r] = struct{}{}
		}
	}
	return known, due
}

// auditable returns the room's head, and whether this is its first audit; ok is false if
// its log is not known yet.
func (r *room) auditable() (head protocol.ID, first, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.log.memory.Synced() {
		return protocol.ID{}, false, false
	}
	first, r.audited = !r.audited, true
	return r.log.memory.Head(), first, true
}

// moved returns the rooms whose logs may have another head.
func (g *registry) moved(known []protocol.RoomHead) ([]string, error) {
	if len(known) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(g.hub.ctx, callTimeout)
	defer cancel()
	return g.hub.broker.Moved(ctx, known)
}

func (g *registry) auditSome(rooms []*room) bool {
	names := make([]string, len(rooms))
	for i, r := range rooms {
		names[i] = r.name
	}
	ctx, done, err := g.hub.beginRead(g.hub.ctx)
	if err != nil {
		return false
	}
	defer done()
	heads, err := g.hub.broker.Heads(ctx, names)
	if err != nil || len(heads) != len(rooms) {
		return false
	}
	for i, r := range rooms {
		r.log.compare(heads[i])
	}
	return true
}
