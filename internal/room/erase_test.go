package room_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
)

// told is what a member is answered at its join.
type told struct {
	Recovered bool `json:"recovered"`
	Messages  []struct {
		ID string `json:"id"`
	} `json:"messages"`
}

// joinedWith has somebody new join with a cursor, and returns the answer.
func (r *rig) joinedWith(name string, after protocol.ID) (told, []byte) {
	r.t.Helper()
	m, u := r.enter(name)
	var body []byte
	if err := r.hub.Join(r.t.Context(), m, u, "lobby", cursor(after), func(e protocol.Event) { body = e.Body }); err != nil {
		r.t.Fatal(err)
	}
	var j told
	if err := json.Unmarshal(body, &j); err != nil {
		r.t.Fatal(err)
	}
	r.hub.Leave(m, "lobby")
	r.hub.Exit(m)
	return j, body
}

// history asks the hub for a page.
func (r *rig) history(before protocol.Cursor, limit int) (list []protocol.Entry, more bool) {
	r.t.Helper()
	err := r.hub.History(r.t.Context(), "lobby", before, limit, func(got []protocol.Entry, older bool) { list, more = slices.Clone(got), older })
	if err != nil {
		r.t.Fatal(err)
	}
	return list, more
}

// checkFresh checks that somebody who joins without a cursor gets the newest
// messages as they stand.
func checkFresh(t *testing.T, seed uint64, r *rig, log []protocol.Entry) {
	t.Helper()
	_, body := r.joinedWith("fresh", protocol.ID{})
	var list []protocol.Entry
	for _, s := range protocol.PageOf(log, protocol.ID{}, protocol.NewestCount).List {
		list = append(list, s.Stands())
	}
	want := protocol.Joined("lobby", log[len(log)-1].ID, false, list, false, nil, 0, nil).Body
	if want, _, _ := bytes.Cut(want, []byte(`,"members"`)); !bytes.HasPrefix(body, want) {
		t.Fatalf("seed %d: joined with\n%s, want\n%s", seed, body, want)
	}
}

// Whatever is sent, edited, reacted to and deleted, while some live posts are lost,
// joins from any cursor and history hold what the log holds, and members are told
// of everything once.
func TestDeletedEntriesLeaveANodesMemory(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := newRig(t)
		r.set(func() {
			r.fault = func(n int, p published) []published {
				if n%7 == 3 {
					return nil
				}
				return []published{p}
			}
		})
		m, u := r.enter("ann")
		r.join(m, u, protocol.ID{})
		var messages, all []protocol.ID
		for i := range 150 {
			d := protocol.Message(protocol.User{ID: "o"}, fmt.Sprint(i), fmt.Sprint("text-", i), "o")
			if kind := []string{"", "", protocol.Edit, protocol.Delete, protocol.React}[rng.IntN(5)]; kind != "" && len(messages) > 0 {
				k := rng.IntN(len(messages))
				d = protocol.Command{
					Type: kind, Key: fmt.Sprint(i), Target: messages[k], Text: fmt.Sprint("edited-", i),
					Emoji: []string{"👍", "🎉"}[rng.IntN(2)], On: rng.IntN(3) > 0,
				}.Change(protocol.User{ID: fmt.Sprint("o", rng.IntN(3))}, "o", false)
				if kind == protocol.Delete {
					messages = append(messages[:k], messages[k+1:]...)
				}
			}
			got, err := r.Append(t.Context(), "lobby", []protocol.Draft{d})
			if err != nil || got[0].Refused != nil {
				t.Fatal(got, err)
			}
			all = append(all, got[0].ID)
			if d.Kind == "" {
				messages = append(messages, got[0].ID)
			}
			if i%10 != 9 {
				continue
			}
			r.hub.Feed().Following("lobby") // as after an interruption
			chattest.Eventually(t, "the member to be told of all", func() bool { return m.last() == got[0].ID.Seq })
			log, _ := r.read("lobby")
			after := all[rng.IntN(len(all))]
			j, body := r.joinedWith(fmt.Sprint("x", i), after)
			var want []string
			for _, e := range log {
				if e.ID.Seq > after.Seq {
					want = append(want, e.ID.String())
				}
			}
			var have []string
			for _, e := range j.Messages {
				have = append(have, e.ID)
			}
			if !j.Recovered || fmt.Sprint(have) != fmt.Sprint(want) {
				t.Fatalf("seed %d, after %v: %v, recovered %v, want %v: %s", seed, after, have, j.Recovered, want, body)
			}
			page, _ := r.history(cursor(after), 200)
			stand := protocol.PageOf(log, after, 200).List
			for n, e := range stand {
				if n >= len(page) || page[n].ID != e.ID || !bytes.Equal(page[n].Raw, e.Stands().Raw) {
					t.Fatalf("seed %d, before %v: %d entries, without %s", seed, after, len(page), e.Stands().Raw)
				}
			}
			if len(stand) != len(page) {
				t.Fatalf("seed %d, before %v: %d entries, want %d", seed, after, len(page), len(stand))
			}
			checkFresh(t, seed, r, log)
		}
		for i, seq := range m.seqs() {
			if i > 0 && seq <= m.seqs()[i-1] {
				t.Fatalf("seed %d: %d came after %d", seed, seq, m.seqs()[i-1])
			}
		}
	}
}
