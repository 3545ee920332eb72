package replica

import (
	"slices"

	"example.com/chat/internal/protocol"
)

// backlogKept bounds the bytes of the entries that a backlog of a recovery holds.
// The others are taken from memory, or read from the log again.
const backlogKept = 256 << 10

// Backlog is the part of the room that has not been sent to a member yet: a list, then
// all entries after it. While a member has one, delivered entries do not go to it.
type Backlog struct {
	list []protocol.Entry
	// after is the newest entry that was sent or is in list. If the list is that of
	// a join without a cursor, which holds messages as they stand at the head, it is
	// that head.
	after protocol.ID
}

// Cut splits a list after its first entries that fit into size bytes, at least one.
func Cut(list []protocol.Entry, size int) (piece, rest []protocol.Entry) {
	n, bytes := 0, 0
	for n < len(list) && (n == 0 || bytes+len(list[n].Raw)+1 <= size) {
		bytes += len(list[n].Raw) + 1
		n++
	}
	return list[:n], list[n:]
}

// Split divides an answer: into the entries that fit into size bytes, at least
// one, and a backlog that holds the others, up to the head; nil if there are none.
func (mem *Memory) Split(a Answer, size int) (first []protocol.Entry, b *Backlog) {
	first, rest := Cut(a.List, size)
	if len(rest) == 0 {
		return first, nil
	}
	b = &Backlog{after: mem.head}
	if a.Recovered {
		kept, left := Cut(rest, backlogKept)
		if len(left) > 0 {
			b.after = kept[len(kept)-1].ID
		}
		b.list = mem.copied(kept)
		return first, b
	}
	b.list = slices.Clone(rest)
	// The id of the last entry moves the client's cursor to the head.
	if t := &mem.tail; t.holds(mem.head) && b.list[len(b.list)-1].ID != mem.head {
		b.list = append(b.list, t.list[len(t.list)-1])
	}
	return first, b
}

// copied returns a copy of a part of the log. Copies of the same part at the same head are
// one list, which must not be changed: so many members that return with one cursor share it.
func (mem *Memory) copied(part []protocol.Entry) []protocol.Entry {
	c, n := mem.copy, len(part)
	if len(c) != n || c[0].ID != part[0].ID || c[n-1].ID != part[n-1].ID {
		mem.copy = slices.Clone(part)
	}
	return mem.copy
}

// Unshare frees the copy that backlogs of the same part share. The next one with that part
// gets a copy of its own.
func (mem *Memory) Unshare() { mem.copy = nil }

// After returns the position after which a backlog that needs a read goes on.
func (b *Backlog) After() protocol.ID { return b.after }

// Erase removes what a deletion has removed from the log.
func (b *Backlog) Erase(target protocol.ID) {
	erased := func(e protocol.Entry) bool {
		return deletedBy(e, func(id protocol.ID) bool { return id == target })
	}
	if slices.ContainsFunc(b.list, erased) {
		b.list = slices.DeleteFunc(slices.Clone(b.list), erased) // others may share it
	}
}

// BacklogState is how a backlog goes on.
type BacklogState int

const (
	// BacklogMore means that more is ready.
	BacklogMore BacklogState = iota
	// BacklogRead means that entries after After have to be read (Refill).
	BacklogRead
	// BacklogDone means that all was sent: from now on the member gets delivered entries.
	BacklogDone
)

// Next removes the next entries that fit into size bytes, at least one, from a
// backlog.
func (mem *Memory) Next(b *Backlog, size int) (piece []protocol.Entry, s BacklogState) {
	if len(b.list) == 0 && b.after != mem.head {
		t := &mem.tail
		if b.after.Seq < t.floor {
			return nil, BacklogRead
		}
		ready, rest := Cut(t.list[t.at(b.after.Seq+1):], size)
		b.list = slices.Clone(ready)
		if b.after = mem.head; len(rest) > 0 {
			b.after = ready[len(ready)-1].ID
		}
	}
	piece, b.list = Cut(b.list, size)
	if len(b.list) == 0 && b.after == mem.head {
		return piece, BacklogDone
	}
	return piece, BacklogMore
}

// Refill adds the entries that were read after the backlog's After, up to the head:
// newer ones are delivered later. ok is false if they belong to another log; then a
// read became due.
func (r *Replica) Refill(b *Backlog, list []protocol.Entry) (e Effects, ok bool) {
	e = r.begin()
	end, _ := slices.BinarySearchFunc(list, r.memory.head.Seq+1, func(e protocol.Entry, seq int64) int { return int(e.ID.Seq - seq) })
	switch {
	case len(list) == 0, end > 0 && list[end-1].ID.Seq == r.memory.head.Seq && list[end-1].ID != r.memory.head:
		r.due(&e)
		return r.end(e), false
	case end == 0:
		b.after = r.memory.head // everything up to it was deleted
		return r.end(e), true
	}
	kept, _ := Cut(list[:end], backlogKept)
	b.after = kept[len(kept)-1].ID
	b.list = r.memory.tail.withoutDeleted(slices.Clone(kept))
	return r.end(e), true
}
