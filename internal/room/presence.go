package room

import (
	"time"

	"example.com/chat/internal/protocol"
)

// Presence leaves as one event for what changed within presenceWindow; in a
// room with more members than a list holds, where every event goes to very
// many, the window grows with them up to presenceWindowMax, and an event names
// presenceNamed of each at most: such a room's clients can't list all anyway,
// and the count is always that of all.
const (
	presenceWindow    = 200 * time.Millisecond
	presenceWindowMax = 2 * time.Second
	presenceNamed     = 100
)

// presenceEvery is how long after a write of a room's presence the next one comes
// at the soonest: in a storm, users are written by room and not by user.
const presenceEvery = 100 * time.Millisecond

// presenceBatch is how many changes of one room are written in one call.
const presenceBatch = 500

// presenceRetry is how long after a failure presence is written again.
const presenceRetry = time.Second

// maxEarlyDeltas bounds the changes kept while the room's presence is read.
const maxEarlyDeltas = 1000

// mirror is who is in the room on all nodes, as Redis has it. It is used under
// its room's lock.
type mirror struct {
	users  map[string]string // id to name
	loaded chan struct{}     // closed once users is known
	// loading tells that users is being read, again that it has to be once
	// more; deltas that come meanwhile wait in early.
	loading, again bool
	early          []protocol.PresenceDelta
	loadedAt       time.Time

	// before is whether each user that changed since the last event had been
	// here then, and gone the name of those that went.
	before map[string]bool
	gone   map[string]string
	timer  *time.Timer
}

func (p *mirror) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// membersLocked lists who is here: those that Redis tells of and this node's
// own, who may not have got there yet. It takes no longer in a room of thousands
// than in one of protocol.MaxListed, as thousands may join at once.
func (r *room) membersLocked() ([]protocol.User, int) {
	count := len(r.present.users) + r.unlisted
	list := make([]protocol.User, 0, min(count, protocol.MaxListed))
	for _, l := range r.local {
		if len(list) >= protocol.MaxListed {
			break
		}
		list = append(list, l.user.Public())
	}
	for id, name := range r.present.users {
		if len(list) >= protocol.MaxListed {
			break
		}
		if _, mine := r.local[id]; !mine {
			list = append(list, protocol.User{ID: id, Name: name})
		}
	}
	return list, count
}

// writePresenceLocked has Redis told whether the user is here on this node.
func (r *room) writePresenceLocked(user string) {
	r.dirty[user] = struct{}{}
	if !r.flushing {
		r.flushing = true
		r.hub.work.Go(r.flushPresence) // ends when nothing is to be written
	}
}

// flushPresence writes what changed, a batch a call: what changes while a call
// is under way, or soon after, goes in the next.
func (r *room) flushPresence() {
	for {
		changes := r.presenceChanges()
		if changes == nil {
			return
		}
		err := r.writePresence(changes)
		if err == nil {
			r.hub.pause(presenceEvery)
			continue
		}
		r.mu.Lock()
		for _, c := range changes {
			r.dirty[c.User.ID] = struct{}{}
		}
		r.flushing = false
		r.mu.Unlock()
		time.AfterFunc(presenceRetry, r.retryPresence)
		return
	}
}

func (r *room) retryPresence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.dirty) > 0 && !r.flushing && r.hub.ctx.Err() == nil {
		r.flushing = true
		r.hub.work.Go(r.flushPresence)
	}
}

func (r *room) writePresence(changes []protocol.Change) error {
	if r.vacated != nil {
		select {
		case <-r.vacated:
		case <-r.hub.ctx.Done():
		}
	}
	ctx, done, err := r.hub.beginRead()
	if err != nil {
		return err
	}
	defer done()
	_, err = r.hub.broker.Here(ctx, r.hub.broker.Instance(), r.name, changes)
	return err
}

func (r *room) presenceChanges() []protocol.Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.dirty) == 0 {
		r.flushing = false
		return nil
	}
	changes := make([]protocol.Change, 0, min(len(r.dirty), presenceBatch))
	for id := range r.dirty {
		if len(changes) == presenceBatch {
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

// loadPresenceLocked has the mirror read anew.
func (r *room) loadPresenceLocked() {
	p := &r.present
	if r.closed {
		return
	}
	if p.loading {
		p.again = true
		return
	}
	p.loading = true
	r.hub.work.Go(r.loadPresence) // ends when read, or with the hub, which waits for it
}

func (r *room) loadPresence() {
	for {
		users, rules, err := r.readPresence()
		r.mu.Lock()
		switch {
		case r.closed || r.hub.ctx.Err() != nil:
			r.mu.Unlock()
			return
		case err == nil:
			r.rules = rules
			r.replaceLocked(users)
			if !r.present.again {
				r.present.loading = false
				r.mu.Unlock()
				return
			}
			r.present.again = false
		}
		r.mu.Unlock()
		if err != nil {
			r.hub.pause(presenceRetry)
		}
	}
}

func (r *room) readPresence() ([]protocol.User, rules, error) {
	ctx, done, err := r.hub.beginRead()
	if err != nil {
		return nil, nil, err
	}
	defer done()
	users, err := r.hub.broker.Present(ctx, r.name)
	if err != nil {
		return nil, nil, err
	}
	list, err := r.hub.broker.Rules(ctx, r.name)
	return users, list, err
}

// replaceLocked takes what was read for the mirror, and what came meanwhile on
// top of it.
func (r *room) replaceLocked(users []protocol.User) {
	p := &r.present
	now := make(map[string]string, len(users))
	for _, u := range users {
		now[u.ID] = u.Name
	}
	for id, name := range p.users {
		if _, still := now[id]; !still {
			r.goneLocked(id, name)
		}
	}
	if p.users == nil {
		p.users = now // those who join see them in the answer
		for id := range r.local {
			if _, listed := now[id]; listed {
				r.unlisted--
			}
		}
		close(p.loaded)
	}
	for id, name := range now {
		r.hereLocked(id, name)
	}
	p.loadedAt = time.Now()
	early := p.early
	p.early = nil
	for _, d := range early {
		r.applyLocked(d)
	}
}

// livePresence applies a change that was published, once the mirror is read.
func (r *room) livePresence(d protocol.PresenceDelta) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &r.present
	if p.loading || p.users == nil {
		if len(p.early) >= maxEarlyDeltas {
			p.early, p.again = nil, true
			return
		}
		p.early = append(p.early, d)
		return
	}
	r.applyLocked(d)
	if d.Count != len(p.users) && time.Since(p.loadedAt) > presenceRetry {
		r.loadPresenceLocked()
	}
}

func (r *room) applyLocked(d protocol.PresenceDelta) {
	for _, u := range d.Joined {
		r.hereLocked(u.ID, u.Name)
	}
	for _, u := range d.Left {
		r.goneLocked(u.ID, u.Name)
	}
}

func (r *room) hereLocked(id, name string) {
	p := &r.present
	_, was := p.users[id]
	p.users[id] = name
	if !was {
		if r.local[id] != nil {
			r.unlisted--
		}
		r.changedLocked(id, false)
	}
}

func (r *room) goneLocked(id, name string) {
	p := &r.present
	if _, was := p.users[id]; was {
		delete(p.users, id)
		if r.local[id] != nil {
			r.unlisted++
		}
		r.changedLocked(id, true)
		p.gone[id] = name
	}
}

func (r *room) changedLocked(id string, was bool) {
	p := &r.present
	if p.before == nil {
		p.before, p.gone = make(map[string]bool), make(map[string]string)
		window := presenceWindow * time.Duration(max(1, len(r.present.users)/protocol.MaxListed))
		p.timer = time.AfterFunc(min(window, presenceWindowMax), r.tellPresence)
	}
	if _, known := p.before[id]; !known {
		p.before[id] = was
	}
}

// tellPresence hands the members what changed since the last time.
func (r *room) tellPresence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &r.present
	named := len(p.before)
	if len(p.users) > protocol.MaxListed {
		named = presenceNamed
	}
	var joined, left []protocol.User
	changed := false
	for id, was := range p.before {
		name, is := p.users[id]
		switch {
		case is && !was:
			changed = true
			if len(joined) < named {
				joined = append(joined, protocol.User{ID: id, Name: name})
			}
		case was && !is:
			changed = true
			if len(left) < named {
				left = append(left, protocol.User{ID: id, Name: p.gone[id]})
			}
		}
	}
	p.before, p.gone, p.timer = nil, nil, nil
	if changed && !r.closed {
		r.broadcastLocked(protocol.Presence(r.name, joined, left, len(p.users)), nil)
	}
}

// rewrite has all of this node's users in the room written anew, for what was
// written is gone.
func (r *room) rewrite() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.local {
		r.writePresenceLocked(id)
	}
	r.loadPresenceLocked()
	r.log.refreshLocked()
}
