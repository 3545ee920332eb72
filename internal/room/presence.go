package room

import (
	"time"

	"example.com/chat/internal/moderation"
	"example.com/chat/internal/presence"
	"example.com/chat/internal/protocol"
)

// presenceEvery is how soon after a write of a room's presence the next one follows:
// in a storm, users are written by room and not by user.
const presenceEvery = 100 * time.Millisecond

// presenceRetry is how long after a failure presence is written or read again.
const presenceRetry = time.Second

// roster keeps a room's presence.Room up to date: it writes this node's users, reads
// the list of all nodes' users, and announces changes to the members. Its fields are
// guarded by the room's lock.
type roster struct {
	room  *room
	users *presence.Room
	known chan struct{} // closed once the list has been read
	// vacated is closed when what this node had written about the room before it was
	// evicted has been removed; nil if there was nothing.
	vacated  <-chan struct{}
	flushing bool
	timer    *time.Timer // until the next announcement; nil without one
}

func newRoster(r *room, vacated <-chan struct{}) roster {
	return roster{room: r, users: presence.New(), known: make(chan struct{}), vacated: vacated}
}

// busyLocked reports whether something has to be written.
func (p *roster) busyLocked() bool { return p.flushing || p.users.Dirty() }

func (p *roster) stopLocked() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// doLocked does what follows from a step of the presence.Room.
func (p *roster) doLocked(e presence.Effects) {
	r := p.room
	if r.closed {
		return
	}
	if e.Announce > 0 {
		p.timer = time.AfterFunc(e.Announce, p.announce)
	}
	if e.Read {
		r.hub.work.Go(p.read) // ends when read, or with the hub, which waits for it
	}
}

// announce sends the changes since the last time to the members.
func (p *roster) announce() {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	p.timer = nil
	if joined, left, count, changed := p.users.Changes(); changed && !p.room.closed {
		p.room.broadcastLocked(protocol.Presence(p.room.name, joined, left, count), nil)
	}
}

// flushLocked starts writing this node's users, if something has to be written.
func (p *roster) flushLocked() {
	if !p.flushing && p.users.Dirty() {
		p.flushing = true
		p.room.hub.work.Go(p.flush) // ends when nothing is to be written
	}
}

// flush writes what changed, a batch a call: what changes during a call, or soon
// after it, is in the next one.
func (p *roster) flush() {
	for {
		changes := p.next()
		if changes == nil {
			return
		}
		if p.write(changes) != nil {
			p.failed(changes)
			time.AfterFunc(presenceRetry, p.retry)
			return
		}
		p.room.hub.pause(presenceEvery)
	}
}

// next returns what is to be written next; if nil, the flush ends.
func (p *roster) next() []protocol.Change {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	changes := p.users.Writes()
	p.flushing = changes != nil
	return changes
}

func (p *roster) failed(changes []protocol.Change) {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	p.users.Unwritten(changes)
	p.flushing = false
}

func (p *roster) retry() {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	if p.room.hub.ctx.Err() == nil {
		p.flushLocked()
	}
}

func (p *roster) write(changes []protocol.Change) error {
	h := p.room.hub
	if p.vacated != nil {
		select {
		case <-p.vacated:
		case <-h.ctx.Done():
		}
	}
	ctx, done, err := h.beginRead()
	if err != nil {
		return err
	}
	defer done()
	_, err = h.broker.Here(ctx, h.broker.Instance(), p.room.name, changes)
	return err
}

// refreshLocked schedules a read of the list.
func (p *roster) refreshLocked() {
	if !p.room.closed {
		p.doLocked(p.users.Refresh())
	}
}

// read reads the list and the room's rules until they are up to date.
func (p *roster) read() {
	for {
		users, rules, err := p.readOnce()
		if p.room.hub.ctx.Err() != nil {
			return
		}
		if err != nil {
			if p.room.isClosed() {
				return
			}
			p.room.hub.pause(presenceRetry)
			continue
		}
		if p.replace(users, rules) {
			return
		}
	}
}

func (p *roster) readOnce() ([]protocol.User, moderation.Rules, error) {
	h := p.room.hub
	ctx, done, err := h.beginRead()
	if err != nil {
		return nil, nil, err
	}
	defer done()
	users, err := h.broker.Present(ctx, p.room.name)
	if err != nil {
		return nil, nil, err
	}
	p.beginRules()
	rules, err := h.broker.Rules(ctx, p.room.name)
	return users, rules, err
}

// replace takes what was read. It reports whether the read is over.
func (p *roster) replace(users []protocol.User, rules moderation.Rules) bool {
	r := p.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return true
	}
	p.endRulesLocked(rules)
	first := !p.users.Known()
	e := p.users.Replace(users, time.Now())
	if first {
		close(p.known)
	}
	p.doLocked(e)
	return e.Settled
}

// apply takes a change that was published.
func (p *roster) apply(d protocol.PresenceDelta) {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	if !p.room.closed {
		p.doLocked(p.users.Apply(d, time.Now()))
	}
}

// rewrite writes all of this node's users again, since what was written is gone, and
// schedules reads of everything else.
func (r *room) rewrite() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.here.users.Rewrite()
	r.here.flushLocked()
	r.here.refreshLocked()
	r.log.refreshLocked()
}

// refresh schedules reads of the room's log and of its users.
func (r *room) refresh() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.refreshLocked()
	r.here.refreshLocked()
}

// doubt schedules reads of the room's log and of its users, because something that can't
// be decoded was published in it.
func (r *room) doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hub.log.Warn("something published in a room is not as nodes publish it: the log decides", "room", r.name)
	r.log.refreshLocked()
	r.here.doLocked(r.here.users.Doubt(time.Now()))
}

func (r *room) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}
