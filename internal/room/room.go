package room

import (
	"context"
	"sync"
	"time"

	"example.com/chat/internal/moderation"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/replica"
)

// room is one followed room.
type room struct {
	name string
	hub  *Hub

	mu      sync.Mutex // guards the fields below, and those of behind, log, answers, sends and here
	closed  bool       // it is not followed any more
	audited bool       // an audit contained it
	members map[Member]*User
	behind  behind // members that get their entries in pieces
	joining int    // joins under way, which keep the room followed
	// emptySince is when the last member left, or the room was made.
	emptySince time.Time
	typists    typists
	rules      moderation.Book

	log     *follower
	answers answerer
	sends   committer
	here    roster
}

func newRoom(h *Hub, name string, vacated <-chan struct{}) *room {
	r := &room{
		name: name, hub: h,
		members:    make(map[Member]*User),
		emptySince: time.Now(),
	}
	r.behind = behind{room: r, backlogs: make(map[Member]*replica.Backlog)}
	r.log = newFollower(r, h.cfg.History)
	r.answers.log = r.log
	r.sends = committer{room: r}
	r.here.init(r, vacated)
	return r
}

// close ends the room's life on this node, if it has had no members for a while and
// nothing is under way in it.
func (r *room) close() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.members) > 0 || r.joining > 0 || r.sends.busyLocked() || r.here.busyLocked() || time.Since(r.emptySince) < idleRoom {
		return false
	}
	r.closeLocked()
	return true
}

func (r *room) closeLocked() {
	r.closed = true
	r.answers.settleLocked()
	r.here.stopLocked()
	r.log.wakeLocked()
}

// broadcastLocked delivers an event to every member but those that except reports; it
// may be nil.
func (r *room) broadcastLocked(e protocol.Event, except func(Member, *User) bool) {
	if len(r.members) == 0 {
		return
	}
	b := NewBroadcast(e)
	frames := int64(0)
	for m, u := range r.members {
		if except == nil || !except(m, u) {
			m.Deliver(b)
			frames++
		}
	}
	r.hub.counts.frames.Add(frames)
	r.hub.counts.bytes.Add(frames * int64(len(e.Body)))
}

// Join makes the member one of the room's, and passes its answer to reply under
// the room's lock: so every later entry comes after it, and none of those in it
// comes again. Messages that do not fit into the answer follow it (see
// replica.Backlog). If memory can't answer it waits for reads of the log, until ctx
// ends.
func (h *Hub) Join(ctx context.Context, m Member, u *User, name string, after protocol.Cursor, reply func(protocol.Event)) *protocol.Error {
	if err := h.users.admit(u.ID); err != nil {
		return err
	}
	for {
		r, err := h.rooms.enter(ctx, name)
		if err != nil {
			return err
		}
		done, err := r.join(ctx, &joining{m, u, after, reply, replica.Lookup{}})
		if done || err != nil {
			return err
		}
	}
}

// enter returns the room once its log and its users are known. It stays followed until
// unhold.
func (g *registry) enter(ctx context.Context, name string) (*room, *protocol.Error) {
	for {
		r := g.follow(name)
		if !r.hold() {
			continue // it was evicted just now; follow makes it anew
		}
		for _, known := range []<-chan struct{}{r.log.synced, r.here.known} {
			select {
			case <-known:
				continue
			case <-ctx.Done():
			case <-g.hub.ctx.Done():
			}
			r.unhold()
			return nil, protocol.ErrUnavailable
		}
		return r, nil
	}
}

// hold keeps the room followed until unhold. It returns false if it is not followed any
// more.
func (r *room) hold() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.joining++
	if !r.log.memory.Synced() || !r.here.users.Known() {
		r.hub.reads.raise(r.log.job, classAwaited)
		r.hub.reads.raise(r.here.reading, classAwaited)
	}
	return true
}

func (r *room) unhold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joining--
}

// joining is a join under way.
type joining struct {
	m      Member
	u      *User
	after  protocol.Cursor
	reply  func(protocol.Event)
	lookup replica.Lookup
}

// join answers from memory, and reads the log if memory can't. done is false if the room
// is no longer followed. It ends with unhold.
func (r *room) join(ctx context.Context, j *joining) (done bool, failed *protocol.Error) {
	defer r.unhold()
	r.log.awaitAcknowledged(ctx)
	for {
		need, done, err := r.tryJoin(j)
		if need == replica.NeedNothing {
			return done, err
		}
		if r.answers.readFor(ctx, need, j.after.ID, &j.lookup) != nil {
			return false, protocol.ErrUnavailable
		}
	}
}

// tryJoin answers from memory, unless something has to be read first.
func (r *room) tryJoin(j *joining) (need replica.Need, done bool, failed *protocol.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return replica.NeedNothing, false, nil
	}
	if err := r.rules.Admit(j.u.ID, time.Now()); err != nil {
		return replica.NeedNothing, false, err
	}
	a := r.log.memory.Answer(j.after, &j.lookup)
	if a.Need != replica.NeedNothing {
		return a.Need, false, nil
	}
	r.enterLocked(j.m, j.u)
	if j.after.Given {
		r.hub.counts.joined(a.Recovered, j.lookup.FromLog())
		r.answers.usedLocked(j.after.ID.Seq)
	}
	members, count := r.here.users.Members()
	first, b := r.log.memory.Split(a, joinSize(j.m))
	if b == nil {
		delete(r.behind.backlogs, j.m)
	} else {
		r.behind.backlogs[j.m] = b
	}
	r.bindingLocked(j.u, func(rules []protocol.BindingRule) {
		j.reply(protocol.Joined(r.name, r.log.memory.Head(), a.Recovered, first, b != nil, members, count, rules))
	})
	if b != nil {
		r.hub.backlogs.add(j.m, r)
	}
	return replica.NeedNothing, true, nil
}

func (r *room) enterLocked(m Member, u *User) {
	if _, again := r.members[m]; again {
		return
	}
	r.members[m] = u
	r.here.users.Enter(u)
	r.here.flushLocked()
}

// Leave removes the member from the room.
func (h *Hub) Leave(m Member, name string) {
	if r := h.rooms.find(name); r != nil {
		r.leave(m)
	}
}

func (r *room) leave(m Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.members[m]
	if !ok {
		return
	}
	delete(r.members, m)
	delete(r.behind.backlogs, m)
	if len(r.members) == 0 {
		r.emptySince = time.Now()
	}
	r.here.users.Leave(u.ID)
	r.here.flushLocked()
}

// Members lists the users in the room, protocol.MaxListed at most, and counts all.
func (h *Hub) Members(name string) ([]protocol.User, int) {
	r := h.rooms.find(name)
	if r == nil {
		return nil, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.here.users.Members()
}
