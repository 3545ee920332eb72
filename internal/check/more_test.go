package check_test

import (
	"slices"
	"testing"

	"example.com/chat/internal/check"
)

// Messages that do not fit into a joined follow it.
func TestAJoinThatComesInPieces(t *testing.T) {
	t.Parallel()
	w := &world{last: map[string]int{}, conn: map[string]int{"a": 1, "b": 1}}
	w.join("a")
	for range 20 {
		w.say("a")
		w.receive("a")
	}
	joined := len(w.list)
	w.add(check.Record{Op: check.OpJoined, Client: "b", Conn: 1, Room: lobby, Head: w.head(20), Count: 5, More: true})
	w.show("b", w.standing())
	w.last["b"] = 20
	w.say("a")
	for _, c := range []string{"a", "b"} {
		w.receive(c)
		w.add(check.Record{Op: check.OpEnd, Client: c, Conn: 1, Room: lobby})
	}
	for _, e := range w.log {
		w.add(e)
	}
	if report := check.Verify(w.list); !report.OK() {
		t.Errorf("a good history: %v", report.Violations)
	}
	if behind := check.Verify(w.list).Behind; behind > 5 {
		t.Errorf("the messages of the join count as late: %d", behind)
	}
	for i, gone := range map[int]string{joined + 3: "in the first piece", joined + 10: "in the rest"} {
		if w.list[i].Op != check.OpShown || w.list[i].Client != "b" {
			t.Fatalf("record %d is %v", i, w.list[i])
		}
		t.Run(gone, func(t *testing.T) { mustFind(t, slices.Delete(slices.Clone(w.list), i, i+1), check.RuleStands) })
	}
	none := slices.Clone(w.list)
	none[joined].Count = 0
	mustFind(t, none, check.RuleHead)
}
