package room

import (
	"sort"

	"example.com/chat/internal/protocol"
)

// A room's newest entries are kept in memory up to these bounds; but as many as
// a join is answered with are always kept.
const (
	tailEntries = protocol.MaxRecovered
	tailBytes   = 1 << 20
)

// tail is the newest part of a room's log, without a hole in it. It is used
// under its room's lock.
type tail struct {
	list  []protocol.Entry
	bytes int
	whole bool // the log begins where the list does
}

func (t *tail) set(list []protocol.Entry, whole bool) {
	t.list, t.bytes, t.whole = nil, 0, whole
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
		clear(t.list[:drop]) // so that their bytes can be freed
		t.list = t.list[drop:]
		t.whole = false
	}
}

// prepend adds entries that come just before the list, as far as there is room.
func (t *tail) prepend(older []protocol.Entry, whole bool) {
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
}

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
