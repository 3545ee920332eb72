package room

import (
	"context"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/replica"
)

// room is one followed room.
type room struct {
	name string
	hub  *Hub

	mu      sync.Mutex // guards the fields below
	closed  bool
	members map[Member]*User
	// backlogs are those of the members that get their entries in pieces.
	backlogs map[Member]*replica.Backlog
	joining  int // joins under way, which keep the room
	// emptySince is when the last member left, or the room was made.
	emptySince time.Time

	log   follower
	queue []submission // waiting to be appended
	// committing tells that the committer runs.
	committing bool
	idle       chan struct{} // closed when the committer ends; nil before the first

	present mirror
	// vacated is closed when what this node had written about the room before
	// it was let go has been taken away; nil where there was nothing.
	vacated  <-chan struct{}
	local    map[string]*localUser
	unlisted int                 // users of local whom present does not hold
	dirty    map[string]struct{} // users whose presence has to be written
	flushing bool

	typed map[string]time.Time // when each user was last told to be typing
	rules rules
	// spoken is when each user said something last, in slow mode.
	spoken map[string]time.Time
}

// localUser is a user of this node in one room.
type localUser struct {
	user  *User
	conns int
}

func newRoom(h *Hub, name string, vacated <-chan struct{}) *room {
	r := &room{
		name: name, hub: h, vacated: vacated,
		members:    make(map[Member]*User),
		emptySince: time.Now(),
		local:      make(map[string]*localUser),
		dirty:      make(map[string]struct{}),
		backlogs:   make(map[Member]*replica.Backlog),
		present:    mirror{loaded: make(chan struct{})},
	}
	r.log = newFollower(r, h.cfg.History)
	return r
}

// closeLocked ends the room's life on this node.
func (r *room) closeLocked() {
	r.closed = true
	r.present.stop()
	r.log.wakeLocked()
}

// broadcastLocked hands an event to every member but except, which may be nil.
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
	if err := h.admits(name, u); err != nil {
		return err
	}
	for {
		r, err := h.enter(ctx, name)
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
// leaveDoor.
func (h *Hub) enter(ctx context.Context, name string) (*room, *protocol.Error) {
	for {
		r := h.follow(name)
		if !r.hold() {
			continue // it was evicted just now; follow makes it anew
		}
		for _, known := range []<-chan struct{}{r.log.synced, r.present.loaded} {
			select {
			case <-known:
				continue
			case <-ctx.Done():
			case <-h.ctx.Done():
			}
			r.leaveDoor()
			return nil, protocol.ErrUnavailable
		}
		return r, nil
	}
}

// hold keeps the room followed until leaveDoor. It returns false if it is not followed
// any more.
func (r *room) hold() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.joining++
	return true
}

func (r *room) leaveDoor() {
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
// is no longer followed. It ends what enter began.
func (r *room) join(ctx context.Context, j *joining) (done bool, failed *protocol.Error) {
	defer r.leaveDoor()
	r.log.awaitAcknowledged(ctx)
	for {
		need, done, err := r.tryJoin(j)
		if need == replica.NeedNothing {
			return done, err
		}
		if r.log.readFor(ctx, need, j.after.ID, &j.lookup) != nil {
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
	if err := r.rules.admit(j.u.ID); err != nil {
		return replica.NeedNothing, false, err
	}
	a := r.log.replica.Answer(j.after, &j.lookup)
	if a.Need != replica.NeedNothing {
		return a.Need, false, nil
	}
	r.enterLocked(j.m, j.u)
	if j.after.Given {
		r.hub.counts.joined(a.Recovered, j.lookup.FromLog())
	}
	members, count := r.membersLocked()
	first, b := r.log.replica.Split(a, joinSize(j.m))
	if b == nil {
		delete(r.backlogs, j.m)
	} else {
		r.backlogs[j.m] = b
	}
	j.reply(protocol.Joined(r.name, r.log.replica.Head(), a.Recovered, first, b != nil, members, count))
	if b != nil {
		r.hub.addBacklog(j.m, r)
	}
	return replica.NeedNothing, true, nil
}

func (r *room) enterLocked(m Member, u *User) {
	if _, again := r.members[m]; again {
		return
	}
	r.members[m] = u
	l := r.local[u.ID]
	if l == nil {
		l = &localUser{user: u}
		r.local[u.ID] = l
		if _, listed := r.present.users[u.ID]; !listed {
			r.unlisted++
		}
		r.writePresenceLocked(u.ID)
	}
	l.conns++
}

// Leave takes the member out of the room.
func (h *Hub) Leave(m Member, name string) {
	if r := h.find(name); r != nil {
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
	delete(r.backlogs, m)
	if len(r.members) == 0 {
		r.emptySince = time.Now()
	}
	l := r.local[u.ID]
	l.conns--
	if l.conns == 0 {
		delete(r.local, u.ID)
		if _, listed := r.present.users[u.ID]; !listed {
			r.unlisted--
		}
		r.writePresenceLocked(u.ID)
	}
}

// Members lists who is in the room, protocol.MaxListed at most, and how many
// there are.
func (h *Hub) Members(name string) ([]protocol.User, int) {
	r := h.find(name)
	if r == nil {
		return nil, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.membersLocked()
}
