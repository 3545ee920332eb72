package room_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/protocol"
)

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
				visitor{r}.verifyRecovery(t, fmt.Sprint("x", i), log, cursor)
				visitor{r}.verifyHistory(t, log, cursor)
				visitor{r}.verifyFresh(t, log)
			}
			for seqs, i := m.seqs(), 1; i < len(seqs); i++ {
				if seqs[i] <= seqs[i-1] {
					t.Fatalf("%d came after %d", seqs[i], seqs[i-1])
				}
			}
		})
	}
}
