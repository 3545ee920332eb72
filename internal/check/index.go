package check

import (
	"slices"

	"example.com/chat/internal/protocol"
)

// index finds the entries of one room by id and by seq, and decides which places of its
// log may be empty. It is made once all records are known.
type index struct {
	at   map[protocol.ID]*entry // the log, by id
	gone map[protocol.ID]bool   // deleted, according to any record
	// goneMS holds the ms of the deleted entries by seq.
	goneMS map[int64][]int64

	// oldestMessage and oldestChange are the seqs at which the two parts of the log
	// begin: older entries have left it by its bounds, or never existed.
	oldestMessage, oldestChange int64
	// places holds the known entries by seq: several if Redis lost its log and the seqs
	// began again.
	places map[int64][]place

	// unseen is the number of deleted edits whose ids may be unknown, and excused the
	// places that such edits must have had.
	unseen  int
	excused map[int64]bool
}

// place is what is known of an entry beside its seq.
type place struct {
	ms           int64
	kind, target string
}

// newIndex makes the index of a room.
func newIndex(r *room) *index {
	x := &index{
		at: make(map[protocol.ID]*entry, len(r.log)), gone: make(map[protocol.ID]bool), goneMS: make(map[int64][]int64),
		oldestMessage: 1, oldestChange: 1, // without entries, none has left the log
		places: make(map[int64][]place), excused: make(map[int64]bool),
	}
	for i := len(r.log) - 1; i >= 0; i-- {
		e := &r.log[i]
		x.at[e.id] = e
		if e.kind == "" {
			x.oldestMessage = e.id.Seq
		} else {
			x.oldestChange = e.id.Seq
		}
	}
	r.eachEntry(func(e *entry) {
		x.deletion(e)
		x.add(e.id, e.kind, e.target)
	})
	// A deletion removes the edits of its target too.
	r.eachEntry(func(e *entry) {
		if e.kind == kindEdit && x.goneTarget(e.target) {
			x.gone[e.id] = true
		}
	})
	for _, s := range r.sent.order {
		if !s.id.IsZero() {
			x.add(s.id, s.kind, s.target)
		}
		switch {
		case s.kind != kindEdit || !x.goneTarget(s.target):
		case s.id.IsZero():
			x.unseen++
		default:
			x.gone[s.id] = true
		}
	}
	for id := range x.gone {
		x.goneMS[id.Seq] = append(x.goneMS[id.Seq], id.MS)
	}
	return x
}

func (x *index) deletion(e *entry) {
	if e.kind == kindDelete {
		if id, err := protocol.ParseID(e.target); err == nil {
			x.gone[id] = true
		}
	}
}

// add records an entry at a place.
func (x *index) add(id protocol.ID, kind, target string) {
	p := place{id.MS, kind, target}
	if !slices.Contains(x.places[id.Seq], p) {
		x.places[id.Seq] = append(x.places[id.Seq], p)
	}
}

func (x *index) goneTarget(target string) bool {
	id, err := protocol.ParseID(target)
	return err == nil && x.gone[id]
}

// left reports whether an entry may have left the log by its bounds: messages and
// changes have their own bounds, and edits leave with their message.
func (x *index) left(seq int64, p place) bool {
	if p.kind == "" {
		return seq < x.oldestMessage
	}
	target, err := protocol.ParseID(p.target)
	return seq < x.oldestChange || p.kind == kindEdit && err == nil && target.Seq < x.oldestMessage
}

// leftBetween reports whether all entries between two places of the log were deleted or
// have left it by its bounds.
func (x *index) leftBetween(a, b protocol.ID) bool {
	for seq := a.Seq + 1; seq < b.Seq; seq++ {
		known, left := x.leftAt(a, seq, b)
		if left || !known && seq < max(x.oldestMessage, x.oldestChange) {
			continue
		}
		if !x.goneBetween(protocol.ID{MS: a.MS, Seq: seq - 1}, protocol.ID{MS: b.MS, Seq: seq + 1}) {
			return false
		}
	}
	return true
}

// leftAt reports whether a known entry with a seq between two ids may have left the log
// by its bounds.
func (x *index) leftAt(a protocol.ID, seq int64, b protocol.ID) (known, left bool) {
	for _, p := range x.places[seq] {
		if a.MS <= p.ms && p.ms <= b.MS {
			known = true
			left = left || x.left(seq, p)
		}
	}
	return known, left
}

// goneBetween reports whether all entries between two places were deleted.
func (x *index) goneBetween(a, b protocol.ID) bool {
	for seq := a.Seq + 1; seq < b.Seq; seq++ {
		if x.goneAt(a, seq, b) || x.excused[seq] {
			continue
		}
		if len(x.excused) >= x.unseen {
			return false
		}
		x.excused[seq] = true
	}
	return true
}

// goneAt reports whether a deleted entry with a seq is between two ids. The seq alone is
// not enough: it may belong to a log that Redis has lost.
func (x *index) goneAt(a protocol.ID, seq int64, b protocol.ID) bool {
	return slices.ContainsFunc(x.goneMS[seq], func(ms int64) bool { return a.MS <= ms && ms <= b.MS })
}
