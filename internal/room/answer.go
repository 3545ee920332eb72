package room

import (
	"context"
	"sort"

	"example.com/chat/internal/protocol"
)

// want is what has to be read before a cursor can be answered.
type want int

const (
	wantNothing  want = iota
	wantNewer         // the cursor is newer than the head
	wantTail          // it is older than what is in memory, which may hold more
	wantOlder         // only the log knows it
	wantMessages      // memory holds fewer messages than a join brings, and the log may hold more
)

// looked is what was read of the log for a cursor that memory does not know.
type looked struct {
	caughtUp bool // the log was read to its end since the cursor came
	read     bool // the entries after the cursor were
	known    bool // the log held the cursor, and no more after it than are recovered
	filled   bool // older messages were
	list     []protocol.Entry
	head     protocol.ID // the newest entry that members had been handed before
}

// other reports whether the log that was read is another one than members have
// been handed: what they had last would stand in it after the cursor.
func (l *looked) other() bool {
	i := sort.Search(len(l.list), func(i int) bool { return l.list[i].ID.Seq >= l.head.Seq })
	return l.known && (i == len(l.list) || l.list[i].ID != l.head)
}

// since answers a cursor: with the entries after it, or else with the newest
// messages as they stand, and which of the two; or with what has to be read first.
// What was read already is in l.
func (f *follower) since(cursor protocol.Cursor, l *looked) (list []protocol.Entry, recovered bool, w want) {
	if cursor.Given {
		if list, recovered, w = f.recover(cursor.ID, l); recovered || w != wantNothing {
			return list, recovered, w
		}
	}
	if len(f.messages.list) < protocol.NewestCount && !f.messages.complete() && !l.filled {
		return nil, false, wantMessages
	}
	return f.messages.newest(protocol.NewestCount), false, wantNothing
}

// recover returns the entries after a cursor, or what has to be read to know them.
func (f *follower) recover(after protocol.ID, l *looked) (list []protocol.Entry, recovered bool, w want) {
	if list, ok := f.tail.after(after); ok {
		return list, true, wantNothing
	}
	switch {
	case l.read && l.known && !l.other() && after.Seq < f.head.Seq:
		list, recovered = f.splice(after, l.list)
		return list, recovered, wantNothing
	case !l.caughtUp && (after.Seq >= f.head.Seq || l.read && l.known):
		return nil, false, wantNewer
	case l.read, after.Seq >= f.head.Seq:
		return nil, false, wantNothing
	}
	if after.Seq <= f.tail.floor && !f.tail.ended {
		full := len(f.tail.list) >= tailEntries
		if full && !f.tail.unsure && after.Seq < f.tail.floor {
			return nil, false, wantNothing // more than are recovered
		}
		if !full && f.tail.bytes < tailBytes/2 {
			return nil, false, wantTail
		}
	}
	return nil, false, wantOlder
}

// splice joins what was read of the log after the cursor with what has come
// live since, and leaves out what is still to come live.
func (f *follower) splice(after protocol.ID, older []protocol.Entry) ([]protocol.Entry, bool) {
	list := make([]protocol.Entry, 0, len(older)+8)
	last := after.Seq
	for _, e := range older {
		if e.ID.Seq > f.head.Seq {
			break
		}
		list = append(list, e)
		last = e.ID.Seq
	}
	if f.tail.floor > last {
		return nil, false // more came than memory keeps: a hole between the two
	}
	list = append(f.tail.withoutDeleted(list), f.tail.list[f.tail.at(last+1):]...)
	return list, len(list) <= protocol.MaxRecovered
}

// readOlder reads what the log holds after the cursor.
func (r *room) readOlder(ctx context.Context, after protocol.ID, l *looked) error {
	r.mu.Lock()
	l.head = r.log.head
	r.mu.Unlock()
	list, found, more, err := r.hub.broker.After(ctx, r.name, after, protocol.MaxRecovered)
	l.read, l.known, l.list = true, found && !more, list
	return err
}

// alone runs read, unless somebody else does so for the room: then it waits for
// that. under is the room's field that tells so.
func (r *room) alone(ctx context.Context, under *chan struct{}, read func() error) error {
	r.mu.Lock()
	if wait := *under; wait != nil {
		r.mu.Unlock()
		select {
		case <-wait:
			return nil // whoever asked looks again
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done := make(chan struct{})
	*under = done
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		*under = nil
		close(done)
	}()
	return read()
}

// extend fills the tail with older entries. However many ask, the log is read
// once.
func (r *room) extend(ctx context.Context) error {
	return r.alone(ctx, &r.log.extending, func() error {
		before, n, was := r.belowTail()
		list, more, err := r.hub.broker.Before(ctx, r.name, before, n)
		if err != nil {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if t := &r.log.tail; t.epoch == was.epoch && t.floor == was.floor {
			t.prepend(list, more)
		}
		return nil
	})
}

// belowTail returns the id that the first entry before the tail comes before, how
// many the tail has place for, and where it begins.
func (r *room) belowTail() (before protocol.ID, n int, was tail) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.log.tail
	before = protocol.ID{MS: r.log.head.MS, Seq: r.log.head.Seq + 1}
	if len(t.list) > 0 {
		before = t.list[0].ID
	}
	return before, max(1, tailEntries-len(t.list)), *t
}

// fill reads older messages than those in memory. However many ask, the log is
// read once.
func (r *room) fill(ctx context.Context, l *looked) error {
	l.filled = true // what is not there then is not there
	return r.alone(ctx, &r.log.filling, func() error {
		before, epoch := r.belowMessages()
		page, err := r.hub.broker.Messages(ctx, r.name, before, r.hub.atMost(firstRead))
		if err != nil {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		f := &r.log
		if f.tail.epoch != epoch || len(f.messages.list) > 0 && f.messages.list[0].ID.Seq < before.Seq {
			return nil
		}
		if older, ok := f.bringUp(page, false); ok {
			f.messages.fill(older, !page.More)
		}
		return nil
	})
}

// belowMessages returns the id that the first message before those in memory comes
// before, and the epoch of the tail.
func (r *room) belowMessages() (before protocol.ID, epoch int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = protocol.ID{MS: r.log.head.MS, Seq: r.log.head.Seq + 1}
	if list := r.log.messages.list; len(list) > 0 {
		before = list[0].ID
	}
	return before, r.log.tail.epoch
}

// historyTries is how often a page of the history is read anew because the room
// went on faster than it was read.
const historyTries = 3

// History answers with up to limit messages of a room, as they stand, before the
// given entry, or its newest when that is zero, and whether there are older ones.
// Where this node follows the room it calls reply under the room's lock: so all
// that members were handed before is in the answer, and what they are handed
// afterwards comes after it. reply must neither block nor call back.
func (h *Hub) History(ctx context.Context, name string, before protocol.Cursor, limit int, reply func(list []protocol.Entry, more bool)) error {
	if before.Given && before.ID.IsZero() {
		reply(nil, false) // nothing is before the beginning
		return nil
	}
	r := h.find(name)
	if r != nil {
		r.awaitAcknowledged(ctx)
	}
	for try := 1; ; try++ {
		epoch, done := 0, false
		if r != nil {
			if epoch, done = r.remembered(before, limit, reply); done {
				return nil
			}
		}
		n := limit
		if !before.Given {
			n = h.atMost(n)
		}
		page, err := h.broker.Messages(ctx, name, before.ID, n)
		switch {
		case err != nil:
			return err
		case r == nil:
			reply(stands(page), page.More)
			return nil
		case r.answer(page, !before.Given, limit, epoch, try == historyTries, reply):
			return nil
		}
	}
}

// stands are the messages of a page as they stand.
func stands(page protocol.Page) []protocol.Entry {
	list := make([]protocol.Entry, len(page.List))
	for i, s := range page.List {
		list[i] = s.Stands()
	}
	return list
}

// remembered answers History from memory, where it can; else it returns the epoch of
// the tail.
func (r *room) remembered(before protocol.Cursor, limit int, reply func([]protocol.Entry, bool)) (epoch int, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &r.log.messages
	end := len(m.list)
	if before.Given {
		end = m.at(before.ID.Seq)
	}
	if !r.log.isSynced() || before.ID.Seq > r.log.head.Seq || end < limit && !m.complete() {
		return r.log.tail.epoch, false
	}
	from := max(0, end-limit)
	reply(shown(m.list[from:end]), from > 0 || !m.complete())
	return r.log.tail.epoch, true
}

// answer answers History from what was read of the log, brought up to the room's
// head. It is false, and reply not called, where that can't be done and it is not the
// last try.
func (r *room) answer(page protocol.Page, newest bool, limit, epoch int, last bool, reply func([]protocol.Entry, bool)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.log
	if !f.isSynced() {
		reply(stands(page), page.More)
		return true
	}
	list, ok := f.bringUp(page, newest)
	if (!ok || f.tail.epoch != epoch) && !last {
		return false
	}
	if !ok {
		reply(stands(page), page.More)
		return true
	}
	over := max(0, len(list)-limit)
	reply(shown(list[over:]), page.More || over > 0)
	return true
}

// atMost bounds how many messages are read by how many a room holds.
func (h *Hub) atMost(n int) int {
	if h.cfg.History > 0 {
		return min(n, h.cfg.History)
	}
	return n
}
