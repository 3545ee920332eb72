package room

import (
	"context"
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/replica"
)

// follower keeps a room's replica of the log up to date: it passes live posts to
// it, reads the log when that is due, and delivers the entries to the members. Its
// fields are guarded by the room's lock.
type follower struct {
	room    *room
	replica *replica.Replica
	memory  *replica.Memory // the replica's
	synced  chan struct{}   // closed once the log is known

	unchecked int             // bytes that were delivered since members' outboxes were looked at
	waiting   []chan struct{} // closed when the read is over
	moved     chan struct{}   // closed when the head moves; nil if nobody waits for that
	watching  bool            // a timer waits for acknowledged entries to come live
	overdue   chan struct{}   // closed when the read of entries that did not come live is over; nil before the first
}

func newFollower(r *room, keep int) *follower {
	log := replica.New(keep)
	return &follower{room: r, replica: log, memory: log.Memory(), synced: make(chan struct{})}
}

// readChunk is how many entries one read of the log returns at most.
const readChunk = 500

// firstRead is how many messages are read of a room that was not followed.
const firstRead = 100

// liveWithin is how long an entry that Redis has acknowledged to this node may
// take to come live before the log is read.
const liveWithin = 150 * time.Millisecond

// hear passes live entries to the replica; before is the predecessor of the first one.
func (f *follower) hear(before protocol.ID, list []protocol.Entry) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	if f.room.closed {
		return
	}
	for _, e := range list {
		f.doLocked(f.replica.Hear(replica.Post{After: before, Entry: e}, f.backpressuredLocked(len(e.Raw))))
		before = e.ID
	}
}

// doLocked does what follows from a step of the replica.
func (f *follower) doLocked(e replica.Effects) {
	r := f.room
	if e.Gap {
		r.hub.counts.logGaps.Add(1)
	}
	if e.Reset {
		f.resetLocked(e.ResetAt)
	}
	for _, target := range e.Erased {
		for _, b := range r.behind.backlogs {
			b.Erase(target)
		}
	}
	for _, entry := range e.Deliver {
		r.broadcastLocked(entry.Event(), r.behind.hasLocked)
		r.hub.traces.note(entry.Key, Delivered)
	}
	if e.Moved() {
		f.movedLocked()
	}
	if e.Read && !r.closed {
		r.hub.work.Go(f.catchUp) // ends when caught up, or with the hub, which waits for it
	}
	if e.Settled {
		f.wakeLocked()
	}
}

// resetLocked notifies the members that the log is another one. Their backlogs end, as
// they join again.
func (f *follower) resetLocked(head protocol.ID) {
	r := f.room
	clear(r.behind.backlogs)
	r.hub.counts.resets.Add(1)
	r.hub.counts.resetsSent.Add(int64(len(r.members)))
	r.hub.log.Warn("a room's log is no longer the one that was followed", "room", r.name, "head", head.String())
	r.broadcastLocked(protocol.Reset(r.name, head), nil)
}

// wakeLocked wakes those that wait for the end of the read.
func (f *follower) wakeLocked() {
	for _, done := range f.waiting {
		close(done)
	}
	f.waiting = nil
}

func (f *follower) movedLocked() {
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
	}
}

// refreshLocked schedules a read of the log. If one is running, another follows it.
func (f *follower) refreshLocked() {
	if !f.room.closed {
		f.doLocked(f.replica.Refresh())
	}
}

// compare schedules a read if the log's newest entry is not the one that was
// delivered last.
func (f *follower) compare(newest protocol.ID) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	if !f.room.closed {
		f.doLocked(f.replica.Compare(newest))
	}
}

// catchUpNow reads the log and waits until it is read. It returns nil without a read
// if the room is no longer followed.
func (f *follower) catchUpNow(ctx context.Context) error {
	done := f.await()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-f.room.hub.ctx.Done():
		return f.room.hub.ctx.Err()
	}
}

// await schedules a read, and returns what is closed at its end; nil if the room is no
// longer followed.
func (f *follower) await() <-chan struct{} {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	if f.room.closed {
		return nil
	}
	done := make(chan struct{})
	f.waiting = append(f.waiting, done)
	f.refreshLocked()
	return done
}

// catchUp reads the log until there is nothing more in it. A read that fails is
// repeated.
func (f *follower) catchUp() {
	h := f.room.hub
	wait := 50 * time.Millisecond
	for {
		over, err := f.readOn()
		if over || h.ctx.Err() != nil {
			return
		}
		if err != nil {
			h.pause(wait/2 + h.cfg.Jitter(wait))
			if h.ctx.Err() != nil {
				return
			}
			wait = min(2*wait, time.Second)
		}
	}
}

// readOn reads one piece of the log and delivers it. over is true if nothing is left to
// read, or the room is no longer followed.
func (f *follower) readOn() (over bool, err error) {
	at, closed := f.beginRead()
	if closed {
		return true, nil
	}
	p, err := f.readPiece(at)
	if err != nil {
		return false, err
	}
	if p.Found {
		f.deliverInTurns(p.Entries)
		p.Entries = nil
	}
	return f.read(p), nil
}

func (f *follower) beginRead() (at replica.Position, closed bool) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	return f.replica.BeginRead(), f.room.closed
}

// read passes a piece of the log to the replica. over is as readOn returns it.
func (f *follower) read(p replica.Piece) (over bool) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	first := !f.memory.Synced()
	e := f.replica.Read(p)
	if first && f.memory.Synced() {
		close(f.synced)
	}
	f.doLocked(e)
	return e.Settled || f.room.closed
}

// readPiece reads the log at a position; if the log does not hold that, or it is not
// known yet, its newest messages.
func (f *follower) readPiece(at replica.Position) (p replica.Piece, err error) {
	h, name := f.room.hub, f.room.name
	ctx, done, err := h.beginRead()
	if err != nil {
		return p, err
	}
	defer done()
	if at.Known {
		p.Entries, p.Found, p.More, err = h.broker.After(ctx, name, at.After, readChunk)
	}
	if err == nil && !p.Found {
		p.Newest, err = h.broker.Messages(ctx, name, protocol.ID{}, h.atMost(firstRead))
	}
	return p, err
}
