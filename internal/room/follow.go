package room

import (
	"bytes"
	"context"
	"errors"
	"sort"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/protocol"
)

// follower is how far a room has followed its log. It is used under its room's
// lock.
type follower struct {
	head   protocol.ID // the newest entry that members were handed
	tail   tail
	synced chan struct{} // closed once head and tail are known

	catching bool // a goroutine reads the log
	again    bool // and shall do so once more
	// early is what came live while the log was read, or after a hole.
	early      []hint
	earlyBytes int
	unseen     int             // bytes handed to members since it was last seen how much waits for them
	waiting    []chan struct{} // closed when the reading is over
	extending  chan struct{}   // closed when the tail's extension is over
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

// firstRead is how many entries are read of a room that was not followed.
const firstRead = 100

// filledWithin is how long an entry that Redis has acknowledged to this node
// may take to come live before the log is read.
const filledWithin = 150 * time.Millisecond

// maxLive is the largest payload that is looked at: what the script publishes
// is a batch, whose bytes the committer bounds.
const maxLive = 4 << 20

func (f *follower) isSynced() bool {
	select {
	case <-f.synced:
		return true
	default:
		return false
	}
}

// want is what has to be read before a cursor can be answered.
type want int

const (
	wantNothing want = iota
	wantNewer        // the cursor is newer than the head
	wantTail         // it is older than what is in memory, which may hold more
	wantOlder        // only the log knows it
)

// looked is what was read of the log for a cursor that memory does not know.
type looked struct {
	caughtUp bool // the log was read to its end since the cursor came
	read     bool // the entries after the cursor were
	known    bool // the log held the cursor, and no more after it than are recovered
	list     []protocol.Entry
	head     protocol.ID // the newest entry that members had been handed before
}

// other reports whether the log that was read is another one than members have
// been handed: what they had last would stand in it after the cursor.
func (l *looked) other() bool {
	i := sort.Search(len(l.list), func(i int) bool { return l.list[i].ID.Seq >= l.head.Seq })
	return l.known && (i == len(l.list) || l.list[i].ID != l.head)
}

// since answers a cursor: the entries after it and whether they are all, or
// what has to be read first. What was read already is in l.
func (f *follower) since(cursor protocol.Cursor, l *looked) (list []protocol.Entry, recovered bool, w want) {
	newest := f.tail.newest(protocol.NewestCount)
	if !cursor.Given {
		return newest, false, wantNothing
	}
	after := cursor.ID
	if after.IsZero() && f.tail.complete() {
		return f.tail.list, true, wantNothing
	}
	if i, ok := f.tail.holds(after); ok {
		return f.tail.list[i+1:], true, wantNothing
	}
	switch {
	case l.read && l.known && !l.other() && after.Seq < f.head.Seq:
		if list, ok := f.splice(after, l.list); ok {
			return list, true, wantNothing
		}
		return newest, false, wantNothing
	case !l.caughtUp && (after.Seq >= f.head.Seq || l.read && l.known):
		return nil, false, wantNewer
	case l.read, after.Seq >= f.head.Seq:
		return newest, false, wantNothing
	}
	first := f.tail.at(0)
	if first < len(f.tail.list) && after.Seq < f.tail.list[first].ID.Seq && !f.tail.whole {
		full := len(f.tail.list) >= tailEntries
		if full && !f.tail.unsure && after.Seq < f.tail.floor {
			return newest, false, wantNothing // more than are recovered
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

// extend fills the tail with older entries. However many ask, the log is read
// once.
func (r *room) extend(ctx context.Context) error {
	r.mu.Lock()
	if wait := r.log.extending; wait != nil {
		r.mu.Unlock()
		select {
		case <-wait:
			return nil // whoever asked looks again
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done := make(chan struct{})
	r.log.extending = done
	first := r.log.tail.list[0].ID
	n := tailEntries - len(r.log.tail.list)
	r.mu.Unlock()

	list, more, err := r.hub.broker.Before(ctx, r.name, first, n)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.extending = nil
	close(done)
	if err != nil {
		return err
	}
	if t := &r.log.tail; len(t.list) > 0 && t.list[0].ID == first {
		had := len(t.list)
		t.prepend(list, !more)
		if len(t.list) == had && !t.whole {
			return errors.New("the tail can't be extended")
		}
	}
	return nil
}

// Live takes what was published in a room (broker.Listener).
func (h *Hub) Live(name string, payload []byte) {
	r := h.find(name)
	if r == nil || len(payload) == 0 || len(payload) > maxLive {
		return
	}
	switch payload[0] {
	case payloadEntries:
		r.liveEntries(payload[1:])
	case '{':
		r.doubt(payload)
	case payloadPresence:
		r.livePresence(payload[1:])
	case payloadTyping:
		r.liveTyping(payload[1:])
	case payloadRule:
		r.liveRule(payload[1:])
	}
}

// The first byte of a payload tells what it is. What the log takes is published
// as the id of the entry before, and the new entries, a line each.
const (
	payloadEntries  = 'e'
	payloadPresence = 'p'
	payloadTyping   = 't'
	payloadRule     = 'm'
	payloadRename   = 'r'
)

// liveEntries passes on what is next, drops what was had, and reads the log
// where something is missing or is not what it seems.
func (r *room) liveEntries(payload []byte) {
	first, rest, ok := bytes.Cut(payload, []byte("\n"))
	var after protocol.ID
	if len(first) > 0 && ok {
		var err error
		after, err = protocol.ParseID(string(first))
		ok = err == nil
	}
	if !ok {
		r.doubt(payload)
		return
	}
	r.hub.traces.hear(rest)
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range bytes.SplitSeq(rest, []byte("\n")) {
		id, ok := protocol.EntryID(line)
		if !ok || !jsontext.Value(line).IsValid() {
			r.doubtLocked()
			return
		}
		r.hearLocked(hint{after, protocol.Entry{ID: id, Raw: line}})
		after = id
	}
}

// doubt has the log decide about something published that can't be judged by
// itself: it does not tell what it follows, or is no entry.
func (r *room) doubt(payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := protocol.EntryID(payload); ok {
		if _, had := r.log.tail.holds(id); had {
			return
		}
	}
	r.doubtLocked()
}

func (r *room) doubtLocked() {
	r.hub.log.Warn("something published in a room is no entry as nodes publish them: the log decides", "room", r.name)
	r.catchUpLocked()
}

func (r *room) hearLocked(e hint) {
	f := &r.log
	_, had := f.tail.holds(e.ID)
	switch {
	case !f.isSynced() || f.catching:
		r.keepEarlyLocked(e)
	case e.follows(f.head) && r.fullLocked(len(e.Raw)):
		r.keepEarlyLocked(e)
		r.catchUpLocked() // in turns
	case e.follows(f.head):
		r.passOnLocked(e.Entry)
	case had:
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
	r.log.head = e.ID
	r.log.tail.push(e)
	if kind, target := e.Change(); kind == protocol.Delete {
		r.log.tail.erase(target)
		r.eraseBacklogsLocked(target)
	}
	r.broadcastLocked(e.Event(), r.behindLocked)
	r.hub.traces.noteEntry(e, Handed)
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

// Following is told when all that is published in the room will be heard from
// now on (broker.Listener): what came before may have been missed.
func (h *Hub) Following(name string) {
	if r := h.find(name); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.catchUpLocked()
		r.loadPresenceLocked()
	}
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
		r.startOverLocked(p.list, p.whole, synced)
	}
	if p.more || r.log.again {
		return r.closed, nil
	}
	return r.spliceEarlyLocked(), nil
}

// logPiece is a part of a log: what follows a place that was found in it, or
// else its newest part, and whether that is the whole log.
type logPiece struct {
	list               []protocol.Entry
	found, more, whole bool
}

// readPiece reads what follows the head, or the newest part where that is not
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
		var older bool
		p.list, older, err = h.broker.Newest(ctx, r.name, firstRead)
		p.whole, p.more = !older, false
	}
	return p, err
}

// startOverLocked takes the newest part of the log in place of what was known.
// Members that followed another log are told.
func (r *room) startOverLocked(list []protocol.Entry, whole, followed bool) {
	f := &r.log
	f.tail.set(list, whole)
	f.head = protocol.ID{}
	if n := len(list); n > 0 {
		f.head = list[n-1].ID
	}
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
