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

// timeline puts the entries of one room in order: it decides which updates the caller
// gets, and which entries must be requested. It has no lock, clock or connection. Its
// room guards it.
type timeline struct {
	room   string
	after  protocol.Cursor // where the caller begins; not Given for the newest entries
	newest int             // how many entries the caller gets first, if after is not Given

	begun bool // the first entries were passed on, or are about to be
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

// maxFresh bounds the entries kept while older ones are requested; beyond it, no more
// older ones are.
const maxFresh = 1000

// lost records the end of the connection. Received entries are kept; the next join
// continues after them.
func (t *timeline) lost() { t.more = false }

// restart drops the cursor, and the entries not passed on.
func (t *timeline) restart() {
	t.anew, t.after, t.last, t.more = true, protocol.Cursor{}, protocol.Cursor{}, false
	t.gathering, t.filling, t.old, t.fresh = false, false, nil, nil
}

// restWithin reports whether an entry of the rest of the last joined has arrived within
// the duration before now, and more must follow.
func (t *timeline) restWithin(d time.Duration, now time.Time) bool {
	return t.more && now.Sub(t.moved) < d
}

// cursor returns where the next join begins.
func (t *timeline) cursor() protocol.Cursor {
	if t.anew && !t.begun {
		return t.after
	}
	return t.last
}

// entries returns the updates of entries.
func (t *timeline) entries(list []Entry) []Update {
	updates := make([]Update, len(list))
	for i, e := range list {
		updates[i] = Update{Kind: KindEntry, Room: t.room, Entry: e}
	}
	return updates
}

// resumed handles a joined, whose entries are list, and returns the updates: the
// entries, and what the joined says about the cursor.
func (t *timeline) resumed(j protocol.JoinedEvent, head protocol.ID, list []Entry, now time.Time) []Update {
	before := t.cursor()
	first := t.anew
	t.anew = false
	t.head, t.more, t.stand, t.moved = head, j.More, !j.Recovered, now
	switch {
	case !j.More:
		t.last = protocol.At(head)
	case len(list) > 0:
		t.last = protocol.At(list[len(list)-1].At)
	default:
		t.last = before
	}
	if t.gathering || t.filling {
		if j.Recovered {
			return t.keep(since(list, before.ID.Seq))
		}
		t.gathering, t.filling, t.old, t.fresh = false, false, nil, nil
		first, before = true, protocol.Cursor{} // nothing was passed on yet: begin again
	}
	if first && !before.Given {
		return t.firstEntries(list)
	}
	if !t.more {
		t.begun = true
	}
	gap := []Update{{Kind: KindGap, Room: t.room}}
	switch {
	case j.Recovered:
		return t.entries(since(list, before.ID.Seq))
	case before.ID.IsZero():
		if head.IsZero() {
			return nil
		}
		return append(gap, t.entries(list)...)
	case otherLog(before.ID, head, list):
		if !first { // else the caller's own cursor is of another log
			gap[0].Kind = KindReset
		}
		return append(gap, t.entries(list)...)
	}
	return append(gap, t.entries(since(list, before.ID.Seq))...)
}

// firstEntries begins with the newest entries of the room.
func (t *timeline) firstEntries(list []Entry) []Update {
	if t.begun { // after a reset
		return t.entries(list)
	}
	t.gathering, t.old = true, list
	if t.more {
		return nil
	}
	return t.gathered()
}

// gathered ends the gathering of the newest entries: it returns them, or starts to fill
// with older ones.
func (t *timeline) gathered() []Update {
	list := t.old
	t.gathering, t.old = false, nil
	if n := len(list) - t.newest; n >= 0 || len(list) < protocol.NewestCount {
		t.begun = true
		return t.entries(list[max(0, n):])
	}
	t.filling, t.old = true, list
	return nil
}

// keep keeps entries that are not passed on yet.
func (t *timeline) keep(list []Entry) []Update {
	switch {
	case t.filling:
		t.fresh = append(t.fresh, list...)
		if len(t.fresh) > maxFresh {
			return t.filled()
		}
		return nil
	case len(t.old)+len(list) > maxFresh: // a room this busy does not wait for its newest entries
		list = append(t.old, list...)
		t.gathering, t.old = false, nil
		t.begun = true
		return t.entries(list[max(0, len(list)-t.newest):])
	}
	t.old = append(t.old, list...)
	if t.more {
		return nil
	}
	return t.gathered()
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

// since returns the entries after a seq.
func since(list []Entry, seq int64) []Entry {
	for len(list) > 0 && list[0].At.Seq <= seq {
		list = list[1:]
	}
	return list
}

// page returns the request for the next older messages; ok is false if none are needed.
func (t *timeline) page() (cmd protocol.HistoryCommand, ok bool) {
	if !t.filling || len(t.old) == 0 {
		return protocol.HistoryCommand{}, false
	}
	return protocol.HistoryCommand{Room: t.room, Before: t.old[0].ID, Limit: min(protocol.MaxHistory, t.newest-len(t.old))}, true
}

// fill adds a page of older messages. more reports that there are older ones still, and
// fill returns true if the next page is needed.
func (t *timeline) fill(list []Entry, more bool) (updates []Update, again bool) {
	if !t.filling || len(t.old) == 0 {
		return nil, false
	}
	for len(list) > 0 && list[len(list)-1].At.Seq >= t.old[0].At.Seq {
		list = list[:len(list)-1]
	}
	t.old = append(list, t.old...)
	if len(list) > 0 && more && len(t.old) < t.newest {
		return nil, true
	}
	return t.filled(), false
}

// filled ends the filling and returns its updates.
func (t *timeline) filled() []Update {
	list := append(t.old[max(0, len(t.old)-t.newest):], t.fresh...)
	t.filling, t.old, t.fresh = false, nil, nil
	t.begun = true
	return t.entries(list)
}

// next handles an entry that arrived as an event. ask is true if entries before it are
// missing, so that the room must be joined again: a node never skips any but deleted
// ones.
func (t *timeline) next(e Entry, now time.Time) (updates []Update, ask bool) {
	if e.At.Seq <= t.last.ID.Seq {
		return nil, false // it was passed on
	}
	if t.more && e.At.Seq > t.head.Seq {
		updates = t.caughtUp()
	}
	if !t.more && e.At.Seq > t.last.ID.Seq+1 && !t.filling {
		return updates, true
	}
	t.last = protocol.At(e.At)
	t.moved = now
	if t.more && t.stand && e.At == t.head && protocol.Says(e.Kind) {
		return append(updates, t.caughtUp()...), false // the messages include this change
	}
	if t.gathering || t.filling {
		updates = append(updates, t.keep([]Entry{e})...)
	} else {
		updates = append(updates, t.entries([]Entry{e})...)
	}
	if t.more && e.At == t.head {
		updates = append(updates, t.caughtUp()...)
	}
	return updates, false
}

// caughtUp records that all entries up to the head of the last joined have arrived.
func (t *timeline) caughtUp() []Update {
	if !t.more {
		return nil
	}
	t.last = protocol.At(t.head)
	return t.complete()
}

// complete ends the wait for the rest of a joined. The cursor stays: if anything is
// missing after all, the next entry shows it.
func (t *timeline) complete() []Update {
	t.more = false
	if t.gathering {
		return t.gathered()
	}
	if !t.filling {
		t.begun = true
	}
	return nil
}
