package replica

import (
	"slices"
	"sort"

	"example.com/chat/internal/protocol"
)

// Bounds of the newest entries, and of the newest messages, in memory. As many
// as a join is answered with (protocol.NewestCount) are always kept.
const (
	tailEntries = protocol.MaxRecovered
	tailBytes   = 1 << 20
)

// tail is the newest part of the log, entries of all kinds, without what was
// deleted: seqs of deleted entries are skipped, and nothing else is missing.
type tail struct {
	list  []protocol.Entry
	array []protocol.Entry // see appendSliding
	bytes int
	// messages and edits count these kinds in list.
	messages, edits int
	// keep is how many messages the log holds at most; 0 means any number.
	keep int
	// spare is how many bytes the list may hold beyond tailBytes for a while.
	spare int

	// floor is the seq up to which entries may be missing from the list. The log
	// has an entry with that seq, unless unsure; base is its id, or zero if it is
	// not known.
	floor  int64
	base   protocol.ID
	unsure bool
	// ended is set if nothing can be added before the list: the log holds nothing
	// that leads up to it without a gap, or memory has no room for it.
	ended bool
	// epoch counts the calls of begin.
	epoch int
}

// begin empties the tail, except for the log's newest entry; zero if the log is
// empty.
func (t *tail) begin(head protocol.Entry) {
	*t = tail{keep: t.keep, epoch: t.epoch + 1, unsure: true}
	if t.ended = head.ID.IsZero(); !t.ended {
		t.floor = head.ID.Seq - 1
		t.push(head)
	}
}

// push adds the next entry, and drops the oldest ones beyond the bounds.
func (t *tail) push(e protocol.Entry) {
	t.list = appendSliding(&t.array, t.list, e)
	t.count(e, 1)
	drop := 0
	bytes := t.bytes
	for n := len(t.list); n > tailEntries || n > protocol.NewestCount && bytes > tailBytes+t.spare; n-- {
		bytes -= len(t.list[drop].Raw)
		drop++
	}
	t.drop(drop)
	for t.keep > 0 && t.messages > t.keep {
		t.expire(t.list[slices.IndexFunc(t.list, protocol.Entry.IsMessage)].ID)
	}
}

// expire drops a message that has left the log by its bound, its edits, and all
// entries before them.
func (t *tail) expire(id protocol.ID) {
	if id.IsZero() {
		return
	}
	last := -1
	for i, e := range t.list {
		if e.ID.Seq > id.Seq && t.edits == 0 {
			break
		}
		if deletedBy(e, func(of protocol.ID) bool { return of == id }) {
			last = i
		}
	}
	if last >= 0 {
		t.drop(last + 1)
		t.ended = true
	}
}

// count adds an entry to the counts, or removes it with -1.
func (t *tail) count(e protocol.Entry, by int) {
	t.bytes += by * len(e.Raw)
	switch {
	case e.Kind == protocol.Edit:
		t.edits += by
	case e.IsMessage():
		t.messages += by
	}
}

// drop drops the oldest n entries.
func (t *tail) drop(n int) {
	if n == 0 {
		return
	}
	for _, e := range t.list[:n] {
		t.count(e, -1)
	}
	t.base = t.list[n-1].ID
	t.floor, t.unsure, t.ended = t.base.Seq, false, false
	clear(t.list[:n]) // so that their bytes can be freed
	t.list = t.list[n:]
}

// prepend adds the entries just before the list, as far as the bounds allow. more
// is whether there are others before them.
func (t *tail) prepend(older []protocol.Entry, more bool) {
	older = t.withoutDeleted(older) // since they were read
	from, bytes, messages := len(older), t.bytes, t.messages
	for from > 0 {
		e := older[from-1]
		n := len(t.list) + len(older) - from
		bytes += len(e.Raw)
		if e.IsMessage() {
			messages++
		}
		if n >= tailEntries || n >= protocol.NewestCount && bytes > tailBytes+t.spare || t.keep > 0 && messages > t.keep {
			break
		}
		from--
	}
	t.ended = !more || from > 0 || len(older) == 0
	left, older := older[:from], older[from:]
	if len(older) == 0 {
		return
	}
	t.list = slices.Concat(older, t.list)
	for _, e := range older {
		t.count(e, 1)
	}
	if len(left) > 0 && (t.keep == 0 || messages <= t.keep) {
		t.base = left[len(left)-1].ID // which the log holds
		t.floor, t.unsure = t.base.Seq, false
		return
	}
	t.floor, t.base, t.unsure = older[0].ID.Seq-1, protocol.ID{}, true
}

// shrink drops the oldest entries beyond the usual bound.
func (t *tail) shrink() {
	t.spare = 0
	drop, bytes := 0, t.bytes
	for n := len(t.list); n > protocol.NewestCount && bytes > tailBytes; n-- {
		bytes -= len(t.list[drop].Raw)
		drop++
	}
	t.drop(drop)
}

// erase removes what a deletion has removed from the log: the message, and its
// edits.
func (t *tail) erase(target protocol.ID) {
	if target.Seq <= t.floor {
		t.unsure = true // the entry at the floor may be the message, or one of its edits
	}
	kept := t.list[:0]
	for _, e := range t.list {
		if deletedBy(e, func(id protocol.ID) bool { return id == target }) {
			t.count(e, -1)
			continue
		}
		kept = append(kept, e)
	}
	clear(t.list[len(kept):]) // so that their bytes can be freed
	t.list = kept
}

// withoutDeleted returns entries that were read earlier, without those that
// deletions in the list have removed from the log since.
func (t *tail) withoutDeleted(read []protocol.Entry) []protocol.Entry {
	var deleted map[protocol.ID]bool
	for _, e := range t.list {
		if e.Kind == protocol.Delete {
			if deleted == nil {
				deleted = make(map[protocol.ID]bool)
			}
			deleted[e.Target] = true
		}
	}
	if deleted == nil {
		return read
	}
	return slices.DeleteFunc(slices.Clone(read), func(e protocol.Entry) bool {
		return deletedBy(e, func(id protocol.ID) bool { return deleted[id] })
	})
}

// deletedBy reports whether deleting such messages removes the entry too.
func deletedBy(e protocol.Entry, is func(protocol.ID) bool) bool {
	return is(e.ID) || e.Kind == protocol.Edit && is(e.Target)
}

// at returns the index of the first entry whose seq is at least seq.
func (t *tail) at(seq int64) int {
	return sort.Search(len(t.list), func(i int) bool { return t.list[i].ID.Seq >= seq })
}

// holds reports whether the entry with this id is in the list.
func (t *tail) holds(id protocol.ID) bool {
	i := t.at(id.Seq)
	return i < len(t.list) && t.list[i].ID == id
}

// after returns the entries after a cursor; zero is the beginning. ok is false if
// memory does not hold the cursor.
func (t *tail) after(cursor protocol.ID) (list []protocol.Entry, ok bool) {
	if cursor == t.base && (t.floor == 0 || !cursor.IsZero()) {
		return t.list, true
	}
	i := t.at(cursor.Seq)
	if i < len(t.list) && t.list[i].ID == cursor {
		return t.list[i+1:], true
	}
	return nil, false
}
