package room

import (
	"sync"
	"time"
)

// A room keeps at most 1 MiB of its newest entries in memory. When clients return with older
// cursors, as after the restart of a node, each would read the log, and hold its own copy of
// the answer. So the room gets spare memory then: the entries are read once, into the room's
// memory, and joins and backlogs are answered from there.
const (
	// spareBytes is how much the rooms of a node may hold so in all.
	spareBytes = 32 << 20
	// spareFor is how long such entries are kept after their last use.
	spareFor = 10 * time.Second
)

// spare is the spare memory of a hub.
type spare struct {
	mu   sync.Mutex // guards the field below; taken after a room's
	left int
}

// take takes n bytes if as many are left.
func (s *spare) take(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.left {
		return false
	}
	s.left -= n
	return true
}

func (s *spare) give(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left += n
}

// reserveLocked takes n bytes of spare memory for entries before a seq, and returns how many
// it got: all, or none. They are returned when the entries are not used any more.
func (a *answerer) reserveLocked(below int64, n int) int {
	if n == 0 || !a.log.room.hub.spare.take(n) {
		return 0
	}
	if a.spare == 0 {
		time.AfterFunc(spareFor, a.shrink)
	}
	a.spare += n
	a.spareBelow, a.spareUsed = max(a.spareBelow, below), time.Now()
	return n
}

// usedLocked notes an answer to a cursor.
func (a *answerer) usedLocked(after int64) {
	if a.spare > 0 && after < a.spareBelow {
		a.spareUsed = time.Now()
	}
}

// shrink drops the entries in spare memory, if they were not used for spareFor and no backlog
// needs them.
func (a *answerer) shrink() {
	r := a.log.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.spare == 0 || r.hub.ctx.Err() != nil {
		return
	}
	left := spareFor - time.Since(a.spareUsed)
	for _, b := range r.behind.backlogs {
		if b.After().Seq < a.spareBelow {
			left = max(left, time.Second)
		}
	}
	if left > 0 {
		time.AfterFunc(left, a.shrink)
		return
	}
	a.log.memory.Shrink()
	a.settleLocked()
}

// settleLocked returns the spare memory that the room does not hold any more: all, if it is
// not followed any more.
func (a *answerer) settleLocked() {
	held := a.log.memory.Spare()
	if a.log.room.closed {
		held = 0
	}
	if held < a.spare {
		a.log.room.hub.spare.give(a.spare - held)
		a.spare, a.spareBelow = held, 0
	}
}
