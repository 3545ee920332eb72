package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"example.com/chat/internal/protocol"
)

// Memory never holds messages that the log has dropped by its bound, nor edits of them,
// and returns the newest ones as they stand.
func TestMemoryKeepsTheBoundOfTheLog(t *testing.T) {
	t.Parallel()
	const keep = 7
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 5))
		r := New(keep)
		r.Refresh()
		r.BeginRead()
		r.Read(Piece{})
		var log []protocol.Entry
		for seq := int64(1); seq < 200; seq++ {
			d := protocol.Message(protocol.User{ID: "u"}, fmt.Sprint(seq), fmt.Sprint("text-", seq), "n")
			if stand := protocol.Stand(log); len(stand) > 0 {
				if kind := []string{"", "", protocol.Edit, protocol.React, protocol.Delete}[rng.IntN(5)]; kind != "" {
					c := protocol.Command{Type: kind, Key: fmt.Sprint(seq), Target: stand[rng.IntN(len(stand))].ID, Text: "edited", Emoji: "👍", On: rng.IntN(2) > 0}
					d = c.Change(protocol.User{ID: fmt.Sprint("u", rng.IntN(3))}, "n", false)
				}
			}
			id := protocol.ID{MS: 1000 + seq, Seq: seq}
			e := d.Entry(id, "lobby", reacted(log, d))
			r.Hear(Post{After: r.memory.Head(), Entry: e}, false)
			log = bounded(append(log, e), keep)

			var want []protocol.Entry
			for _, s := range protocol.Stand(log) {
				want = append(want, s.Stands())
			}
			same := func(a, b protocol.Entry) bool { return a.ID == b.ID && string(a.Raw) == string(b.Raw) }
			if got := r.memory.messages.newest(protocol.NewestCount); !slices.EqualFunc(got, want, same) {
				t.Fatalf("seed %d, %d: memory returns\n%s, want\n%s", seed, seq, got, want)
			}
			for i, e := range r.memory.tail.list {
				at := slices.IndexFunc(log, func(l protocol.Entry) bool { return l.ID == e.ID })
				if at < 0 {
					t.Fatalf("seed %d, %d: memory holds %s, which the log does not", seed, seq, e.Raw)
				}
				// From the floor on nothing is missing.
				if rest := len(log) - at; rest != len(r.memory.tail.list)-i {
					t.Fatalf("seed %d, %d: after %v memory holds %d entries, and the log %d", seed, seq, e.ID, len(r.memory.tail.list)-i, rest)
				}
			}
			if n := len(r.memory.tail.list); n > 0 && r.memory.tail.floor >= r.memory.tail.list[0].ID.Seq {
				t.Fatalf("seed %d, %d: the floor %d is not below %v", seed, seq, r.memory.tail.floor, r.memory.tail.list[0].ID)
			}
		}
	}
}

// bounded returns what remains of a log that holds so many messages at most: deletions
// remove messages with their edits, and so does the bound.
func bounded(log []protocol.Entry, keep int) []protocol.Entry {
	last := log[len(log)-1]
	if m, ok := last.Modification(); ok && m.Kind == protocol.Delete {
		log = slices.DeleteFunc(log, func(e protocol.Entry) bool {
			return deletedBy(e, func(id protocol.ID) bool { return id == m.Target })
		})
	}
	count := 0
	for _, e := range log {
		if e.IsMessage() {
			count++
		}
	}
	for ; count > keep; count-- {
		oldest := log[slices.IndexFunc(log, protocol.Entry.IsMessage)].ID
		log = slices.DeleteFunc(log, func(e protocol.Entry) bool {
			return deletedBy(e, func(id protocol.ID) bool { return id == oldest })
		})
	}
	return log
}

// reacted returns how many users have put the emoji of a React to its target after it,
// according to a whole log.
func reacted(log []protocol.Entry, d protocol.Draft) int {
	if d.Kind != protocol.React {
		return 0
	}
	put := make(map[string]bool)
	for _, e := range log {
		if m, ok := e.Modification(); ok && m.Kind == protocol.React && m.Target == d.Target && m.Emoji == d.Emoji {
			put[m.User] = m.On
		}
	}
	put[d.User] = d.On
	n := 0
	for _, on := range put {
		if on {
			n++
		}
	}
	return n
}

// A join that needs older entries than memory usually holds gets them into memory, once for
// all joins, and Shrink removes them again.
func TestMemoryHoldsMoreThanItsBoundForAWhile(t *testing.T) {
	t.Parallel()
	const size = 5000
	entry := func(seq int64) protocol.Entry {
		return protocol.Entry{ID: protocol.ID{MS: seq, Seq: seq}, Raw: make([]byte, size)}
	}
	r := New(0)
	var all []protocol.Entry
	for seq := range int64(800) {
		all = append(all, entry(seq+1))
	}
	r.Refresh()
	r.BeginRead()
	r.Read(Piece{Newest: protocol.Page{Head: all[9], List: []protocol.Standing{{Entry: all[9]}}}})
	for _, e := range all[10:] {
		r.Hear(Post{After: protocol.ID{MS: e.ID.Seq - 1, Seq: e.ID.Seq - 1}, Entry: e}, false)
	}
	mem := r.Memory()
	if n := len(mem.tail.list); n != tailBytes/size {
		t.Fatalf("%d entries of %d bytes are in memory", n, size)
	}
	var l Lookup
	join := func(after int64) Answer { return mem.Answer(protocol.At(protocol.ID{MS: after, Seq: after}), &l) }
	if a := join(100); a.Need != NeedTail {
		t.Fatalf("an old cursor needs %v", a.Need)
	}
	b := mem.BelowTail()
	if len(mem.tail.list)+b.N != tailEntries+1 {
		t.Errorf("%d entries below %d are asked for", b.N, len(mem.tail.list))
	}
	older := all[:b.Before.Seq-1]
	spare := mem.Excess(b, older)
	if want := len(all)*size - tailBytes; spare != want {
		t.Errorf("%d bytes too many, want %d", spare, want)
	}
	mem.Extend(b, older, false, spare)
	l.Extended()
	for _, after := range []int64{0, 100, 500, 799} {
		if a := join(after); !a.Recovered || len(a.List) != len(all)-int(after) {
			t.Errorf("after %d: %v with %d entries, needs %v", after, a.Recovered, len(a.List), a.Need)
		}
	}
	if mem.Spare() != spare || mem.Excess(mem.BelowTail(), nil) != 0 {
		t.Errorf("%d spare bytes, want %d", mem.Spare(), spare)
	}
	// New entries displace the oldest ones, within the larger bound.
	r.Hear(Post{After: all[799].ID, Entry: entry(801)}, false)
	if n := len(mem.tail.list); n != len(all) || mem.Floor() != 1 {
		t.Errorf("%d entries after %d are in memory", n, mem.Floor())
	}
	mem.Shrink()
	if n := len(mem.tail.list); n != tailBytes/size || mem.Spare() != 0 || mem.tail.bytes > tailBytes {
		t.Errorf("%d entries and %d spare bytes remain", n, mem.Spare())
	}
	l = Lookup{}
	if a := join(100); a.Need != NeedTail {
		t.Errorf("afterwards an old cursor needs %v", a.Need)
	}
	// Without spare bytes the log is read for each cursor.
	b = mem.BelowTail()
	mem.Extend(b, all[:b.Before.Seq-1], false, 0)
	l.Extended()
	if a := join(100); a.Need != NeedEntries {
		t.Errorf("without spare bytes an old cursor needs %v", a.Need)
	}
}

// A full memory knows that a cursor before it has more entries after it than a join recovers.
func TestACursorBeforeAFullMemoryIsNotLookedUp(t *testing.T) {
	t.Parallel()
	r := New(0)
	var all []protocol.Entry
	for seq := range int64(1500) {
		all = append(all, protocol.Entry{ID: protocol.ID{MS: seq + 1, Seq: seq + 1}, Raw: []byte("{}")})
	}
	r.Refresh()
	r.BeginRead()
	page := protocol.Page{Head: all[1499], More: true}
	for _, e := range all[1400:] {
		page.List = append(page.List, protocol.Standing{Entry: e})
	}
	r.Read(Piece{Newest: page})
	mem := r.Memory()
	b := mem.BelowTail()
	mem.Extend(b, all[b.Before.Seq-1-int64(b.N):b.Before.Seq-1], true, 0)
	for after, want := range map[int64]bool{100: false, 498: false, 499: false, 500: true, 600: true} {
		var l Lookup
		if a := mem.Answer(protocol.At(protocol.ID{MS: after, Seq: after}), &l); a.Need != NeedNothing || a.Recovered != want {
			t.Errorf("after %d: recovered %v, needs %v", after, a.Recovered, a.Need)
		}
	}
}
