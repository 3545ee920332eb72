package room

import (
	"time"

	"example.com/chat/internal/protocol"
)

// Buffered is a Member that can tell how many bytes wait for its other side to
// take them.
type Buffered interface {
	Pending() int
}

// Queued is a Member that can tell how many bytes were handed to it and are not
// on the way to its other side yet, in the system's queues too.
type Queued interface {
	Unsent() int
}

// Stallable is a Member whose connection can be closed because its other side
// takes nothing.
type Stallable interface {
	// Stalled closes the connection as one that reads too slowly. It neither
	// blocks nor calls back.
	Stalled()
}

// What a room has missed may be far more than a connection holds for its client
// (256 KiB): handed over at once it would end the connections of all members,
// who read as fast as they can. So it goes out in turns, the next one when
// members have taken enough of those before: paceBytes + turnBytes, and what
// came live meanwhile (earlyBytes), stay below that bound. Who takes nothing
// holds the others up for paceAtMost, a few times, until its connection ends.
const (
	turnBytes  = 64 << 10
	paceBytes  = 128 << 10
	paceAtMost = 250 * time.Millisecond
	paceEvery  = 5 * time.Millisecond
)

// passOnInTurn hands what was read of the log to all members.
func (r *room) passOnInTurn(list []protocol.Entry) {
	for len(list) > 0 {
		n, size := 0, 0
		for n < len(list) && (n == 0 || size+len(list[n].Raw) <= turnBytes) {
			size += len(list[n].Raw)
			n++
		}
		r.mu.Lock()
		for _, e := range list[:n] {
			r.passOnLocked(e)
		}
		r.mu.Unlock()
		list = list[n:]
		r.pace()
	}
}

// liveBytes is how much may wait for a member before what comes live is held
// back until it has been written. It is more than a connection holds for a
// client that takes nothing, which therefore holds up nobody: it is reached when
// a node wakes up and hears at once what was published while it slept.
const liveBytes = 512 << 10

// fullLocked reports whether members have too much waiting for more to be handed
// to them. It looks once in turnBytes of what was.
func (r *room) fullLocked(next int) bool {
	if r.log.unseen += next; r.log.unseen < turnBytes {
		return false
	}
	r.log.unseen = 0
	return r.crowdedLocked(liveBytes)
}

// pace waits until all members have taken most of what they were handed, as
// long as they may take for that.
func (r *room) pace() {
	deadline := time.Now().Add(paceAtMost)
	for r.crowded() && time.Now().Before(deadline) && r.hub.ctx.Err() == nil {
		r.hub.pause(paceEvery)
	}
}

func (r *room) crowded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.crowdedLocked(paceBytes)
}

// crowdedLocked reports whether more than so many bytes wait for a member. One
// with a backlog gets nothing live, and holds up nobody.
func (r *room) crowdedLocked(most int) bool {
	for m := range r.members {
		if pendingOf(m) > most && r.backlogs[m] == nil {
			return true
		}
	}
	return false
}
