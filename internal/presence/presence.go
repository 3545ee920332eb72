// Package presence keeps which users are in one room: those that are connected to
// this node, and those that Redis lists for all nodes. It decides what has to be
// written to Redis, when the list has to be read, and which changes are
// announced. It has no clock, lock or I/O: times are parameters.
package presence

import (
	"time"

	"example.com/chat/internal/protocol"
)

// Changes are announced as one event per window. In a room with more users than a list
// holds, where each event goes to very many members, the window grows with their
// number up to windowMax, and an event names maxNamed of each kind at most: clients
// can't list all users of such a room anyway, and the count is always that of all.
const (
	window    = 200 * time.Millisecond
	windowMax = 2 * time.Second
	maxNamed  = 100
)

// writeBatch is how many changes of one room are written in one call.
const writeBatch = 500

// maxEarly bounds the changes that wait for a read of the list.
const maxEarly = 1000

// readEvery is how soon after a read the list is read again because it differs from
// what was published.
const readEvery = time.Second

// User is a user of this node.
type User interface {
	// Public returns the user as others see it now.
	Public() protocol.User
}

// Room holds the users of one room. Make one with New. It is not safe for concurrent
// use.
type Room struct {
	listed   map[string]string // id to name; nil until the first Replace
	local    map[string]*local
	unlisted int // users of local that are not in listed
	dirty    map[string]struct{}

	reading bool                     // the list is being read
	again   bool                     // and has to be read once more
	early   []protocol.PresenceDelta // changes that came meanwhile
	readAt  time.Time

	// before holds for each user that changed since the last Changes whether it was
	// listed then; gone holds the names of those that left. Both are nil without a
	// change.
	before map[string]bool
	gone   map[string]string

	in func(user string, in bool) // see New
}

// local is a user of this node in the room.
type local struct {
	user  User
	conns int
}

// New returns a room without users, whose list is not known. It calls in for each user that
// comes into the room, of this node or listed, and when the user is neither any more.
func New(in func(user string, in bool)) *Room {
	return &Room{local: make(map[string]*local), dirty: make(map[string]struct{}), in: in}
}

// Close removes all users. The room must not be used any more.
func (r *Room) Close() {
	for id := range r.listed {
		if r.local[id] == nil {
			r.in(id, false)
		}
	}
	for id := range r.local {
		r.in(id, false)
	}
}

// Enter adds a connection of a user of this node.
func (r *Room) Enter(u User) {
	id := u.Public().ID
	l := r.local[id]
	if l == nil {
		l = &local{user: u}
		r.local[id] = l
		if _, listed := r.listed[id]; !listed {
			r.unlisted++
			r.in(id, true)
		}
		r.dirty[id] = struct{}{}
	}
	l.conns++
}

// Leave removes a connection of a user that Enter added.
func (r *Room) Leave(id string) {
	l := r.local[id]
	if l == nil {
		return
	}
	if l.conns--; l.conns > 0 {
		return
	}
	delete(r.local, id)
	if _, listed := r.listed[id]; !listed {
		r.unlisted--
		r.in(id, false)
	}
	r.dirty[id] = struct{}{}
}

// Count returns the number of users.
func (r *Room) Count() int { return len(r.listed) + r.unlisted }

// Members lists the users in the room, protocol.MaxListed at most, and counts all. Its
// time does not depend on their number.
func (r *Room) Members() ([]protocol.User, int) {
	count := r.Count()
	list := make([]protocol.User, 0, min(count, protocol.MaxListed))
	for _, l := range r.local {
		if len(list) >= protocol.MaxListed {
			break
		}
		list = append(list, l.user.Public())
	}
	for id, name := range r.listed {
		if len(list) >= protocol.MaxListed {
			break
		}
		if r.local[id] == nil {
			list = append(list, protocol.User{ID: id, Name: name})
		}
	}
	return list, count
}

// Name returns the name of a listed user; "" if it is not listed.
func (r *Room) Name(id string) string { return r.listed[id] }

// Rename sets a user's new name. It reports whether the user is in the room.
func (r *Room) Rename(u protocol.User) bool {
	_, listed := r.listed[u.ID]
	if listed {
		r.listed[u.ID] = u.Name
	}
	here := r.local[u.ID] != nil
	if here {
		r.dirty[u.ID] = struct{}{}
	}
	return listed || here
}

// Dirty reports whether users of this node have to be written.
func (r *Room) Dirty() bool { return len(r.dirty) > 0 }

// Rewrite marks all users of this node as to be written.
func (r *Room) Rewrite() {
	for id := range r.local {
		r.dirty[id] = struct{}{}
	}
}

// Writes removes and returns the next changes to write, writeBatch at most; nil if there are none.
func (r *Room) Writes() []protocol.Change {
	if len(r.dirty) == 0 {
		return nil
	}
	changes := make([]protocol.Change, 0, min(len(r.dirty), writeBatch))
	for id := range r.dirty {
		if len(changes) == writeBatch {
			break
		}
		delete(r.dirty, id)
		c := protocol.Change{User: protocol.User{ID: id}}
		if l := r.local[id]; l != nil {
			c = protocol.Change{User: l.user.Public(), Here: true}
		}
		changes = append(changes, c)
	}
	return changes
}

// Unwritten marks changes that could not be written as to be written again.
func (r *Room) Unwritten(changes []protocol.Change) {
	for _, c := range changes {
		r.dirty[c.User.ID] = struct{}{}
	}
}

// Effects are what the owner has to do after a step.
type Effects struct {
	// Read is set if a read of the list became due. The owner passes its result to
	// Replace, until Settled.
	Read bool
	// Settled is set if the list is up to date.
	Settled bool
	// Announce is when Changes has to be called; 0 if that is not due, or was asked
	// for before.
	Announce time.Duration
}

// Known reports whether the list has been read.
func (r *Room) Known() bool { return r.listed != nil }

// Refresh makes a read of the list due. If one is running, another follows it.
func (r *Room) Refresh() Effects {
	if r.reading {
		r.again = true
		return Effects{}
	}
	r.reading = true
	return Effects{Read: true}
}

// Doubt makes a read of the list due, unless it has just been read: something that
// can't be decoded was published.
func (r *Room) Doubt(now time.Time) Effects {
	if r.listed == nil || now.Sub(r.readAt) <= readEvery {
		return Effects{}
	}
	return r.Refresh()
}

// Apply applies a change that was published. If the list is being read, the change waits
// for that.
func (r *Room) Apply(d protocol.PresenceDelta, now time.Time) Effects {
	if r.reading || r.listed == nil {
		if len(r.early) >= maxEarly {
			r.early, r.again = nil, true
			return Effects{}
		}
		r.early = append(r.early, d)
		return Effects{}
	}
	e := Effects{Announce: r.apply(d)}
	if d.Count != len(r.listed) && now.Sub(r.readAt) > readEvery {
		e.Read = r.Refresh().Read
	}
	return e
}

// Replace applies the list that was read, and then the changes that were published
// meanwhile.
func (r *Room) Replace(users []protocol.User, now time.Time) Effects {
	list := make(map[string]string, len(users))
	for _, u := range users {
		list[u.ID] = u.Name
	}
	if r.listed == nil {
		r.listed = list // members see these users in the replies to their joins
		for id := range list {
			if r.local[id] != nil {
				r.unlisted--
			} else {
				r.in(id, true)
			}
		}
	}
	var e Effects
	for id, name := range r.listed {
		if _, still := list[id]; !still {
			e.announce(r.left(id, name))
		}
	}
	for id, name := range list {
		e.announce(r.joined(id, name))
	}
	r.readAt = now
	early := r.early
	r.early = nil
	for _, d := range early {
		e.announce(r.apply(d))
	}
	e.Settled = !r.again
	r.reading, r.again = r.again, false
	return e
}

func (e *Effects) announce(after time.Duration) { e.Announce = max(e.Announce, after) }

func (r *Room) apply(d protocol.PresenceDelta) (announce time.Duration) {
	for _, u := range d.Joined {
		announce = max(announce, r.joined(u.ID, u.Name))
	}
	for _, u := range d.Left {
		announce = max(announce, r.left(u.ID, u.Name))
	}
	return announce
}

func (r *Room) joined(id, name string) (announce time.Duration) {
	_, was := r.listed[id]
	r.listed[id] = name
	if was {
		return 0
	}
	if r.local[id] != nil {
		r.unlisted--
	} else {
		r.in(id, true)
	}
	return r.changed(id, false)
}

func (r *Room) left(id, name string) (announce time.Duration) {
	if _, was := r.listed[id]; !was {
		return 0
	}
	delete(r.listed, id)
	if r.local[id] != nil {
		r.unlisted++
	} else {
		r.in(id, false)
	}
	announce = r.changed(id, true)
	r.gone[id] = name
	return announce
}

// changed records that a user joined or left. With the first change since Changes it
// returns when to announce it.
func (r *Room) changed(id string, was bool) (announce time.Duration) {
	if r.before == nil {
		r.before, r.gone = make(map[string]bool), make(map[string]string)
		announce = min(window*time.Duration(max(1, len(r.listed)/protocol.MaxListed)), windowMax)
	}
	if _, known := r.before[id]; !known {
		r.before[id] = was
	}
	return announce
}

// Changes removes and returns the changes since the last call: the users that joined and left, those
// that an event names, and how many are listed. changed is false if there is nothing to
// announce.
func (r *Room) Changes() (joined, left []protocol.User, count int, changed bool) {
	named := len(r.before)
	if len(r.listed) > protocol.MaxListed {
		named = maxNamed
	}
	for id, was := range r.before {
		name, is := r.listed[id]
		switch {
		case is && !was:
			changed = true
			if len(joined) < named {
				joined = append(joined, protocol.User{ID: id, Name: name})
			}
		case was && !is:
			changed = true
			if len(left) < named {
				left = append(left, protocol.User{ID: id, Name: r.gone[id]})
			}
		}
	}
	r.before, r.gone = nil, nil
	return joined, left, len(r.listed), changed
}
