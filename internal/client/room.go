package client

import (
	"time"

	"example.com/chat/internal/protocol"
)

// What an Update tells.
const (
	// KindEntry: Entry is the next entry of the room.
	KindEntry Kind = iota
	// KindGap: the room could not be resumed where it was left; entries are
	// missing before the next one.
	KindGap
	// KindReset: the room's log is no longer the one that was followed; what
	// was told of it is void, and what comes is the new log's newest part.
	KindReset
	// KindEnded: the node refuses the room for good; Err says why. It is the
	// last update.
	KindEnded
)

// Kind says what an Update tells.
type Kind int

// Update is one step of a followed room.
type Update struct {
	Kind  Kind
	Room  string
	Entry Entry
	Err   error
}

// room is one room that a Session is in. Its Session's mu guards all of it but
// the constants on top.
type room struct {
	name   string
	after  protocol.Cursor // from where the user wants it; none for the newest
	newest int             // how many entries the user wants first, where after is none
	handle func(Update)    // nil where nobody listens
	ready  chan struct{}

	begun   bool  // the first entries are with the user, or on their way
	open    bool  // ready is closed
	err     error // why the node refuses the room for good
	joining bool  // a join is under way, or will be
	joined  bool  // on the Session's connection
	tries   int   // joins refused in a row
	turn    int   // counts joins: only the newest one's answer is taken
	hello   *Conn // whose hello was the newest join; nil for a command
	// anew: the next joined is a beginning, not a resumption.
	anew bool
	// last is the cursor; it moves with every entry that comes.
	last protocol.Cursor

	// more: the last joined did not hold all entries up to head; they follow. Where
	// they are messages as they stand, the entry of the head may follow them, which
	// shows that they are complete.
	more  bool
	stand bool
	head  protocol.ID
	moved time.Time // when the newest of them came

	// While gathering, the newest entries are not complete, and nothing is told:
	// old is what there is so far.
	gathering bool
	// While filling, older entries than those of joined are fetched, and nothing
	// is told: old is what there is so far, fresh what has come since.
	filling    bool
	old, fresh []Entry
}

func newRoom(name string, f Follow, after protocol.Cursor) *room {
	return &room{
		name: name, after: after, newest: f.Newest, handle: f.Handle,
		ready: make(chan struct{}), anew: true,
	}
}

// maxFresh bounds what is kept while older entries are fetched: past it, the
// user gets no more of those.
const maxFresh = 1000

// lost notes that the connection is gone. What has arrived is kept: the next
// join goes on behind it.
func (r *room) lost() {
	r.joining, r.joined, r.more = false, false, false
}

// restart forgets the place in the log, and what was not told.
func (r *room) restart() {
	r.anew, r.after, r.last = true, protocol.Cursor{}, protocol.Cursor{}
	r.gathering, r.filling, r.old, r.fresh = false, false, nil, nil
}

// begin notes that there is nothing to wait for before the user is told; tell closes
// ready when that is done.
func (r *room) begin() { r.begun = true }

// afterOf writes a cursor as join and hello have it.
func afterOf(c protocol.Cursor) string {
	if !c.Given {
		return ""
	}
	return c.ID.Head()
}

// cursor is where the next join begins.
func (r *room) cursor() protocol.Cursor {
	if r.anew && !r.begun {
		return r.after
	}
	return r.last
}

func (r *room) entries(list []Entry) []Update {
	updates := make([]Update, len(list))
	for i, e := range list {
		updates[i] = Update{Kind: KindEntry, Room: r.name, Entry: e}
	}
	return updates
}

// resumed takes a joined: what it holds, and what it says about what it doesn't.
func (r *room) resumed(j protocol.JoinedEvent, head protocol.ID, list []Entry) []Update {
	before := r.cursor()
	first := r.anew
	r.joining, r.joined, r.anew, r.tries = false, true, false, 0
	r.head, r.more, r.stand, r.moved = head, j.More, !j.Recovered, time.Now()
	switch {
	case !j.More:
		r.last = protocol.At(head)
	case len(list) > 0:
		r.last = protocol.At(list[len(list)-1].At)
	default:
		r.last = before
	}
	if r.gathering || r.filling {
		if j.Recovered {
			return r.keep(since(list, before.ID.Seq))
		}
		r.gathering, r.filling, r.old, r.fresh = false, false, nil, nil
		first, before = true, protocol.Cursor{} // nothing was told: begin once more
	}
	if first && !before.Given {
		return r.firstEntries(list)
	}
	if !r.more {
		r.begin()
	}
	gap := []Update{{Kind: KindGap, Room: r.name}}
	switch {
	case j.Recovered:
		return r.entries(since(list, before.ID.Seq))
	case before.ID.IsZero():
		if head.IsZero() {
			return nil
		}
		return append(gap, r.entries(list)...)
	case otherLog(before.ID, head, list):
		if !first { // else the user's own cursor is of another log
			gap[0].Kind = KindReset
		}
		return append(gap, r.entries(list)...)
	}
	return append(gap, r.entries(since(list, before.ID.Seq))...)
}

// firstEntries begins with the room's newest entries.
func (r *room) firstEntries(list []Entry) []Update {
	if r.begun { // anew after a reset
		return r.entries(list)
	}
	r.gathering, r.old = true, list
	if r.more {
		return nil
	}
	return r.gathered()
}

// gathered ends the gathering of the newest entries: they are told, or older
// ones are fetched first.
func (r *room) gathered() []Update {
	list := r.old
	r.gathering, r.old = false, nil
	if n := len(list) - r.newest; n >= 0 || len(list) < protocol.NewestCount {
		r.begin()
		return r.entries(list[max(0, n):])
	}
	r.filling, r.old = true, list
	return nil
}

// keep keeps entries that are not told yet.
func (r *room) keep(list []Entry) []Update {
	switch {
	case r.filling:
		r.fresh = append(r.fresh, list...)
		if len(r.fresh) > maxFresh {
			return r.filled()
		}
		return nil
	case len(r.old)+len(list) > maxFresh: // a room this busy has no newest entries to wait for
		list = append(r.old, list...)
		r.gathering, r.old = false, nil
		r.begin()
		return r.entries(list[max(0, len(list)-r.newest):])
	}
	r.old = append(r.old, list...)
	if r.more {
		return nil
	}
	return r.gathered()
}

// otherLog tells from what came in place of the entries after a cursor whether
// the cursor is of a log that is no more.
func otherLog(cursor, head protocol.ID, list []Entry) bool {
	if head.Seq < cursor.Seq {
		return true
	}
	for _, e := range list {
		if e.At.Seq == cursor.Seq {
			return e.At != cursor
		}
	}
	return false
}

func since(list []Entry, seq int64) []Entry {
	for len(list) > 0 && list[0].At.Seq <= seq {
		list = list[1:]
	}
	return list
}

// filled ends the fetching of older entries.
func (r *room) filled() []Update {
	list := append(r.old[max(0, len(r.old)-r.newest):], r.fresh...)
	r.filling, r.old, r.fresh = false, nil, nil
	r.begin()
	return r.entries(list)
}

// next takes an entry that came by itself. ask is true where entries before it
// are missing: the node promises that they never are, but a deleted one is.
func (r *room) next(e Entry) (updates []Update, ask bool) {
	if !r.joined || e.At.Seq <= r.last.ID.Seq {
		return nil, false // the joined to come holds it, or it was told
	}
	if r.more && e.At.Seq > r.head.Seq {
		updates = r.caughtUp()
	}
	if !r.more && e.At.Seq > r.last.ID.Seq+1 && !r.filling {
		return updates, true
	}
	r.last = protocol.At(e.At)
	r.moved = time.Now()
	if r.more && r.stand && e.At == r.head && protocol.Says(e.Kind) {
		return append(updates, r.caughtUp()...), false // the messages contain this change
	}
	if r.gathering || r.filling {
		updates = append(updates, r.keep([]Entry{e})...)
	} else {
		updates = append(updates, r.entries([]Entry{e})...)
	}
	if r.more && e.At == r.head {
		updates = append(updates, r.caughtUp()...)
	}
	return updates, false
}

// caughtUp notes that all entries up to the head of the last joined are here.
func (r *room) caughtUp() []Update {
	if !r.more {
		return nil
	}
	r.last = protocol.At(r.head)
	return r.complete()
}

// complete ends the wait for the rest of a joined. The cursor stays where it is: should
// something be missing nevertheless, the next entry shows it.
func (r *room) complete() []Update {
	r.more = false
	if r.gathering {
		return r.gathered()
	}
	if !r.filling {
		r.begin()
	}
	return nil
}
