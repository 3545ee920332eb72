package replica

import (
	"slices"
	"sort"

	"example.com/chat/internal/protocol"
)

// Need is what has to be read before a cursor can be answered.
type Need int

const (
	// NeedNothing means that the answer is complete.
	NeedNothing Need = iota
	// NeedRefresh means that the cursor is newer than the head: read on, until
	// Settled, and call Lookup.Refreshed.
	NeedRefresh
	// NeedTail means that the cursor is older than memory, which may hold more
	// entries: read what BelowTail asks for, pass it to Extend, and call
	// Lookup.Extended.
	NeedTail
	// NeedEntries means that only the log knows the cursor: read
	// protocol.MaxRecovered entries after it, between Lookup.Begin and
	// Lookup.Found.
	NeedEntries
	// NeedMessages means that memory holds fewer messages than a join returns, and
	// the log may hold more: read what BelowMessages asks for, pass it to Fill, and
	// call Lookup.Filled.
	NeedMessages
)

// Lookup holds what was read of the log so far to answer one cursor. Its zero value is
// ready for use. It needs no lock.
type Lookup struct {
	refreshed bool // the log was read to its end since the cursor came
	read      bool // the entries after the cursor were read
	known     bool // the log holds the cursor, and no more after it than are recovered
	filled    bool // older messages were read
	extended  bool // older entries were read into memory, as far as that has room
	list      []protocol.Entry
	head      protocol.ID // when the reading began
	epoch     int         // of the log that all this is about
}

// Refreshed records that the log was read to its end.
func (l *Lookup) Refreshed() { *l = Lookup{refreshed: true, filled: l.filled, epoch: l.epoch} }

// Epoch returns the epoch of the log that was answered from last (Memory.Epoch).
func (l *Lookup) Epoch() int { return l.epoch }

// Filled records that older messages were read.
func (l *Lookup) Filled() { l.filled = true }

// Extended records that older entries were read into memory, as far as it has room.
func (l *Lookup) Extended() { l.extended = true }

// Begin records the head before the entries after the cursor are read.
func (l *Lookup) Begin(head protocol.ID) { l.head = head }

// Found adds the entries that were read. found reports whether the log holds the cursor,
// more whether others follow.
func (l *Lookup) Found(list []protocol.Entry, found, more bool) {
	l.read, l.known, l.list = true, found && !more, list
}

// FromLog reports whether entries of the answer were read for it.
func (l *Lookup) FromLog() bool { return l.read }

// other reports whether the log that was read is another one than the replica
// follows: the head would be among the entries after the cursor.
func (l *Lookup) other() bool {
	i := sort.Search(len(l.list), func(i int) bool { return l.list[i].ID.Seq >= l.head.Seq })
	return l.known && (i == len(l.list) || l.list[i].ID != l.head)
}

// Answer is the answer to a cursor.
type Answer struct {
	// Need is what has to be read first; then the other fields are not set.
	Need Need
	// List holds all entries after the cursor if Recovered, else the newest messages
	// as they stand.
	List      []protocol.Entry
	Recovered bool
}

// Answer answers a cursor, given what was read for it. After a reset that is
// dropped, as it is of another log.
func (mem *Memory) Answer(cursor protocol.Cursor, l *Lookup) Answer {
	if l.epoch != mem.tail.epoch {
		*l = Lookup{epoch: mem.tail.epoch}
	}
	if cursor.Given {
		if a := mem.recover(cursor.ID, l); a.Recovered || a.Need != NeedNothing {
			return a
		}
	}
	if len(mem.messages.list) < protocol.NewestCount && !mem.messages.complete() && !l.filled {
		return Answer{Need: NeedMessages}
	}
	return Answer{List: mem.messages.newest(protocol.NewestCount)}
}

// recover returns the entries after a cursor, or what has to be read to know them.
func (mem *Memory) recover(after protocol.ID, l *Lookup) Answer {
	if list, ok := mem.tail.after(after); ok {
		return Answer{List: list, Recovered: true}
	}
	switch {
	case l.read && l.known && !l.other() && after.Seq < mem.head.Seq:
		list, ok := mem.splice(l)
		return Answer{List: list, Recovered: ok}
	case !l.refreshed && (after.Seq >= mem.head.Seq || l.read && l.known):
		return Answer{Need: NeedRefresh}
	case l.read, after.Seq >= mem.head.Seq:
		return Answer{}
	}
	t := &mem.tail
	full := len(t.list) >= tailEntries
	if full && !t.unsure && after.Seq < t.floor {
		return Answer{} // more than are recovered
	}
	if !full && !t.ended && !l.extended && after.Seq <= t.floor {
		return Answer{Need: NeedTail}
	}
	return Answer{Need: NeedEntries}
}

// splice joins the entries that were read after the cursor, up to the head at that
// time, with those that were delivered since. What was read beyond that head may have
// left the log since, if that has lost its end.
func (mem *Memory) splice(l *Lookup) (list []protocol.Entry, ok bool) {
	if mem.tail.floor > l.head.Seq {
		return nil, false // more came than memory keeps: a gap between the two
	}
	n := sort.Search(len(l.list), func(i int) bool { return l.list[i].ID.Seq > l.head.Seq })
	list = append(mem.tail.withoutDeleted(slices.Clone(l.list[:n])), mem.tail.list[mem.tail.at(l.head.Seq+1):]...)
	return list, len(list) <= protocol.MaxRecovered
}

// Below is the part of the log just before what is in memory.
type Below struct {
	// Before is the id that the part ends before, and N how much to read of it.
	Before protocol.ID
	N      int

	epoch int
	floor int64
}

// BelowTail returns the part of the log before the newest entries in memory, in
// entries: one more than memory keeps, which shows that the log holds more.
func (mem *Memory) BelowTail() Below {
	b := mem.below(max(0, tailEntries-len(mem.tail.list)) + 1)
	if len(mem.tail.list) > 0 {
		b.Before = mem.tail.list[0].ID
	}
	return b
}

// BelowMessages returns the part of the log before the messages in memory, in
// messages.
func (mem *Memory) BelowMessages(n int) Below {
	b := mem.below(n)
	if len(mem.messages.list) > 0 {
		b.Before = mem.messages.list[0].ID
	}
	return b
}

func (mem *Memory) below(n int) Below {
	return Below{
		Before: protocol.ID{MS: mem.head.MS, Seq: mem.head.Seq + 1}, N: n,
		epoch: mem.tail.epoch, floor: mem.tail.floor,
	}
}

// Excess returns how many bytes memory would hold beyond its bound with the entries that
// BelowTail asked for; 0 if Extend ignores them.
func (mem *Memory) Excess(b Below, list []protocol.Entry) int {
	t := &mem.tail
	if !t.isBelow(b) {
		return 0
	}
	bytes := t.bytes
	for i := len(list) - 1; i >= 0 && len(t.list)+len(list)-1-i < tailEntries; i-- {
		bytes += len(list[i].Raw)
	}
	return max(0, bytes-tailBytes-t.spare)
}

// Extend adds the entries that BelowTail asked for. more is whether others come before
// them. Memory may hold spare more bytes beyond its bound from now on, until Shrink. Extend
// ignores the entries if memory begins elsewhere by now.
func (mem *Memory) Extend(b Below, list []protocol.Entry, more bool, spare int) {
	if t := &mem.tail; t.isBelow(b) {
		t.spare += spare
		t.prepend(list, more)
	}
}

// isBelow reports whether the part still ends where the tail begins.
func (t *tail) isBelow(b Below) bool { return t.epoch == b.epoch && t.floor == b.floor }

// Spare returns how many bytes memory may hold beyond its bound.
func (mem *Memory) Spare() int { return mem.tail.spare }

// Floor returns the seq up to which entries may be missing in memory.
func (mem *Memory) Floor() int64 { return mem.tail.floor }

// Shrink drops the entries beyond the bound for which Extend had spare bytes.
func (mem *Memory) Shrink() {
	mem.copy = nil
	mem.tail.shrink()
}

// Fill adds the messages that BelowMessages asked for. It ignores them if memory
// holds them by now, or the log is another one.
func (mem *Memory) Fill(b Below, page protocol.Page) {
	if mem.tail.epoch != b.epoch || len(mem.messages.list) > 0 && mem.messages.list[0].ID.Seq < b.Before.Seq {
		return
	}
	if older, ok := mem.bringUp(page, false); ok {
		mem.messages.fill(older, !page.More)
	}
}
