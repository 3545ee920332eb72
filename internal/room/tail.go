package room

import (
	"slices"
	"sort"

	"example.com/chat/internal/protocol"
)

// A room's newest entries are kept in memory up to these bounds; but as many as
// a join is answered with are always kept.
const (
	tailEntries = protocol.MaxRecovered
	tailBytes   = 1 << 20
)

// tail is the newest part of a room's log, without what was deleted: so seqs may
// be skipped in it, and nothing else is. It is used under its room's lock.
type tail struct {
	list  []protocol.Entry
	bytes int
	whole bool // the log begins where the list does
	// floor is the seq up to which entries may be missing from the list; there is
	// one of that very seq, unless unsure.
	floor  int64
	unsure bool
}

func (t *tail) set(list []protocol.Entry, whole bool) {
	t.list, t.bytes, t.whole = nil, 0, whole
	t.sinkTo(list)
	for _, e := range list {
		t.push(e)
	}
}

// push adds the next entry, and drops the oldest when there are too many.
func (t *tail) push(e protocol.Entry) {
	t.list = append(t.list, e)
	t.bytes += len(e.Raw)
	drop := 0
	for n := len(t.list); n > tailEntries || (n > protocol.NewestCount && t.bytes > tailBytes); n-- {
		t.bytes -= len(t.list[drop].Raw)
		drop++
	}
	if drop > 0 {
		t.floor, t.unsure = t.list[drop-1].ID.Seq, false
		clear(t.list[:drop]) // so that their bytes can be freed
		t.list = t.list[drop:]
		t.whole = false
	}
}

// prepend adds entries that come just before the list, as far as there is room.
func (t *tail) prepend(older []protocol.Entry, whole bool) {
	older = t.withoutDeleted(older) // since they were read
	free := tailEntries - len(t.list)
	from := len(older)
	for from > 0 && free > 0 &&
		(t.bytes+len(older[from-1].Raw) <= tailBytes || tailEntries-free < protocol.NewestCount) {
		from--
		free--
		t.bytes += len(older[from].Raw)
	}
	t.whole = whole && from == 0
	t.list = append(append(make([]protocol.Entry, 0, len(older)-from+len(t.list)), older[from:]...), t.list...)
	t.sinkTo(t.list)
}

// sinkTo lays the floor below a list that the log was read for.
func (t *tail) sinkTo(list []protocol.Entry) {
	t.floor, t.unsure = 0, true
	if len(list) > 0 && !t.whole {
		t.floor = list[0].ID.Seq - 1
	}
}

// erase takes out what a deletion has taken out of the log: the message, and its
// edits.
func (t *tail) erase(target protocol.ID) {
	if target.Seq <= t.floor {
		t.unsure = true
	}
	kept := t.list[:0]
	for _, e := range t.list {
		if deletedBy(e, func(id protocol.ID) bool { return id == target }) {
			t.bytes -= len(e.Raw)
			if e.ID.Seq <= t.floor {
				t.unsure = true
			}
			continue
		}
		kept = append(kept, e)
	}
	clear(t.list[len(kept):]) // so that their bytes can be freed
	t.list = kept
}

// withoutDeleted leaves out of what was read of the log earlier what deletions
// in the list have taken out of it since.
func (t *tail) withoutDeleted(read []protocol.Entry) []protocol.Entry {
	var deleted map[protocol.ID]bool
	for _, e := range t.list {
		if kind, target := e.Change(); kind == protocol.Delete {
			if deleted == nil {
				deleted = make(map[protocol.ID]bool)
			}
			deleted[target] = true
		}
	}
	if deleted == nil {
		return read
	}
	return slices.DeleteFunc(slices.Clone(read), func(e protocol.Entry) bool {
		return deletedBy(e, func(id protocol.ID) bool { return deleted[id] })
	})
}

// deletedBy reports whether the deletion of such targets takes the entry with it.
func deletedBy(e protocol.Entry, is func(protocol.ID) bool) bool {
	if is(e.ID) {
		return true
	}
	kind, target := e.Change()
	return kind == protocol.Edit && is(target)
}

// complete reports whether the list holds all that was ever entered into the log.
func (t *tail) complete() bool { return t.whole && (len(t.list) == 0 || t.list[0].ID.Seq == 1) }

// at returns the place of the first entry with a seq of at least seq.
func (t *tail) at(seq int64) int {
	return sort.Search(len(t.list), func(i int) bool { return t.list[i].ID.Seq >= seq })
}

// holds reports whether the very entry is in the list, and where.
func (t *tail) holds(id protocol.ID) (int, bool) {
	i := t.at(id.Seq)
	return i, i < len(t.list) && t.list[i].ID == id
}

// newest returns the last n entries.
func (t *tail) newest(n int) []protocol.Entry {
	return t.list[max(0, len(t.list)-n):]
}
