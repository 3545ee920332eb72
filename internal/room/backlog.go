package room

import (
	"errors"
	"slices"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/replica"
)

// A join may return far more than a slow connection transfers in the time in which
// its client expects a sign of life. So `joined` holds at most
// protocol.MaxJoined bytes of messages. The rest, and what comes live meanwhile,
// is the member's backlog (replica.Backlog): it follows in pieces of backlogPiece, the
// next one once at most backlogAhead bytes wait for the member's connection. A backlog
// therefore never overruns an outbox, and delays replies to the member's own
// commands by little.
const (
	backlogPiece = 16 << 10
	backlogAhead = 16 << 10
	// backlogRead is how many entries of a backlog are read from the log at once.
	backlogRead = 100
	// crowdedJoin is how much may wait for a member before the replies to its
	// joins carry one message only, as when one hello joins a hundred rooms.
	crowdedJoin = 64 << 10
	// backlogStalls is how long a connection with a backlog may read nothing
	// before it is closed.
	backlogStalls = 10 * time.Second
	// backlogWait bounds the wait between two looks at what waits for a member.
	backlogWait = 50 * time.Millisecond
)

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

// joinSize returns how many bytes of messages the reply to a join may hold.
func joinSize(m Member) int {
	if unsentOf(m) > crowdedJoin {
		return 0 // one message
	}
	return protocol.MaxJoined - len("[]")
}

// behind holds the members of one room that get their entries in pieces. The room's lock
// guards it: the methods take the lock, except for hasLocked.
type behind struct {
	room     *room
	backlogs map[Member]*replica.Backlog
	// frames holds events of backlogs by the first byte of their entries' JSON, which is never
	// changed: members that return together get the same ones. frameBytes is their JSON's size.
	frames     map[*byte]*Broadcast
	frameBytes int
}

// framesKept bounds the JSON of the events that the members of one room share.
const framesKept = 2 << 20

// eventLocked returns the event of an entry, the same one for all members. The caller holds
// the room's lock.
func (b *behind) eventLocked(e protocol.Entry) *Broadcast {
	if len(e.Raw) == 0 {
		return NewBroadcast(e.Event())
	}
	if shared := b.frames[&e.Raw[0]]; shared != nil {
		return shared
	}
	if b.frames == nil || b.frameBytes+len(e.Raw) > framesKept {
		b.frames, b.frameBytes = make(map[*byte]*Broadcast), 0
	}
	shared := NewBroadcast(e.Event())
	b.frames[&e.Raw[0]] = shared
	b.frameBytes += len(e.Raw)
	return shared
}

// forgetLocked frees the shared events and entries, if no member has a backlog any more. The
// caller holds the room's lock.
func (b *behind) forgetLocked() {
	if len(b.backlogs) == 0 {
		b.frames, b.frameBytes = nil, 0
		b.room.log.memory.Unshare()
	}
}

// hasLocked reports whether the member gets its entries from its backlog; the form is
// that of broadcastLocked. The caller holds the room's lock.
func (b *behind) hasLocked(m Member, _ *User) bool { return b.backlogs[m] != nil }

// has reports whether the member gets its entries from its backlog.
func (b *behind) has(m Member) bool {
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	return b.hasLocked(m, nil)
}

// end drops the member's backlog.
func (b *behind) end(m Member) {
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	delete(b.backlogs, m)
}

// get returns the member's backlog, and the id of the last entry that was sent of it;
// nil if there is none.
func (b *behind) get(m Member) (backlog *replica.Backlog, after protocol.ID) {
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	if backlog = b.backlogs[m]; backlog != nil {
		after = backlog.After()
	}
	return backlog, after
}

// sendPiece sends the next piece of the member's backlog. It returns whether the
// member is still behind, and whether the log has to be read before more can be
// sent.
func (b *behind) sendPiece(m Member) (more, read bool) {
	r := b.room
	r.mu.Lock()
	defer r.mu.Unlock()
	backlog := b.backlogs[m]
	if backlog == nil {
		return false, false
	}
	piece, state := r.log.memory.Next(backlog, backlogPiece)
	for _, e := range piece {
		m.Deliver(b.eventLocked(e))
		r.hub.counts.frames.Add(1)
		r.hub.counts.bytes.Add(int64(len(e.Raw)))
	}
	if state == replica.BacklogDone {
		delete(b.backlogs, m) // it has everything, and gets live entries from now on
	}
	return state != replica.BacklogDone, state == replica.BacklogRead
}

// backlogs sends members their backlogs.
type backlogs struct {
	hub *Hub

	mu    sync.Mutex // guards the field below; taken after a room's
	rooms map[Member][]*room
}

// add schedules the sending of the member's backlog of the room. One goroutine sends
// those of all rooms of a member; it exists as long as there is a backlog. The
// caller holds the room's lock.
func (l *backlogs) add(m Member, r *room) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rooms, running := l.rooms[m]
	if !slices.Contains(rooms, r) {
		l.rooms[m] = append(rooms, r)
	}
	if !running {
		l.hub.work.Go(func() { l.send(m) }) // ends without a backlog, or with the hub, which waits for it
	}
}

// next returns the member's rooms with a backlog by turns; nil if there is none left.
func (l *backlogs) next(m Member) *room {
	l.mu.Lock()
	defer l.mu.Unlock()
	rooms := l.rooms[m]
	if len(rooms) == 0 {
		delete(l.rooms, m)
		return nil
	}
	r := rooms[0]
	copy(rooms, rooms[1:])
	rooms[len(rooms)-1] = r
	return r
}

// remove removes the room, unless the member has joined it again.
func (l *backlogs) remove(m Member, r *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.behind.forgetLocked()
	if r.behind.backlogs[m] != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rooms[m] = slices.DeleteFunc(l.rooms[m], func(o *room) bool { return o == r })
}

// send sends a member its backlogs, piece by piece, as fast as its connection reads. The
// end of a backlog, for whatever reason, ends the wait for the connection.
func (l *backlogs) send(m Member) {
	for l.hub.ctx.Err() == nil {
		r := l.next(m)
		if r == nil {
			return
		}
		l.await(m, r)
		switch more, read := r.behind.sendPiece(m); {
		case !more:
			l.remove(m, r)
		case read && l.read(m, r) != nil:
			l.hub.pause(presenceRetry) // Redis is away, or its log another one: then a reset ends the backlog
		}
	}
}

// await waits until the member's connection has sent most of what was delivered to it,
// or the backlog ends. A connection whose client does not read is closed.
func (l *backlogs) await(m Member, r *room) {
	before, moved := unsentOf(m), time.Now()
	for wait := paceEvery; before > backlogAhead && r.behind.has(m) && l.hub.ctx.Err() == nil; wait = min(2*wait, backlogWait) {
		l.hub.pause(wait)
		now := unsentOf(m)
		if now < before {
			moved = time.Now()
		}
		before = now
		if time.Since(moved) < backlogStalls {
			continue
		}
		r.behind.end(m)
		if s, ok := m.(Stallable); ok {
			s.Stalled()
		}
	}
}

// read reads the next part of the member's backlog from the log. If the log no
// longer holds what was sent last, the member gets a reset.
func (l *backlogs) read(m Member, r *room) error {
	b, after := r.behind.get(m)
	if b == nil {
		return nil
	}
	list, found, err := l.readAfter(r.name, after)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.behind.backlogs[m] != b || b.After() != after {
		return nil // it was left, joined again, or reset
	}
	if !found {
		delete(r.behind.backlogs, m)
		r.hub.counts.resetsSent.Add(1)
		m.Deliver(NewBroadcast(protocol.Reset(r.name, r.log.memory.Head())))
		return nil
	}
	e, ok := r.log.replica.Refill(b, list)
	r.log.doLocked(e)
	if !ok {
		return errOtherLog
	}
	return nil
}

// readAfter reads up to backlogRead entries after the cursor from the log.
func (l *backlogs) readAfter(name string, cursor protocol.ID) (list []protocol.Entry, found bool, err error) {
	ctx, done, err := l.hub.beginRead(l.hub.ctx)
	if err != nil {
		return nil, false, err
	}
	defer done()
	list, found, _, err = l.hub.broker.After(ctx, name, cursor, backlogRead)
	return list, found, err
}
