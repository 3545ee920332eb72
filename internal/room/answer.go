package room

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/replica"
)

// answerer answers joins and history, and reads the parts of the log that memory lacks
// for that. All that wait for the same part share one read. Its fields but flight are
// guarded by the room's lock.
type answerer struct {
	log    *follower
	flight singleflight.Group // by what is read

	spare      int       // bytes of the hub's that the room's memory holds
	spareBelow int64     // the entries before this seq need them
	spareUsed  time.Time // when a join was answered with such entries last
}

// readFor reads what the answer to a cursor needs.
func (a *answerer) readFor(ctx context.Context, n replica.Need, after protocol.ID, l *replica.Lookup) error {
	switch n {
	case replica.NeedRefresh:
		if err := a.log.catchUpNow(ctx); err != nil {
			return err
		}
		l.Refreshed()
		return nil
	case replica.NeedTail:
		_, err := a.share(ctx, "tail", a.extend)
		l.Extended()
		return err
	case replica.NeedEntries:
		return a.lookUp(ctx, after, l)
	default:
		_, err := a.share(ctx, "messages", a.fill)
		l.Filled()
		return err
	}
}

// share runs read in the place of a call and returns its result, until ctx ends. If the
// same is being read already, it waits for that.
func (a *answerer) share(ctx context.Context, what string, read func(context.Context) (any, error)) (any, error) {
	h := a.log.room.hub
	done := a.flight.DoChan(what, func() (any, error) {
		call, done, err := h.beginRead(h.ctx)
		if err != nil {
			return nil, err
		}
		defer done()
		return read(call)
	})
	select {
	case r := <-done:
		return r.Val, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// following is what the log holds after a cursor.
type following struct {
	head        protocol.ID // of the room, when the reading began
	epoch       int         // of the room's log then
	list        []protocol.Entry
	found, more bool
}

// lookUp reads the entries after a cursor.
func (a *answerer) lookUp(ctx context.Context, after protocol.ID, l *replica.Lookup) error {
	what := fmt.Sprintf("after %s in %d", after.String(), l.Epoch())
	v, err := a.share(ctx, what, func(call context.Context) (any, error) {
		f := following{}
		f.head, f.epoch = a.position()
		var err error
		f.list, f.found, f.more, err = a.log.room.hub.broker.After(call, a.log.room.name, after, protocol.MaxRecovered)
		return f, err
	})
	if err != nil {
		return err
	}
	if f := v.(following); f.epoch == l.Epoch() { // else the log was replaced, and the next answer begins anew
		l.Begin(f.head)
		l.Found(f.list, f.found, f.more)
	}
	return nil
}

// position returns the room's head, and the epoch of its log.
func (a *answerer) position() (head protocol.ID, epoch int) {
	a.log.room.mu.Lock()
	defer a.log.room.mu.Unlock()
	return a.log.memory.Head(), a.log.memory.Epoch()
}

// extend reads older entries into memory.
func (a *answerer) extend(ctx context.Context) (any, error) {
	b := a.below((*replica.Memory).BelowTail)
	list, more, err := a.log.room.hub.broker.Before(ctx, a.log.room.name, b.Before, b.N)
	if err != nil {
		return nil, err
	}
	a.log.room.mu.Lock()
	defer a.log.room.mu.Unlock()
	if !a.log.room.closed {
		a.log.memory.Extend(b, list, more, a.reserveLocked(b.Before.Seq, a.log.memory.Excess(b, list)))
	}
	return nil, nil
}

// fill reads older messages into memory.
func (a *answerer) fill(ctx context.Context) (any, error) {
	n := a.log.room.hub.atMost(firstRead)
	b := a.below(func(m *replica.Memory) replica.Below { return m.BelowMessages(n) })
	page, err := a.log.room.hub.broker.Messages(ctx, a.log.room.name, b.Before, b.N)
	if err != nil {
		return nil, err
	}
	a.log.room.mu.Lock()
	defer a.log.room.mu.Unlock()
	a.log.memory.Fill(b, page)
	return nil, nil
}

// below returns the part of the log before what is in memory.
func (a *answerer) below(of func(*replica.Memory) replica.Below) replica.Below {
	a.log.room.mu.Lock()
	defer a.log.room.mu.Unlock()
	return of(a.log.memory)
}

// acknowledgedWithin bounds the wait of a join, or of a request for history, for entries that
// this node has acknowledged.
const acknowledgedWithin = time.Second

// awaitAcknowledged waits until everything that this node has acknowledged so far was
// delivered, so that whoever asks afterwards sees it. It does not wait for what is acknowledged
// meanwhile. Entries that do not come live in time are read of the log. It does not wait for
// these while Redis is away.
func (f *follower) awaitAcknowledged(ctx context.Context) {
	w := acknowledgedBy(f)
	timer := time.NewTimer(acknowledgedWithin)
	defer timer.Stop()
	for {
		moved, read := w.behind(f)
		if moved == nil {
			return
		}
		select {
		case <-moved:
		case <-read:
			return
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// acknowledged is what a join, or a request for history, waits for.
type acknowledged struct {
	seq   int64           // the newest that was acknowledged before
	epoch int             // of the log then
	past  chan struct{}   // what overdue was then, if that was for older entries
	read  <-chan struct{} // closed when the read is over that has become due for it; nil before
}

// acknowledgedBy returns what this node has acknowledged so far.
func acknowledgedBy(f *follower) acknowledged {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	return f.acknowledgedLocked()
}

func (f *follower) acknowledgedLocked() acknowledged {
	w := acknowledged{seq: f.overdueSeq, epoch: f.memory.Epoch()}
	if expected, behind := f.replica.Behind(); behind {
		w.seq, w.past = expected, f.overdue
	}
	return w
}

// behind returns nil if w was delivered; else what is closed when that may have changed, and
// what is closed when the read for it is over, if that is due. After a reset, w becomes what
// was acknowledged until then.
func (w *acknowledged) behind(f *follower) (moved, read <-chan struct{}) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	if f.room.closed || !f.memory.Synced() {
		return nil, nil
	}
	if w.epoch != f.memory.Epoch() {
		*w = f.acknowledgedLocked()
	}
	if f.memory.Head().Seq >= w.seq {
		return nil, nil
	}
	if w.read == nil && f.overdue != w.past && f.overdueSeq >= w.seq {
		w.read = f.overdue
	}
	if w.read != nil && (isClosed(w.read) || !f.room.hub.users.up.Load()) {
		return nil, nil
	}
	if f.moved == nil {
		f.moved = make(chan struct{})
	}
	return f.moved, w.read
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// expect schedules a read if acknowledged entries do not come live soon, or at once if
// their ids show that the log is another one.
func (f *follower) expect(receipts []protocol.Receipt) {
	f.room.mu.Lock()
	defer f.room.mu.Unlock()
	if f.room.closed {
		return
	}
	for _, receipt := range receipts {
		if !receipt.Duplicate && receipt.Refused == nil {
			f.doLocked(f.replica.Acknowledged(receipt.ID))
		}
	}
	f.watchLocked()
}

// watchLocked starts a timer for the acknowledged entries that did not come live yet.
func (f *follower) watchLocked() {
	expected, behind := f.replica.Behind()
	if f.watching || !behind {
		return
	}
	f.watching = true
	time.AfterFunc(liveWithin, func() {
		f.room.mu.Lock()
		defer f.room.mu.Unlock()
		f.watching = false
		if f.room.closed {
			return
		}
		if f.memory.Head().Seq < expected {
			f.overdue, f.overdueSeq = make(chan struct{}), expected
			f.waiting = append(f.waiting, f.overdue)
			f.doLocked(f.replica.Overdue(expected))
			f.hurryLocked()
			f.movedLocked() // those that wait for the entries wait for the read now
		}
		f.watchLocked()
	})
}

// historyTries is how often a page of the history is read again because the room grew
// faster than it was read.
const historyTries = 3

// History answers with up to limit messages of a room, as they stand, before the
// given entry, or its newest when that is zero, and whether there are older ones.
// If this node follows the room it calls reply under the room's lock: so everything
// that was delivered before is in the answer, and what is delivered afterwards comes
// after it. reply must neither block nor call back.
func (h *Hub) History(ctx context.Context, name string, before protocol.Cursor, limit int, reply func(list []protocol.Entry, more bool)) error {
	if before.Given && before.ID.IsZero() {
		reply(nil, false) // nothing is before the beginning
		return nil
	}
	r := h.rooms.find(name)
	if r != nil {
		r.log.awaitAcknowledged(ctx)
	}
	for try := 1; ; try++ {
		epoch, done := 0, false
		if r != nil {
			if epoch, done = r.answers.remembered(before, limit, reply); done {
				return nil
			}
		}
		n := limit
		if !before.Given {
			n = h.atMost(n)
		}
		page, err := h.page(ctx, name, before.ID, n)
		switch {
		case err != nil:
			return err
		case r == nil:
			reply(stands(page), page.More)
			return nil
		case r.answers.answer(page, !before.Given, limit, epoch, try == historyTries, reply):
			return nil
		}
	}
}

// page reads messages in the place of a call.
func (h *Hub) page(ctx context.Context, name string, before protocol.ID, n int) (protocol.Page, error) {
	p, err := h.reads.claim(ctx)
	if err != nil {
		return protocol.Page{}, err
	}
	defer p.release()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return h.broker.Messages(ctx, name, before, n)
}

// stands returns the messages of a page as they stand.
func stands(page protocol.Page) []protocol.Entry {
	list := make([]protocol.Entry, len(page.List))
	for i, s := range page.List {
		list[i] = s.Stands()
	}
	return list
}

// remembered answers History from memory if it can; else it returns the epoch of the
// replica.
func (a *answerer) remembered(before protocol.Cursor, limit int, reply func([]protocol.Entry, bool)) (epoch int, done bool) {
	a.log.room.mu.Lock()
	defer a.log.room.mu.Unlock()
	list, more, ok := a.log.memory.History(before, limit)
	if ok {
		reply(list, more)
	}
	return a.log.memory.Epoch(), ok
}

// answer answers History with what was read of the log, brought up to the room's head.
// If that can't be done it returns false without a reply, unless it is the last try.
func (a *answerer) answer(page protocol.Page, newest bool, limit, epoch int, last bool, reply func([]protocol.Entry, bool)) bool {
	a.log.room.mu.Lock()
	defer a.log.room.mu.Unlock()
	if !a.log.memory.Synced() {
		reply(stands(page), page.More)
		return true
	}
	list, more, ok := a.log.memory.Current(page, newest, limit)
	if (!ok || a.log.memory.Epoch() != epoch) && !last {
		return false
	}
	if !ok {
		list, more = stands(page), page.More
	}
	reply(list, more)
	return true
}
