package room

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/chat/internal/protocol"
)

// A join may bring far more than a slow connection takes in the time in which
// its client expects a sign of life. So `joined` holds at most
// protocol.MaxJoined bytes of messages. The rest, and what comes live meanwhile,
// is the member's backlog: it follows in pieces of backlogPiece, the next one
// once at most backlogAhead bytes wait for the member's connection. A backlog
// therefore never overruns an outbox, and delays replies to the member's own
// commands by little.
const (
	backlogPiece = 16 << 10
	backlogAhead = 16 << 10
	// backlogKept bounds the entries that a backlog of a recovery holds; the
	// others are read again from memory or from the log.
	backlogKept = 256 << 10
	// backlogRead is how many entries of a backlog are read from the log at once.
	backlogRead = 100
	// crowdedJoin is how much may wait for a member before the replies to its
	// joins carry one message only, as when one hello joins a hundred rooms.
	crowdedJoin = 64 << 10
	// backlogStalls is how long a connection with a backlog may take nothing
	// before it is closed.
	backlogStalls = 10 * time.Second
	// backlogWait bounds the wait between two looks at what waits for a member.
	backlogWait = 50 * time.Millisecond
)

// backlog is the part of a room that a member has not been sent yet: list, then
// all that follows after in the room's log. Such a member gets no live entries.
// A backlog is used under its room's lock.
type backlog struct {
	list []protocol.Entry
	// after is the newest entry that was sent or is in list; with the list of a
	// first join, which holds messages as they stand at the head, it is that head.
	after protocol.ID
}

// errOtherLog means that the log is no longer the one that was followed.
var errOtherLog = errors.New("the room's log is another one")

// pendingOf returns how many bytes wait for the member; 0 where it can't tell.
func pendingOf(m Member) int {
	if b, ok := m.(Buffered); ok {
		return b.Pending()
	}
	return 0
}

// unsentOf returns how many bytes the member's connection has not sent yet.
func unsentOf(m Member) int {
	if q, ok := m.(Queued); ok {
		return q.Unsent()
	}
	return pendingOf(m)
}

// cutPiece splits a list behind its first entries that fit into size bytes, at
// least one.
func cutPiece(list []protocol.Entry, size int) (piece, rest []protocol.Entry) {
	n, bytes := 0, 0
	for n < len(list) && (n == 0 || bytes+len(list[n].Raw)+1 <= size) {
		bytes += len(list[n].Raw) + 1
		n++
	}
	return list[:n], list[n:]
}

// splitJoinLocked returns the messages that the reply to a join holds, and makes
// the others, up to the head, the member's backlog. It is for the caller to have
// that sent (addBacklog), after the reply.
func (r *room) splitJoinLocked(m Member, list []protocol.Entry, recovered bool) []protocol.Entry {
	delete(r.backlogs, m)
	size := protocol.MaxJoined - len("[]")
	if unsentOf(m) > crowdedJoin {
		size = 0 // one message
	}
	first, rest := cutPiece(list, size)
	if len(rest) == 0 {
		return first
	}
	b := &backlog{after: r.log.head}
	if recovered {
		kept, left := cutPiece(rest, backlogKept)
		if len(left) > 0 {
			b.after = kept[len(kept)-1].ID
		}
		b.list = slices.Clone(kept)
	} else {
		b.list = slices.Clone(rest)
		// The id of the last one tells the client that it has all up to the head.
		if t := &r.log.tail; t.holds(r.log.head) && b.list[len(b.list)-1].ID != r.log.head {
			b.list = append(b.list, t.list[len(t.list)-1])
		}
	}
	if r.backlogs == nil {
		r.backlogs = make(map[Member]*backlog)
	}
	r.backlogs[m] = b
	return first
}

// eraseBacklogsLocked takes out what a deletion has taken out of the log.
func (r *room) eraseBacklogsLocked(target protocol.ID) {
	for _, b := range r.backlogs {
		b.list = slices.DeleteFunc(b.list, func(e protocol.Entry) bool {
			return deletedBy(e, func(id protocol.ID) bool { return id == target })
		})
	}
}

// behindLocked reports whether the member gets its entries from its backlog.
func (r *room) behindLocked(m Member, _ *User) bool { return r.backlogs[m] != nil }

func (r *room) behind(m Member) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.backlogs[m] != nil
}

// addBacklog has the member sent its backlog of the room. One goroutine does
// that for all rooms of a member; it exists as long as there is a backlog. The
// caller holds the room's lock.
func (h *Hub) addBacklog(m Member, r *room) {
	h.backlogs.Lock()
	defer h.backlogs.Unlock()
	rooms, running := h.backlogs.rooms[m]
	if !slices.Contains(rooms, r) {
		h.backlogs.rooms[m] = append(rooms, r)
	}
	if !running {
		h.work.Go(func() { h.sendBacklogs(m) }) // ends without a backlog, or with the hub, which waits for it
	}
}

// nextBacklog returns the member's rooms with a backlog by turns; nil when there
// is none left.
func (h *Hub) nextBacklog(m Member) *room {
	h.backlogs.Lock()
	defer h.backlogs.Unlock()
	rooms := h.backlogs.rooms[m]
	if len(rooms) == 0 {
		delete(h.backlogs.rooms, m)
		return nil
	}
	r := rooms[0]
	copy(rooms, rooms[1:])
	rooms[len(rooms)-1] = r
	return r
}

// forgetBacklog forgets the room, unless the member has joined it again.
func (h *Hub) forgetBacklog(m Member, r *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.backlogs[m] != nil {
		return
	}
	h.backlogs.Lock()
	defer h.backlogs.Unlock()
	h.backlogs.rooms[m] = slices.DeleteFunc(h.backlogs.rooms[m], func(o *room) bool { return o == r })
}

// sendBacklogs sends a member its backlogs, piece by piece, as fast as its
// connection takes them. The end of a backlog, for whatever reason, ends the
// wait for the connection.
func (h *Hub) sendBacklogs(m Member) {
	for h.ctx.Err() == nil {
		r := h.nextBacklog(m)
		if r == nil {
			return
		}
		h.awaitTaken(m, r)
		switch more, read := r.sendPiece(m); {
		case !more:
			h.forgetBacklog(m, r)
		case read && r.readBacklog(m) != nil:
			h.pause(presenceRetry) // Redis is away, or its log another one: then a reset ends the backlog
		}
	}
}

// awaitTaken waits until the member's connection has taken most of what it was
// handed, or the backlog ends. A connection that takes nothing is closed.
func (h *Hub) awaitTaken(m Member, r *room) {
	before, moved := unsentOf(m), time.Now()
	for wait := paceEvery; before > backlogAhead && r.behind(m) && h.ctx.Err() == nil; wait = min(2*wait, backlogWait) {
		h.pause(wait)
		now := unsentOf(m)
		if now < before {
			moved = time.Now()
		}
		before = now
		if time.Since(moved) < backlogStalls {
			continue
		}
		r.endBacklog(m)
		if s, ok := m.(Stallable); ok {
			s.Stalled()
		}
	}
}

// endBacklog drops the member's backlog.
func (r *room) endBacklog(m Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.backlogs, m)
}

// sendPiece sends the next piece of the member's backlog. It returns whether the
// member is still behind, and whether the log has to be read before more can be
// sent.
func (r *room) sendPiece(m Member) (more, read bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.backlogs[m]
	if b == nil {
		return false, false
	}
	if len(b.list) == 0 && b.after != r.log.head {
		t := &r.log.tail
		if b.after.Seq < t.floor {
			return true, true
		}
		piece, rest := cutPiece(t.list[t.at(b.after.Seq+1):], backlogPiece)
		b.list = slices.Clone(piece)
		if b.after = r.log.head; len(rest) > 0 {
			b.after = piece[len(piece)-1].ID
		}
	}
	piece, rest := cutPiece(b.list, backlogPiece)
	for _, e := range piece {
		m.Deliver(NewBroadcast(e.Event()))
		r.hub.counts.frames.Add(1)
		r.hub.counts.bytes.Add(int64(len(e.Raw)))
	}
	b.list = rest
	if len(rest) == 0 && b.after == r.log.head {
		delete(r.backlogs, m) // it has all, and gets what comes live from now on
		return false, false
	}
	return true, false
}

// readBacklog reads the next part of the member's backlog from the log. Where
// the log no longer holds what was sent last, the member is told to join again.
func (r *room) readBacklog(m Member) error {
	r.mu.Lock()
	b := r.backlogs[m]
	if b == nil {
		r.mu.Unlock()
		return nil
	}
	after := b.after
	r.mu.Unlock()
	list, found, err := r.readAfter(after, backlogRead)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.backlogs[m] != b || b.after != after {
		return nil // it was left, joined again, or reset
	}
	if !found {
		delete(r.backlogs, m)
		r.hub.counts.resetsTold.Add(1)
		m.Deliver(NewBroadcast(protocol.Reset(r.name, r.log.head)))
		return nil
	}
	return r.takeBacklogLocked(b, list)
}

// takeBacklogLocked adds what was read of the log to the backlog, up to the head:
// what is newer comes live. It fails where this is not the log that was followed.
func (r *room) takeBacklogLocked(b *backlog, list []protocol.Entry) error {
	head := r.log.head
	end, _ := slices.BinarySearchFunc(list, head.Seq+1, func(e protocol.Entry, seq int64) int { return int(e.ID.Seq - seq) })
	switch {
	case len(list) == 0, end > 0 && list[end-1].ID.Seq == head.Seq && list[end-1].ID != head:
		r.catchUpLocked()
		return errOtherLog
	case end == 0:
		b.after = head // all up to it was deleted
		return nil
	}
	kept, _ := cutPiece(list[:end], backlogKept)
	b.after = kept[len(kept)-1].ID
	b.list = r.log.tail.withoutDeleted(slices.Clone(kept))
	return nil
}

// readAfter reads up to n entries after the cursor from the log.
func (r *room) readAfter(cursor protocol.ID, n int) (list []protocol.Entry, found bool, err error) {
	h := r.hub
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-h.ctx.Done():
		return nil, false, h.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(h.ctx, callTimeout)
	defer cancel()
	list, found, _, err = h.broker.After(ctx, r.name, cursor, n)
	return list, found, err
}
