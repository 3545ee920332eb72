package client

import (
	"time"

	"example.com/chat/internal/protocol"
)

// The kinds of updates.
const (
	// KindEntry: Entry is the next entry of the room.
	KindEntry Kind = iota
	// KindGap: the room could not be recovered from its cursor; entries are missing
	// before the next one.
	KindGap
	// KindReset: the room's log was replaced. Updates so far are void; the newest part
	// of the new log follows.
	KindReset
	// KindEnded: the node refuses the room permanently; Err is why. It is the last
	// update.
	KindEnded
)

// Kind is the kind of an Update.
type Kind int

// Update is one step of a followed room.
type Update struct {
	Kind  Kind
	Room  string
	Entry Entry
	Err   error
}

// room is one room of a Session. The Session's mu guards all of it but the constants at
// the top.
type room struct {
	name   string
	after  protocol.Cursor // where the caller begins; not Given for the newest entries
	newest int             // how many entries the caller gets first, if after is not Given
	handle func(Update)    // nil if the caller does not follow the room
	ready  chan struct{}

	begun   bool  // the first entries were passed on, or are about to be
	open    bool  // ready is closed
	err     error // the permanent refusal
	joining bool  // a join is in flight or scheduled
	joined  bool  // on the Session's connection
	tries   int   // consecutive refused joins
	turn    int   // numbers the joins: only the reply to the newest one counts
	hello   *Conn // the connection whose hello was the newest join; nil for a command
	// anew: the next joined begins the room, it does not recover it.
	anew bool
	// last is the cursor; it moves with every entry received.
	last protocol.Cursor

	// more: the rest of the last joined, up to head, follows as events. If it is of
	// messages as they stand, the entry of head may follow them, which shows that they
	// are complete.
	more  bool
	stand bool
	head  protocol.ID
	moved time.Time // when the newest of them arrived

	// gathering: the newest entries are not complete yet, and nothing is passed on. old
	// holds those received so far.
	gathering bool
	// filling: older messages are being requested, and nothing is passed on. old holds
	// those received so far, fresh the entries that arrived meanwhile.
	filling    bool
	old, fresh []Entry
}

func newRoom(name string, f Follow, after protocol.Cursor) *room {
	return &room{
		name: name, after: after, newest: f.Newest, handle: f.Handle,
		ready: make(chan struct{}), anew: true,
	}
}

// maxFresh bounds the entries kept while older ones are requested; beyond it, no more
// older ones are.
const maxFresh = 1000

// lost records the end of the connection. Received entries are kept; the next join
// continues after them.
func (r *room) lost() {
	r.joining, r.joined, r.more = false, false, false
}

// restart drops the cursor, and the entries not passed on.
func (r *room) restart() {
	r.anew, r.after, r.last = true, protocol.Cursor{}, protocol.Cursor{}
	r.gathering, r.filling, r.old, r.fresh = false, false, nil, nil
}

// begin records that updates may be passed on; tell closes ready after the first.
func (r *room) begin() { r.begun = true }

// afterOf returns a cursor in the form of join and hello.
func afterOf(c protocol.Cursor) string {
	if !c.Given {
		return ""
	}
	return c.ID.Head()
}

// cursor returns where the next join begins.
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

// resumed handles a joined and returns the updates: its entries, and what its flags
// mean.
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
		first, before = true, protocol.Cursor{} // nothing was passed on yet: begin again
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
		if !first { // else the caller's own cursor is of another log
			gap[0].Kind = KindReset
		}
		return append(gap, r.entries(list)...)
	}
	return append(gap, r.entries(since(list, before.ID.Seq))...)
}

// firstEntries begins with the newest entries of the room.
func (r *room) firstEntries(list []Entry) []Update {
	if r.begun { // after a reset
		return r.entries(list)
	}
	r.gathering, r.old = true, list
	if r.more {
		return nil
	}
	return r.gathered()
}

// gathered ends the gathering of the newest entries: it returns them, or starts to fill
// with older ones.
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

// keep keeps entries that are not passed on yet.
func (r *room) keep(list []Entry) []Update {
	switch {
	case r.filling:
		r.fresh = append(r.fresh, list...)
		if len(r.fresh) > maxFresh {
			return r.filled()
		}
		return nil
	case len(r.old)+len(list) > maxFresh: // a room this busy does not wait for its newest entries
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

// otherLog reports whether a cursor belongs to another log, judging by the entries
// received in place of those after it.
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

// filled ends the filling and returns its updates.
func (r *room) filled() []Update {
	list := append(r.old[max(0, len(r.old)-r.newest):], r.fresh...)
	r.filling, r.old, r.fresh = false, nil, nil
	r.begin()
	return r.entries(list)
}

// next handles an entry that arrived as an event. ask is true if entries before it are
// missing: a node never skips any but deleted ones.
func (r *room) next(e Entry) (updates []Update, ask bool) {
	if !r.joined || e.At.Seq <= r.last.ID.Seq {
		return nil, false // the next joined will have it, or it was passed on
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
		return append(updates, r.caughtUp()...), false // the messages include this change
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

// caughtUp records that all entries up to the head of the last joined have arrived.
func (r *room) caughtUp() []Update {
	if !r.more {
		return nil
	}
	r.last = protocol.At(r.head)
	return r.complete()
}

// complete ends the wait for the rest of a joined. The cursor stays: if anything is
// missing after all, the next entry shows it.
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
