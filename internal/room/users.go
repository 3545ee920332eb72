package room

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// A user may ask for more than it may say, since most commands cost little: the
// bucket for commands of all kinds is this many times the one for messages, but
// at least so large that a client in as many rooms as it may be can come back.
const (
	commandFactor   = 10
	minCommandRate  = 100
	minCommandBurst = 500
)

// Enter makes a connection one of the user's who claims a name. Exit must follow
// once.
func (h *Hub) Enter(ctx context.Context, m Member, c protocol.NameClaim) (*User, *protocol.Error) {
	h.mu.Lock()
	err := h.rules.admit(c.User)
	u := h.users[c.User]
	if u == nil {
		u = h.newUser(c)
		h.users[c.User] = u
	}
	u.conns++ // so that nobody releases the name meanwhile
	h.mu.Unlock()
	if err == nil {
		var failed error
		var now string
		if now, failed = h.broker.Claim(ctx, c); failed == nil {
			u.setClaimed(now, c.Name)
			h.mu.Lock()
			h.members[m] = u
			h.mu.Unlock()
			return u, nil
		}
		err = nameError(failed)
	}
	h.exit(u)
	return nil, err
}

func nameError(err error) *protocol.Error {
	if errors.Is(err, protocol.ErrNameTaken) {
		return protocol.ErrNameTaken
	}
	return protocol.ErrUnavailable
}

func (h *Hub) newUser(c protocol.NameClaim) *User {
	u := &User{ID: c.User, name: c.Name, shared: c.Shared}
	u.sends.tokens, u.commands.tokens = h.sends.burst, h.commands.burst
	return u
}

// Take counts a command of the given cost, and a message if it is one. When the
// user has asked for too much on this node it returns how long to wait, and
// counts nothing; else 0.
func (h *Hub) Take(u *User, cost int, message bool) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if wait := h.commands.wait(&u.commands, now, cost); wait > 0 {
		return wait
	}
	if message {
		if wait := h.sends.wait(&u.sends, now, 1); wait > 0 {
			return wait
		}
		u.sends.tokens--
	}
	u.commands.tokens -= float64(cost)
	return 0
}

// setClaimed takes the name that the claim left the user with; told is the one
// that its token tells.
func (u *User) setClaimed(name, told string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.renamed = u.renamed || name != told
	u.name = name
}

// Exit ends what Enter began. The member must have left its rooms.
func (h *Hub) Exit(m Member) {
	h.mu.Lock()
	u, ok := h.members[m]
	delete(h.members, m)
	h.mu.Unlock()
	if ok {
		h.exit(u)
	}
}

func (h *Hub) exit(u *User) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u.conns--
	if u.conns > 0 {
		return
	}
	delete(h.users, u.ID)
	h.releaseLocked(u)
}

// releaseLocked gives the user's name back, unless the user has come again.
// The order of claims and releases is kept by the lock and by the broker.
func (h *Hub) releaseLocked(u *User) {
	u.mu.Lock()
	renamed := u.renamed
	u.mu.Unlock()
	h.broker.Release(u.ID, renamed, func(err error) {
		if err == nil || h.ctx.Err() != nil {
			return
		}
		time.AfterFunc(presenceRetry, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.users[u.ID] == nil && h.ctx.Err() == nil {
				h.releaseLocked(u)
			}
		})
	})
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

// renamed tells the rooms in which the user is.
func (h *Hub) renamed(mark string, now protocol.User) {
	h.mu.Lock()
	u := h.users[now.ID]
	rooms := h.allLocked()
	h.mu.Unlock()
	if u != nil {
		u.setName(now.Name)
	}
	e := protocol.Renamed(now)
	for _, r := range rooms {
		r.renamed(mark, now, e)
	}
}

func (r *room) renamed(mark string, now protocol.User, e protocol.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, local := r.local[now.ID]
	_, present := r.present.users[now.ID]
	if !local && !present {
		return
	}
	if present {
		r.present.users[now.ID] = now.Name
	}
	if local {
		r.writePresenceLocked(now.ID)
	}
	r.broadcastLocked(e, func(m Member, _ *User) bool {
		own, ok := m.(Marked)
		return ok && mark != "" && own.Mark() == mark
	})
}

// typingEvery is how often others are told that somebody is typing.
const typingEvery = time.Second

// typedKept bounds the memory of who was told to be typing.
const typedKept = 1000

// Typing tells the others in the room that the member's user is typing.
func (h *Hub) Typing(ctx context.Context, m Member, name string) *protocol.Error {
	r := h.find(name)
	if r == nil {
		return protocol.ErrNotJoined
	}
	r.mu.Lock()
	u, ok := r.members[m]
	if !ok {
		r.mu.Unlock()
		return protocol.ErrNotJoined
	}
	if time.Since(r.typed[u.ID]) < typingEvery {
		r.mu.Unlock()
		return nil
	}
	if r.typed == nil || len(r.typed) > typedKept {
		r.typed = make(map[string]time.Time)
	}
	r.typed[u.ID] = time.Now()
	r.mu.Unlock()
	if h.broker.Typing(ctx, name, u.Public()) != nil {
		return protocol.ErrUnavailable
	}
	return nil
}

func (r *room) liveTyping(u protocol.User) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broadcastLocked(protocol.TypingIn(r.name, u), func(_ Member, to *User) bool { return to.ID == u.ID })
}

// reachable tells the members that Redis is lost, or, once every room has caught up,
// that it is back.
func (h *Hub) reachable(up bool) {
	h.mu.Lock()
	h.outages++
	turn := h.outages
	h.mu.Unlock()
	if !up {
		h.up.Store(false)
		h.tell(protocol.Status(false))
		return
	}
	h.work.Go(func() { h.comeBack(turn) }) // bounded by its deadline; Close waits for it
}

// catchUpAllTimeout bounds the catching up of all rooms before anybody is told
// that Redis is back; what lasts longer goes on behind it.
const catchUpAllTimeout = 30 * time.Second

func (h *Hub) comeBack(turn uint64) {
	ctx, cancel := context.WithTimeout(h.ctx, catchUpAllTimeout)
	defer cancel()
	h.loadRules()
	var all sync.WaitGroup
	for _, r := range h.all() {
		all.Go(func() { _ = r.log.catchUpNow(ctx) })
	}
	all.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.outages != turn || h.ctx.Err() != nil {
		return
	}
	if !h.up.Swap(true) {
		h.tellLocked(protocol.Status(true))
	}
}

func (h *Hub) tell(e protocol.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tellLocked(e)
}

func (h *Hub) tellLocked(e protocol.Event) {
	b := NewBroadcast(e)
	for m := range h.members {
		m.Deliver(b)
	}
}

// Up reports whether Redis is within reach, as members were told.
func (h *Hub) Up() bool { return h.up.Load() }

// Each calls f for every member; f must not block.
func (h *Hub) Each(f func(Member)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for m := range h.members {
		f(m)
	}
}

// lost writes again what this node had written about its users, which is gone.
func (h *Hub) lost() {
	h.mu.Lock()
	users := make([]*User, 0, len(h.users))
	for _, u := range h.users {
		users = append(users, u)
	}
	rooms := h.allLocked()
	h.mu.Unlock()
	for _, r := range rooms {
		r.rewrite()
	}
	h.work.Go(func() { h.reclaim(users) }) // ends with ctx; Close waits for it
}

// reclaim takes the users' names again. Somebody else may hold one by now, and
// keeps it: then the user gets another.
func (h *Hub) reclaim(users []*User) {
	for _, u := range users {
		for h.ctx.Err() == nil && h.reclaimOne(u) != nil {
			h.pause(presenceRetry)
		}
	}
}

func (h *Hub) reclaimOne(u *User) error {
	h.mu.Lock()
	gone := h.users[u.ID] != u
	h.mu.Unlock()
	if gone {
		return nil
	}
	ctx, cancel := context.WithTimeout(h.ctx, callTimeout)
	defer cancel()
	_, err := h.broker.Claim(ctx, protocol.NameClaim{User: u.ID, Name: u.Public().Name, Shared: u.shared})
	if errors.Is(err, protocol.ErrNameTaken) {
		_, err = h.broker.Rename(ctx, protocol.NameClaim{User: u.ID, Name: protocol.GuestName()}, "")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil && h.users[u.ID] == nil {
		h.releaseLocked(u) // it went while its name was claimed
	}
	return err
}
