package room

import (
	"context"
	"time"

	"example.com/chat/internal/protocol"
)

// follower is how far a room has followed its log. It is used under its room's
// lock.
type follower struct {
	head     protocol.ID // the newest entry that members were handed
	tail     tail
	messages messages
	synced   chan struct{} // closed once head and messages are known

	catching bool // a goroutine reads the log
	again    bool // and shall do so once more
	// early is what came live while the log was read, or after a hole.
	early      []hint
	earlyBytes int
	unseen     int             // bytes handed to members since it was last seen how much waits for them
	waiting    []chan struct{} // closed when the reading is over
	extending  chan struct{}   // closed when the tail's extension is over; nil without one
	filling    chan struct{}   // the same for messages
}

// hint is an entry that came live, and the entry that it is said to follow.
type hint struct {
	after protocol.ID
	protocol.Entry
}

// Bounds of what came live and waits for the log; what is more is read from
// the log instead.
const (
	earlyEntries = 4096
	earlyBytes   = 64 << 10
)

// readChunk is how many entries are read at once in catching up.
const readChunk = 500

// firstRead is how many messages are read of a room that was not followed.
const firstRead = 100

// filledWithin is how long an entry that Redis has acknowledged to this node
// may take to come live before the log is read.
const filledWithin = 150 * time.Millisecond

func (f *follower) isSynced() bool {
	select {
	case <-f.synced:
		return true
	default:
		return false
	}
}

// doubt schedules a read of all that is known of the room: something was published in
// it that can't be decoded.
func (r *room) doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hub.log.Warn("something published in a room is not as nodes publish it: the log decides", "room", r.name)
	r.catchUpLocked()
	if r.present.users != nil && time.Since(r.present.loadedAt) > presenceRetry {
		r.loadPresenceLocked()
	}
}

func (r *room) hearLocked(e hint) {
	f := &r.log
	switch {
	case !f.isSynced() || f.catching:
		r.keepEarlyLocked(e)
	case e.follows(f.head) && r.fullLocked(len(e.Raw)):
		r.keepEarlyLocked(e)
		r.catchUpLocked() // in turns
	case e.follows(f.head):
		r.passOnLocked(e.Entry)
	case f.tail.holds(e.ID), e.ID == f.tail.base:
	default:
		// Something is missing before it; or it has a seq that was had, and is
		// not that entry, or does not follow the entry that was had last: then
		// this is another log, or very old news.
		if e.ID.Seq > f.head.Seq+1 {
			r.hub.counts.holes.Add(1)
		}
		r.keepEarlyLocked(e)
		r.catchUpLocked()
	}
}

// follows reports whether the entry is the next after the given one. Its seq
// alone does not tell: after a loss of the log's end another entry has it.
func (e *hint) follows(head protocol.ID) bool {
	return e.after == head && e.ID.Seq == head.Seq+1 && e.ID.MS >= head.MS
}

// passOnLocked hands the next entry to all members.
func (r *room) passOnLocked(e protocol.Entry) {
	f := &r.log
	f.head = e.ID
	r.movedLocked()
	f.tail.push(e)
	if c, changes := e.Modification(); changes {
		f.messages.apply(c)
		if c.Kind == protocol.Delete {
			f.tail.erase(c.Target)
			r.eraseBacklogsLocked(c.Target)
		}
	} else if e.IsMessage() {
		f.tail.expire(f.messages.push(e))
	}
	r.broadcastLocked(e.Event(), r.behindLocked)
	r.hub.traces.note(e.Key, Handed)
}

func (r *room) keepEarlyLocked(e hint) {
	f := &r.log
	if len(f.early) >= earlyEntries || f.earlyBytes+len(e.Raw) > earlyBytes {
		f.early, f.earlyBytes = nil, 0
		f.again = true
		return
	}
	f.early = append(f.early, e)
	f.earlyBytes += len(e.Raw)
}

// catchUpLocked has the log read, after whatever reading is under way.
func (r *room) catchUpLocked() {
	f := &r.log
	if r.closed {
		return
	}
	if f.catching {
		f.again = true
		return
	}
	f.catching = true
	r.hub.work.Go(r.catchUp) // ends when caught up, or with the hub, which waits for it
}

// catchUpNow reads the log and waits until it is read.
func (r *room) catchUpNow(ctx context.Context) error {
	r.mu.Lock()
	r.catchUpLocked()
	done := make(chan struct{})
	r.log.waiting = append(r.log.waiting, done)
	r.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.hub.ctx.Done():
		return r.hub.ctx.Err()
	}
}

// compare catches up when the log's newest entry is not the one that members
// were handed last.
func (r *room) compare(head protocol.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log.isSynced() && head != r.log.head {
		r.catchUpLocked()
	}
}

// catchUp reads the log until there is nothing more in it, however often Redis
// fails meanwhile.
func (r *room) catchUp() {
	h := r.hub
	wait := 50 * time.Millisecond
	for {
		over, err := r.readOn()
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

// readOn reads one piece of the log and passes it on; over is true when that
// was the last.
func (r *room) readOn() (over bool, err error) {
	r.mu.Lock()
	head, synced := r.log.head, r.log.isSynced()
	r.log.again = false
	r.mu.Unlock()
	p, err := r.readPiece(head, synced)
	if err == nil && p.found {
		r.mu.Lock()
		r.hub.counts.found(p.list, r.log.early)
		r.mu.Unlock()
		r.passOnInTurn(p.list)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		return r.closed, err
	}
	if !p.found {
		r.startOverLocked(p.newest, synced)
	}
	if p.more || r.log.again {
		return r.closed, nil
	}
	return r.spliceEarlyLocked(), nil
}

// logPiece is a part of a log: what follows a place that was found in it, or
// else its newest messages.
type logPiece struct {
	list        []protocol.Entry
	found, more bool
	newest      protocol.Page
}

// readPiece reads what follows the head, or the newest messages where that is not
// known, or not any more.
func (r *room) readPiece(head protocol.ID, known bool) (p logPiece, err error) {
	h := r.hub
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-h.ctx.Done():
		return p, h.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(h.ctx, callTimeout)
	defer cancel()
	if known {
		p.list, p.found, p.more, err = h.broker.After(ctx, r.name, head, readChunk)
	}
	if err == nil && !p.found {
		p.newest, err = h.broker.Messages(ctx, r.name, protocol.ID{}, h.atMost(firstRead))
		p.more = false
	}
	return p, err
}

// startOverLocked takes the newest messages of the log in place of what was known.
// Members that followed another log are told.
func (r *room) startOverLocked(newest protocol.Page, followed bool) {
	f := &r.log
	f.messages.set(newest)
	f.tail.begin(newest.Head)
	f.head = newest.Head.ID
	r.movedLocked()
	if !followed {
		close(f.synced)
		return
	}
	clear(r.backlogs) // their members join again
	r.hub.counts.resets.Add(1)
	r.hub.counts.resetsTold.Add(int64(len(r.members)))
	r.hub.log.Warn("a room's log is no longer the one that was followed", "room", r.name, "head", f.head.String())
	r.broadcastLocked(protocol.Reset(r.name, f.head), nil)
}

// spliceEarlyLocked passes on what came live meanwhile, and ends the catching
// up unless something is missing before it.
func (r *room) spliceEarlyLocked() (over bool) {
	f := &r.log
	early := f.early
	f.early, f.earlyBytes = nil, 0
	missing := false
	for _, e := range early {
		if e.follows(f.head) {
			r.passOnLocked(e.Entry)
		} else if e.ID.Seq > f.head.Seq {
			missing = true
		}
	}
	if missing {
		return r.closed // it came after the log was read: read on
	}
	f.catching = false
	for _, done := range f.waiting {
		close(done)
	}
	f.waiting = nil
	return true
}
