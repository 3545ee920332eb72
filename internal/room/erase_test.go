package room_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/protocol"
)

// joinedReply is the reply to a join, as far as these tests read it.
type joinedReply struct {
	Recovered bool `json:"recovered"`
	Messages  []struct {
		ID string `json:"id"`
	} `json:"messages"`
}

// joinedWith joins as a new user with a cursor, leaves, and returns the reply.
func (r *rig) joinedWith(name string, after protocol.ID) (joinedReply, []byte) {
	r.t.Helper()
	m, u := r.enter(name)
	var body []byte
	if err := r.hub.Join(r.t.Context(), m, u, "lobby", cursor(after), func(e protocol.Event) { body = e.Body }); err != nil {
		r.t.Fatal(err)
	}
	var j joinedReply
	if err := json.Unmarshal(body, &j); err != nil {
		r.t.Fatal(err)
	}
	r.hub.Leave(m, "lobby")
	r.hub.Exit(m)
	return j, body
}

// history reads a page of the lobby's history.
func (r *rig) history(before protocol.Cursor, limit int) (list []protocol.Entry, more bool) {
	r.t.Helper()
	err := r.hub.History(r.t.Context(), "lobby", before, limit, func(got []protocol.Entry, older bool) { list, more = slices.Clone(got), older })
	if err != nil {
		r.t.Fatal(err)
	}
	return list, more
}

// verifyFresh checks that a join without a cursor returns the newest messages of the log
// as they stand.
func (r *rig) verifyFresh(t *testing.T, log []protocol.Entry) {
	t.Helper()
	_, body := r.joinedWith("fresh", newcomer)
	var list []protocol.Entry
	for _, s := range protocol.PageOf(log, protocol.ID{}, protocol.NewestCount).List {
		list = append(list, s.Stands())
	}
	want := protocol.Joined("lobby", log[len(log)-1].ID, false, list, false, nil, 0, nil).Body
	if want, _, _ := bytes.Cut(want, []byte(`,"members"`)); !bytes.HasPrefix(body, want) {
		t.Fatalf("joined with\n%s, want\n%s", body, want)
	}
}

// verifyRecovery checks that a join with a cursor returns the entries of the log after it.
func (r *rig) verifyRecovery(t *testing.T, name string, log []protocol.Entry, after protocol.ID) {
	t.Helper()
	j, body := r.joinedWith(name, after)
	var want, have []string
	for _, e := range log {
		if e.ID.Seq > after.Seq {
			want = append(want, e.ID.String())
		}
	}
	for _, e := range j.Messages {
		have = append(have, e.ID)
	}
	if !j.Recovered || !slices.Equal(have, want) {
		t.Fatalf("after %v: %v, recovered %v, want %v: %s", after, have, j.Recovered, want, body)
	}
}

// verifyHistory checks that the history before an id returns the messages of the log as
// they stand.
func (r *rig) verifyHistory(t *testing.T, log []protocol.Entry, before protocol.ID) {
	t.Helper()
	page, _ := r.history(cursor(before), 200)
	stand := protocol.PageOf(log, before, 200).List
	for n, e := range stand {
		if n >= len(page) || page[n].ID != e.ID || !bytes.Equal(page[n].Raw, e.Stands().Raw) {
			t.Fatalf("before %v: %d entries, without %s", before, len(page), e.Stands().Raw)
		}
	}
	if len(stand) != len(page) {
		t.Fatalf("before %v: %d entries, want %d", before, len(page), len(stand))
	}
}

// randomDraft returns a message, or a change of one of the messages; a deletion removes
// it from them.
func randomDraft(random *rand.Rand, i int, messages *[]protocol.ID) protocol.Draft {
	author := protocol.User{ID: "o"}
	kind := []string{"", "", protocol.Edit, protocol.Delete, protocol.React}[random.IntN(5)]
	if kind == "" || len(*messages) == 0 {
		return protocol.Message(author, fmt.Sprint(i), fmt.Sprint("text-", i), "o")
	}
	k := random.IntN(len(*messages))
	c := protocol.Command{
		Type: kind, Key: fmt.Sprint(i), Target: (*messages)[k], Text: fmt.Sprint("edited-", i),
		Emoji: []string{"👍", "🎉"}[random.IntN(2)], On: random.IntN(3) > 0,
	}
	switch kind {
	case protocol.Delete:
		*messages = slices.Delete(*messages, k, k+1)
	case protocol.React:
		author.ID = fmt.Sprint("o", random.IntN(3))
	}
	return c.Change(author, "o", false)
}

// Whatever is sent, edited, reacted to and deleted, while some live posts are lost:
// joins from any cursor and history return what the log holds, and members get every
// entry once.
func TestDeletedEntriesLeaveANodesMemory(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			r := newRig(t)
			posts := 0
			r.inject(faultbroker.Faults{Entries: func(p faultbroker.Post, deliver func(faultbroker.Post)) {
				if posts++; posts%7 != 3 {
					deliver(p)
				}
			}})
			m, u := r.enter("ann")
			r.join(m, u, newcomer)
			var messages, all []protocol.ID
			for i := range 150 {
				d := randomDraft(random, i, &messages)
				got := r.put("lobby", d)[0]
				if got.Refused != nil {
					t.Fatal(got)
				}
				all = append(all, got.ID)
				if d.Kind == "" {
					messages = append(messages, got.ID)
				}
				if i%10 != 9 {
					continue
				}
				r.hub.Feed().Following("lobby") // as after an interruption
				chattest.Eventually(t, "the newest entry", func() bool { return m.last() == got.ID.Seq })
				log, cursor := r.log(), all[random.IntN(len(all))]
				r.verifyRecovery(t, fmt.Sprint("x", i), log, cursor)
				r.verifyHistory(t, log, cursor)
				r.verifyFresh(t, log)
			}
			for seqs, i := m.seqs(), 1; i < len(seqs); i++ {
				if seqs[i] <= seqs[i-1] {
					t.Fatalf("%d came after %d", seqs[i], seqs[i-1])
				}
			}
		})
	}
}
