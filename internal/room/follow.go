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

	job    *job          // the next read of the log
	urgent bool          // somebody waits for the read
	retry  time.Duration // how long after a failed read the next one follows

	pause     *time.Timer // until a failed read is repeated; nil if none is
	pauseEnds time.Time   // when pause fires
	hurried   time.Time   // when the last pause ends, or ended, that hurryLocked has shortened

	unchecked int             // bytes that were delivered since members' outboxes were looked at
	waiting   []chan struct{} // closed when the next read has come to the log's end
	served    []chan struct{} // the same for the read that runs
	moved     chan struct{}   // closed when the head moves; nil if nobody waits for that
	watching  bool            // a timer waits for acknowledged entries to come live
	overdue   chan struct{}   // closed when the read of entries that did not come live is over; nil before the first

	overdueSeq int64 // the newest entry that overdue is for
}

func newFollower(r *room, keep int) *follower {
	log := replica.New(keep)
	f := &follower{room: r, replica: log, memory: log.Memory(), synced: make(chan struct{}), retry: retryMin}
	f.job = &job{run: f.catchUp}
	return f
}

// A read of the log that fails is repeated, at first soon.
const (
	retryMin = 50 * time.Millisecond
	retryMax = time.Second
)

// urgentEvery is how often a read that fails is repeated at most because somebody waits for it,
// in place of at the end of its pause: so joins during an outage cause few reads.
const urgentEvery = 250 * time.Millisecond

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
		f.hurryLocked()
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
		f.queueLocked()
	}
	if e.End {
		f.urgent = len(f.waiting) > 0 && f.urgent
		wake(f.served)
		f.served = nil
	}
}

// resetLocked notifies the members that the log is another one. Their backlogs end, as
// they join again.
func (f *follower) resetLocked(head protocol.ID) {
	r := f.room
	clear(r.behind.backlogs)
	r.answers.settleLocked()
	r.hub.counts.resets.Add(1)
	r.hub.counts.resetsSent.Add(int64(len(r.members)))
	r.hub.log.Warn("a room's log is no longer the one that was followed", "room", r.name, "head", head.String())
	r.broadcastLocked(protocol.Reset(r.name, head), nil)
}

// wakeLocked wakes all that wait for a read.
func (f *follower) wakeLocked() {
	wake(f.served)
	wake(f.waiting)
	f.served, f.waiting = nil, nil
}

func wake(list []chan struct{}) {
	for _, done := range list {
		close(done)
	}
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

// catchUpNow reads the log and waits until that read is over, whatever reads others ask for
// meanwhile. It returns nil without a read if the room is no longer followed.
func (f *follower) catchUpNow(ctx context.Context) error {
	return awaitRead(ctx, f.room.hub, f.await(true))
}

// awaitRead waits until done is closed, if it is not nil, or ctx or the hub ends.
func awaitRead(ctx context.Context, h *Hub, done <-chan struct{}) error {
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.ctx.Done():
		return h.ctx.Err()
	}
}

// await schedules a read, and returns what is closed when a read that has begun since has
// come to the log's end; nil if the room is no longer followed. An urgent read comes before
// those of other rooms.
func (f *follower) await(urgent bool) <-chan struct{} {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	if f.room.closed {
		return nil
	}
	done := make(chan struct{})
	f.waiting = append(f.waiting, done)
	f.refreshLocked()
	if urgent {
		f.hurryLocked()
	}
	return done
}

// catchUp reads one piece of the log and delivers it. Unless that was all, or the room is no
// longer followed, it schedules the next read; one that failed is repeated after a while.
func (f *follower) catchUp(p *place) {
	over, err := f.readOn(p)
	if over || f.room.hub.ctx.Err() != nil {
		return
	}
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	if err == nil {
		f.queueLocked()
		return
	}
	wait := f.retry/2 + f.room.hub.cfg.Jitter(f.retry)
	f.retry = min(2*f.retry, retryMax)
	f.pauseEnds = time.Now().Add(wait)
	f.pause = time.AfterFunc(wait, f.again)
}

// queueLocked queues the next read of the log.
func (f *follower) queueLocked() {
	c := f.room.classLocked()
	if f.urgent {
		c = classAwaited
	}
	f.room.hub.reads.add(f.job, c)
}

// hurryLocked moves the read that is due before those of other rooms. If it failed and waits to
// be repeated, it is repeated at once, but not more often than each urgentEvery.
func (f *follower) hurryLocked() {
	f.urgent = true
	f.room.hub.reads.raise(f.job, classAwaited)
	if f.pause == nil {
		return
	}
	now := time.Now()
	at := now
	if next := f.hurried.Add(urgentEvery); next.After(at) {
		at = next
	}
	if at.Before(f.pauseEnds) {
		f.hurried, f.pauseEnds = at, at
		f.pause.Reset(at.Sub(now))
	}
}

// again queues a read that failed, at the end of its pause.
func (f *follower) again() {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	if f.pause == nil {
		return // it was queued already: hurryLocked shortened the pause when it was just over
	}
	f.pause = nil
	if !f.room.closed && f.room.hub.ctx.Err() == nil {
		f.queueLocked()
	}
}

// readOn reads one piece of the log and delivers it. over is true if nothing is left to
// read, or the room is no longer followed.
func (f *follower) readOn(pl *place) (over bool, err error) {
	at, closed := f.beginRead()
	if closed {
		return true, nil
	}
	p, err := f.readPiece(at)
	if err != nil {
		return false, err
	}
	if p.Found {
		if len(p.Entries) > 0 {
			pl.release() // members may be slow
		}
		f.deliverInTurns(p.Entries)
		p.Entries = nil
	}
	return f.read(p), nil
}

func (f *follower) beginRead() (at replica.Position, closed bool) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	f.served = append(f.served, f.waiting...)
	f.waiting = nil
	return f.replica.BeginRead(), f.room.closed
}

// read passes a piece of the log to the replica. over is as readOn returns it.
func (f *follower) read(p replica.Piece) (over bool) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	f.retry = retryMin
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
	ctx, cancel := h.call()
	defer cancel()
	if at.Known {
		p.Entries, p.Found, p.More, err = h.broker.After(ctx, name, at.After, readChunk)
	}
	if err == nil && !p.Found {
		p.Newest, err = h.broker.Messages(ctx, name, protocol.ID{}, h.atMost(firstRead))
	}
	return p, err
}
