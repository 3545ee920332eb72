package room

import (
	"sync/atomic"

	"example.com/chat/internal/protocol"
)

// Stats are what a Hub holds now and what it counted since its start. None of
// it names a room or a user.
type Stats struct {
	// Rooms that are followed and Users with a connection, now.
	Rooms, Users int

	// CaughtUp counts the reads of a room's log that found entries which had not
	// come live, Missed those entries.
	CaughtUp, Missed int64
	// LogGaps counts live entries that came although one before them had not.
	LogGaps int64
	// Resets counts rooms whose log had become another one, ResetsSent the resets
	// that members got.
	Resets, ResetsSent int64
	// Duplicates counts sends whose key had been accepted before.
	Duplicates int64
	// FromMemory and FromLog count the joins that recovered all entries after their
	// cursor, NotRecovered those that could not.
	FromMemory, FromLog, NotRecovered int64
	// Retried counts batches that were appended again because no answer came,
	// Unavailable the sends that got unavailable in the end.
	Retried, Unavailable int64
	// Frames and Bytes are the events that were delivered to members' outboxes.
	Frames, Bytes int64
}

// counts is what Stats is made of, but for what is held now.
type counts struct {
	caughtUp, missed, logGaps atomic.Int64
	resets, resetsSent        atomic.Int64
	duplicates                atomic.Int64
	fromMemory, fromLog       atomic.Int64
	notRecovered              atomic.Int64
	retried, unavailable      atomic.Int64
	frames, bytes             atomic.Int64
}

// Stats returns the counts so far.
func (h *Hub) Stats() Stats {
	users, rooms := h.Size()
	c := &h.counts
	return Stats{
		Rooms: rooms, Users: users,
		CaughtUp: c.caughtUp.Load(), Missed: c.missed.Load(), LogGaps: c.logGaps.Load(),
		Resets: c.resets.Load(), ResetsSent: c.resetsSent.Load(),
		Duplicates: c.duplicates.Load(),
		FromMemory: c.fromMemory.Load(), FromLog: c.fromLog.Load(), NotRecovered: c.notRecovered.Load(),
		Retried: c.retried.Load(), Unavailable: c.unavailable.Load(),
		Frames: c.frames.Load(), Bytes: c.bytes.Load(),
	}
}

// Size returns how many users have a connection now, and how many rooms are followed.
func (h *Hub) Size() (users, rooms int) { return h.users.size(), h.rooms.size() }

// joined counts the answer to a join that came with a cursor.
func (c *counts) joined(recovered, fromLog bool) {
	switch {
	case !recovered:
		c.notRecovered.Add(1)
	case fromLog:
		c.fromLog.Add(1)
	default:
		c.fromMemory.Add(1)
	}
}

func (c *counts) acknowledged(receipts []protocol.Receipt) {
	for _, r := range receipts {
		if r.Duplicate {
			c.duplicates.Add(1)
		}
	}
}

// found counts the entries of a read of the log that had not come live.
func (c *counts) found(missed int) {
	if missed > 0 {
		c.caughtUp.Add(1)
		c.missed.Add(int64(missed))
	}
}
