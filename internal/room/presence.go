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
	flushing bool        // a write is queued or under way, or a timer will queue one
	nextAt   time.Time   // when the next write may follow the last one
	timer    *time.Timer // until the next announcement; nil without one
	reading  *job        // the next read of the list
	writing  *job        // the next write
}

// init prepares the roster of a room.
func (p *roster) init(r *room, vacated <-chan struct{}) {
	in := func(user string, in bool) { r.hub.present.set(user, r, in) }
	*p = roster{room: r, users: presence.New(in), known: make(chan struct{}), vacated: vacated}
	p.reading, p.writing = &job{run: p.read}, &job{run: p.flush}
}

// busyLocked reports whether something has to be written.
func (p *roster) busyLocked() bool { return p.flushing || p.users.Dirty() }

func (p *roster) stopLocked() {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.users.Close()
}

// doLocked does what follows from a step of the presence.Room.
func (p *roster) doLocked(e presence.Effects) {
	r := p.room
	if r.closed {
		return
	}
	switch {
	case e.Announce == 0:
	case len(r.members) == 0:
		p.users.Changes() // there is nobody to announce them to
	default:
		p.timer = time.AfterFunc(e.Announce, p.announce)
	}
	if e.Read {
		r.hub.reads.add(p.reading, r.classLocked())
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
	if p.flushing || !p.users.Dirty() {
		return
	}
	p.flushing = true
	if time.Now().Before(p.nextAt) {
		p.room.hub.reads.addLater(p.writing, p.room.classLocked(), p.nextAt)
	} else {
		p.queueWriteLocked()
	}
}

// queueWriteLocked queues the next write, after what the node had written about the room
// before has been removed.
func (p *roster) queueWriteLocked() {
	h, c := p.room.hub, p.room.classLocked()
	select {
	case <-p.vacated:
	default:
		if p.vacated != nil {
			h.work.Go(func() { p.queueWriteLater(c) }) // of a room that was evicted just now; ends with the hub
			return
		}
	}
	h.reads.add(p.writing, c)
}

func (p *roster) queueWriteLater(c class) {
	select {
	case <-p.vacated:
		p.room.hub.reads.add(p.writing, c)
	case <-p.room.hub.ctx.Done():
	}
}

// flush writes what changed, a batch a call: what changes during a call, or soon
// after it, is in the next one.
func (p *roster) flush(*place) {
	changes := p.next()
	switch {
	case changes == nil:
	case p.write(changes) != nil:
		p.failed(changes)
		time.AfterFunc(presenceRetry, p.retry)
	default:
		p.wrote()
	}
}

// wrote ends a write, and schedules the next one if something has to be written.
func (p *roster) wrote() {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	p.flushing, p.nextAt = false, time.Now().Add(presenceEvery)
	if p.room.hub.ctx.Err() == nil {
		p.flushLocked()
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
	ctx, cancel := h.call()
	defer cancel()
	_, err := h.broker.Here(ctx, h.broker.Instance(), p.room.name, changes)
	return err
}

// refreshLocked schedules a read of the list.
func (p *roster) refreshLocked() {
	if !p.room.closed {
		p.doLocked(p.users.Refresh())
	}
}

// read reads the list and the room's rules, and schedules another read unless they are up to
// date.
func (p *roster) read(*place) {
	users, rules, err := p.readOnce()
	switch {
	case err != nil:
		time.AfterFunc(presenceRetry, p.readAgain)
	case !p.replace(users, rules):
		p.readAgain()
	}
}

func (p *roster) readAgain() {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	if !p.room.closed && p.room.hub.ctx.Err() == nil {
		p.room.hub.reads.add(p.reading, p.room.classLocked())
	}
}

func (p *roster) readOnce() ([]protocol.User, moderation.Rules, error) {
	h := p.room.hub
	ctx, cancel := h.call()
	defer cancel()
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
