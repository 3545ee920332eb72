package room

import (
	"context"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// room is one followed room.
type room struct {
	name string
	hub  *Hub

	mu      sync.Mutex // guards the fields below
	closed  bool
	members map[Member]*User
	// backlogs are of the members that are sent their entries in pieces.
	backlogs map[Member]*backlog
	joining  int // joins under way, which keep the room
	// emptySince is when the last member left, or the room was made.
	emptySince time.Time

	log   follower
	queue []submission // waiting to be appended
	// committing tells that the committer runs.
	committing bool
	idle       chan struct{} // closed when the committer ends; nil before the first
	expected   int64         // the newest seq that Redis told this node of
	watching   bool          // a timer waits for expected to arrive
	moved      chan struct{} // closed when the head moves; nil when nobody waits for that

	present mirror
	// vacated is closed when what this node had written about the room before
	// it was let go has been taken away; nil where there was nothing.
	vacated  <-chan struct{}
	local    map[string]*localUser
	unlisted int                 // users of local whom present does not hold
	dirty    map[string]struct{} // users whose presence has to be written
	flushing bool

	typed   map[string]time.Time // when each user was last told to be typing
	decided rulebook             // what moderators decided for the room
}

// localUser is a user of this node in one room.
type localUser struct {
	user  *User
	conns int
}

func newRoom(h *Hub, name string, vacated <-chan struct{}) *room {
	return &room{
		name: name, hub: h, vacated: vacated,
		members:    make(map[Member]*User),
		emptySince: time.Now(),
		local:      make(map[string]*localUser),
		dirty:      make(map[string]struct{}),
		log: follower{
			synced: make(chan struct{}),
			tail:   tail{keep: h.cfg.History}, messages: messages{keep: h.cfg.History},
		},
		present: mirror{loaded: make(chan struct{})},
	}
}

// closeLocked ends the room's life on this node.
func (r *room) closeLocked() {
	r.closed = true
	r.present.stop()
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

// Join makes the member one of the room's, and hands its answer to reply under
// the room's lock: so every later entry comes after it, and none of those in it
// comes again. Messages that the answer has no room for follow it (see backlog).
// It waits for the log where memory can't answer, at most as long
// as ctx.
func (h *Hub) Join(ctx context.Context, m Member, u *User, name string, after protocol.Cursor, reply func(protocol.Event)) *protocol.Error {
	if err := h.admits(u.ID); err != nil {
		return err
	}
	for {
		r, err := h.enter(ctx, name)
		if err != nil {
			return err
		}
		done, err := r.join(ctx, m, u, after, reply)
		r.leaveDoor()
		if done || err != nil {
			return err
		}
	}
}

// enter returns the room once its log is followed and it is known who is in it;
// the room is kept until
// leaveDoor.
func (h *Hub) enter(ctx context.Context, name string) (*room, *protocol.Error) {
	for {
		r := h.follow(name)
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			continue // it was let go just now; follow makes it anew
		}
		r.joining++
		synced, loaded := r.log.synced, r.present.loaded
		r.mu.Unlock()
		for _, known := range []chan struct{}{synced, loaded} {
			select {
			case <-known:
			case <-ctx.Done():
				r.leaveDoor()
				return nil, protocol.ErrUnavailable
			case <-h.ctx.Done():
				r.leaveDoor()
				return nil, protocol.ErrUnavailable
			}
		}
		return r, nil
	}
}

func (r *room) leaveDoor() {
	r.mu.Lock()
	r.joining--
	r.mu.Unlock()
}

// join tries once to answer from memory; done is false when something was read
// from the log in the meantime and it has to be tried again.
func (r *room) join(ctx context.Context, m Member, u *User, after protocol.Cursor, reply func(protocol.Event)) (done bool, failed *protocol.Error) {
	var l looked
	r.awaitAcknowledged(ctx)
	for {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return false, nil
		}
		if err := r.decided.rules.admit(u.ID); err != nil {
			r.mu.Unlock()
			return false, err
		}
		list, recovered, want := r.log.since(after, &l)
		if want == wantNothing {
			r.enterLocked(m, u)
			if after.Given {
				r.hub.counts.joined(recovered, &l)
			}
			members, count := r.membersLocked()
			first := r.splitJoinLocked(m, list, recovered)
			r.answerJoinLocked(u, func(rules []protocol.BindingRule) {
				reply(protocol.Joined(r.name, r.log.head, recovered, first, len(first) < len(list), members, count, rules))
			})
			if r.backlogs[m] != nil {
				r.hub.addBacklog(m, r)
			}
			r.mu.Unlock()
			return true, nil
		}
		r.mu.Unlock()
		var err error
		switch want {
		case wantNewer:
			err = r.catchUpNow(ctx)
			l = looked{caughtUp: true, filled: l.filled} // and look again
		case wantTail:
			err = r.extend(ctx)
		case wantOlder:
			err = r.readOlder(ctx, after.ID, &l)
		case wantMessages:
			err = r.fill(ctx, &l)
		}
		if err != nil {
			return false, protocol.ErrUnavailable
		}
	}
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
