package room

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/ratelimit"
)

// User is a user with at least one connection to this node.
type User struct {
	// ID never changes.
	ID string
	// shared reports whether others may show the same name (protocol.NameClaim).
	shared bool
	budget *ratelimit.User

	conns int // guarded by users.mu

	mu      sync.Mutex // guards the fields below
	name    string
	renamed bool // since its token was made
}

// Public returns the user as others see it now.
func (u *User) Public() protocol.User {
	u.mu.Lock()
	defer u.mu.Unlock()
	return protocol.User{ID: u.ID, Name: u.name}
}

// Allow charges a command. If the user has sent too many on this node it charges
// nothing, and returns how long to wait; else 0.
func (u *User) Allow(command string) time.Duration { return u.budget.Allow(command, time.Now()) }

// setName sets the user's name.
func (u *User) setName(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.renamed = u.renamed || name != u.name
	u.name = name
}

// setClaimed sets the name that was claimed; token is the one that its token holds.
func (u *User) setClaimed(name, token string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.renamed = u.renamed || name != token
	u.name = name
}

func (u *User) wasRenamed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.renamed
}

// users holds the node's users and their connections, and what concerns all rooms.
type users struct {
	hub *Hub
	up  atomic.Bool // whether Redis can be reached, as members know it

	everywhere everywhere

	mu      sync.Mutex // guards the fields below
	online  map[string]*User
	members map[Member]*User
	changes uint64 // how often Redis was lost or came back
	wasUp   bool   // firstUp is closed

	firstUp chan struct{} // see Hub.FirstUp
}

// Enter adds a connection of a user, and claims the user's name. Exit must follow
// once.
func (h *Hub) Enter(ctx context.Context, m Member, c protocol.NameClaim) (*User, *protocol.Error) {
	u, err := h.users.hold(c)
	if err == nil {
		var failed error
		var now string
		if now, failed = h.broker.Claim(ctx, c); failed == nil {
			u.setClaimed(now, c.Name)
			h.users.add(m, u)
			return u, nil
		}
		err = nameError(failed)
	}
	h.users.exit(u)
	return nil, err
}

func nameError(err error) *protocol.Error {
	if errors.Is(err, protocol.ErrNameTaken) {
		return protocol.ErrNameTaken
	}
	return protocol.ErrUnavailable
}

// hold returns the user, new or not, and counts a connection, so that its name is not
// released meanwhile. It returns an error too if the user is banned.
func (l *users) hold(c protocol.NameClaim) (*User, *protocol.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.online[c.User]
	if u == nil {
		u = &User{ID: c.User, name: c.Name, shared: c.Shared, budget: ratelimit.NewUser(l.hub.cfg.Limits)}
		l.online[c.User] = u
	}
	u.conns++
	return u, l.admit(c.User)
}

func (l *users) add(m Member, u *User) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members[m] = u
}

func (l *users) find(id string) *User {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.online[id]
}

func (l *users) all() []*User {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*User, 0, len(l.online))
	for _, u := range l.online {
		list = append(list, u)
	}
	return list
}

func (l *users) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.online)
}

// Exit ends what Enter began. The member must have left its rooms.
func (h *Hub) Exit(m Member) {
	if u := h.users.remove(m); u != nil {
		h.users.exit(u)
	}
}

func (l *users) remove(m Member) *User {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.members[m]
	delete(l.members, m)
	return u
}

// exit removes a connection that hold counted.
func (l *users) exit(u *User) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u.conns--; u.conns > 0 {
		return
	}
	delete(l.online, u.ID)
	l.releaseLocked(u)
}

// releaseLocked releases the user's name, unless the user has come again. The lock and
// the broker keep the order of claims and releases.
func (l *users) releaseLocked(u *User) {
	h := l.hub
	h.broker.Release(u.ID, u.wasRenamed(), func(err error) {
		if err != nil && h.ctx.Err() == nil {
			time.AfterFunc(presenceRetry, func() { l.releaseGone(u) })
		}
	})
}

// releaseGone releases the name of a user without a connection.
func (l *users) releaseGone(u *User) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.online[u.ID] == nil && l.hub.ctx.Err() == nil {
		l.releaseLocked(u)
	}
}

// Rename gives the user another name, on all its connections; the member with
// the mark, which must not hold a newline, gets no event of it (see Marked).
func (h *Hub) Rename(ctx context.Context, u *User, name, mark string) (protocol.User, *protocol.Error) {
	now, err := h.broker.Rename(ctx, protocol.NameClaim{User: u.ID, Name: name, Shared: u.shared}, mark)
	if err != nil {
		return protocol.User{}, nameError(err)
	}
	u.setName(now)
	return protocol.User{ID: u.ID, Name: now}, nil
}

// Marked is a Member that can tell whether a rename was its own.
type Marked interface {
	// Mark returns what it gave to Rename; unique among all nodes.
	Mark() string
}

// renamed updates a user's name, and notifies the rooms that the user is in.
func (l *users) renamed(mark string, now protocol.User) {
	if u := l.find(now.ID); u != nil {
		u.setName(now.Name)
	}
	e := protocol.Renamed(now)
	for _, r := range l.hub.present.rooms(now.ID) {
		r.renamed(mark, now, e)
	}
}

func (r *room) renamed(mark string, now protocol.User, e protocol.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || !r.here.users.Rename(now) {
		return
	}
	r.here.flushLocked()
	r.broadcastLocked(e, func(m Member, _ *User) bool {
		own, ok := m.(Marked)
		return ok && mark != "" && own.Mark() == mark
	})
}

// reachable notifies the members that Redis is lost, or, once every room has caught up,
// that it is back.
func (l *users) reachable(up bool) {
	change := l.noteChange()
	if !up {
		l.up.Store(false)
		l.broadcast(protocol.Status(false))
		return
	}
	l.hub.work.Go(func() { l.recover(change) }) // bounded by its deadline; Close waits for it
}

func (l *users) noteChange() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes++
	return l.changes
}

// available reports whether Redis can be reached, and how often that has changed.
func (l *users) available() (up bool, changes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up.Load(), l.changes
}

// recoverTimeout bounds the wait for the rooms to catch up before the members learn
// that Redis is back. Rooms that take longer catch up after that.
const recoverTimeout = 30 * time.Second

func (l *users) recover(change uint64) {
	ctx, cancel := context.WithTimeout(l.hub.ctx, recoverTimeout)
	defer cancel()
	l.loadRules()
	l.catchUpAll(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changes == change && l.hub.ctx.Err() == nil && !l.up.Swap(true) {
		if !l.wasUp {
			l.wasUp = true
			close(l.firstUp)
		}
		l.broadcastLocked(protocol.Status(true))
	}
}

// catchUpAll waits until all rooms have caught up, or ctx ends.
func (l *users) catchUpAll(ctx context.Context) {
	var reads []<-chan struct{}
	for _, r := range l.hub.rooms.all() {
		reads = append(reads, r.log.await(false))
	}
	for _, done := range reads {
		if awaitRead(ctx, l.hub, done) != nil {
			return
		}
	}
}

func (l *users) broadcast(e protocol.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broadcastLocked(e)
}

func (l *users) broadcastLocked(e protocol.Event) {
	b := NewBroadcast(e)
	for m := range l.members {
		m.Deliver(b)
	}
}

// Up reports whether Redis can be reached, as members know it.
func (h *Hub) Up() bool { return h.users.up.Load() }

// FirstUp returns a channel that is closed when Up becomes true for the first time.
func (h *Hub) FirstUp() <-chan struct{} { return h.users.firstUp }

// Each calls f for every member; f must neither block nor call back.
func (h *Hub) Each(f func(Member)) {
	h.users.mu.Lock()
	defer h.users.mu.Unlock()
	for m := range h.users.members {
		f(m)
	}
}

// lost writes again what this node had written about its users, which is gone.
func (l *users) lost() {
	list := l.all()
	for _, r := range l.hub.rooms.all() {
		r.rewrite()
	}
	l.hub.work.Go(func() { l.reclaim(list) }) // ends with ctx; Close waits for it
}

// reclaim claims the users' names again. If another user holds one by now, that user
// keeps it, and ours gets another.
func (l *users) reclaim(list []*User) {
	for _, u := range list {
		for l.hub.ctx.Err() == nil && l.reclaimOne(u) != nil {
			l.hub.pause(presenceRetry)
		}
	}
}

func (l *users) reclaimOne(u *User) error {
	if l.find(u.ID) != u {
		return nil
	}
	h := l.hub
	ctx, cancel := context.WithTimeout(h.ctx, callTimeout)
	defer cancel()
	_, err := h.broker.Claim(ctx, protocol.NameClaim{User: u.ID, Name: u.Public().Name, Shared: u.shared})
	if errors.Is(err, protocol.ErrNameTaken) {
		_, err = h.broker.Rename(ctx, protocol.NameClaim{User: u.ID, Name: protocol.GuestName()}, "")
	}
	if err == nil {
		l.releaseGone(u) // if it left while its name was claimed
	}
	return err
}
