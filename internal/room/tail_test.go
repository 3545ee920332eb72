package room

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

// emptied is a broker whose rooms are empty.
type emptied struct{ Log }

func (emptied) Before(context.Context, string, protocol.ID, int) ([]protocol.Entry, bool, error) {
	return nil, false, nil
}

func (emptied) Messages(context.Context, string, protocol.ID, int) (protocol.Page, error) {
	return protocol.Page{}, nil
}

// The log was emptied between the answer that older entries are needed and their
// reading: the first entry was looked up in an empty list, and the panic left the
// room's lock held.
func TestOlderEntriesOfAnEmptiedLogAreReadWithoutHarm(t *testing.T) {
	t.Parallel()
	h := New(Config{}, Broker{Log: emptied{}})
	defer h.Close(context.Background())
	r := newRoom(h, "lobby", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, read := range []func() error{
		func() error { return r.extend(ctx) },
		func() error { return r.fill(ctx, &looked{}) },
	} {
		if err := read(); err != nil {
			t.Error(err)
		}
		if !r.mu.TryLock() {
			t.Fatal("the room is locked")
		}
		r.mu.Unlock()
	}
}

// Whatever is said, changed and deleted: memory never holds messages that the log
// does not hold by its bound, nor edits of them, and shows the newest as they stand.
func TestMemoryKeepsTheBoundOfTheLog(t *testing.T) {
	t.Parallel()
	const keep = 7
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 5))
		r := &room{hub: &Hub{}, log: follower{tail: tail{keep: keep}, messages: messages{keep: keep, whole: true}}}
		r.log.tail.begin(protocol.Entry{})
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
			e := d.Entry(id, "lobby", protocol.Reacted(log, d))
			r.passOnLocked(e)
			log = bounded(append(log, e), keep)

			var want []protocol.Entry
			for _, s := range protocol.Stand(log) {
				want = append(want, s.Stands())
			}
			same := func(a, b protocol.Entry) bool { return a.ID == b.ID && string(a.Raw) == string(b.Raw) }
			if got := r.log.messages.newest(protocol.NewestCount); !slices.EqualFunc(got, want, same) {
				t.Fatalf("seed %d, %d: it shows\n%s, want\n%s", seed, seq, got, want)
			}
			for i, e := range r.log.tail.list {
				at := slices.IndexFunc(log, func(l protocol.Entry) bool { return l.ID == e.ID })
				if at < 0 {
					t.Fatalf("seed %d, %d: memory holds %s, which the log does not", seed, seq, e.Raw)
				}
				// From the floor on nothing is missing.
				if rest := len(log) - at; rest != len(r.log.tail.list)-i {
					t.Fatalf("seed %d, %d: after %v memory holds %d entries, and the log %d", seed, seq, e.ID, len(r.log.tail.list)-i, rest)
				}
			}
			if n := len(r.log.tail.list); n > 0 && r.log.tail.floor >= r.log.tail.list[0].ID.Seq {
				t.Fatalf("seed %d, %d: the floor %d is not below %v", seed, seq, r.log.tail.floor, r.log.tail.list[0].ID)
			}
		}
	}
}

// bounded is what remains of a log that holds so many messages at most: deletions
// take messages with their edits, and what falls off takes its edits too.
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
