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
