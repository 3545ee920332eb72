package room

import (
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/replica"
)

// Buffered is a Member that knows how many bytes wait for its other side to read
// them.
type Buffered interface {
	// Pending returns the number of these bytes. It does not block.
	Pending() int
}

// Queued is a Member that knows how many bytes were delivered to it and not sent to
// its other side yet, including those in the system's queues.
type Queued interface {
	// Unsent returns the number of these bytes. It does not block.
	Unsent() int
}

// Stallable is a Member whose connection can be closed because its other side does
// not read.
type Stallable interface {
	// Stalled closes the connection as one that reads too slowly. It neither blocks
	// nor calls back.
	Stalled()
}

// What a room has missed may be far more than a connection's outbox holds (256 KiB):
// delivered at once it would end the connections of all members, even of those that
// read as fast as they can. So it is delivered in turns, the next one when members
// have read enough of those before: paceBytes + turnBytes, and the posts that came
// meanwhile (64 KiB at most), stay below that bound. A member that does not read
// delays the others by paceAtMost, a few times, until its connection ends.
const (
	turnBytes  = 64 << 10
	paceBytes  = 128 << 10
	paceAtMost = 250 * time.Millisecond
	paceEvery  = 5 * time.Millisecond
)

// deliverInTurns delivers entries that were read of the log.
func (f *follower) deliverInTurns(list []protocol.Entry) {
	f.countMissed(list)
	for len(list) > 0 {
		n, size := 0, 0
		for n < len(list) && (n == 0 || size+len(list[n].Raw) <= turnBytes) {
			size += len(list[n].Raw)
			n++
		}
		f.read(replica.Piece{Found: true, Entries: list[:n], More: true})
		list = list[n:]
		f.pace()
	}
}

// countMissed counts the entries of a read that did not come live.
func (f *follower) countMissed(list []protocol.Entry) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	f.room.hub.counts.found(f.replica.Missed(list))
}

// liveBytes is how much may wait for a member before live entries are held back. It is
// more than a connection's outbox holds for a client that does not read, so such a
// client delays nobody. It is reached when a node wakes up and hears at once what was
// published while it slept.
const liveBytes = 512 << 10

// backpressuredLocked reports whether any member's outbox is above its limit. It looks
// once in turnBytes of live entries; next is the size of the next one.
func (f *follower) backpressuredLocked(next int) bool {
	if f.unchecked += next; f.unchecked < turnBytes {
		return false
	}
	f.unchecked = 0
	return f.room.crowdedLocked(liveBytes)
}

// pace waits until all members have read most of what was delivered, paceAtMost at
// most.
func (f *follower) pace() {
	deadline := time.Now().Add(paceAtMost)
	for f.room.crowded() && time.Now().Before(deadline) && f.room.hub.ctx.Err() == nil {
		f.room.hub.pause(paceEvery)
	}
}

func (r *room) crowded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.crowdedLocked(paceBytes)
}

// crowdedLocked reports whether more than limit bytes wait for a member. One with a
// backlog gets nothing live, and delays nobody.
func (r *room) crowdedLocked(limit int) bool {
	for m := range r.members {
		if pendingOf(m) > limit && !r.behind.hasLocked(m, nil) {
			return true
		}
	}
	return false
}
