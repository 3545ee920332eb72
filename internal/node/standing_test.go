package node_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/protocol"
)

// sendAll sends commands at once, and waits for their replies.
func sendAll(t *testing.T, p *chattest.Client, n int, send func(i int)) (last chattest.Frame) {
	t.Helper()
	window := 200
	if chattest.Race {
		window = 40 // the embedded broker's scripts take ten times as long
	}
	for from := 0; from < n; from += window {
		upTo := min(n, from+window)
		for i := from; i < upTo; i++ {
			send(i)
		}
		for range upTo - from {
			if last = p.Next("sent", "error"); last.Type == "error" {
				t.Fatal(last.Raw)
			}
		}
	}
	return last
}

// Reactions count neither among the 50 messages of a join nor in --history. Before, a new
// member saw no message after 100 reactions, and one user who toggled emptied a room.
func TestReactionsAndEditsDoNotUseUpTheRoom(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	flags := []string{"--rate=0", "--history=70"}
	n1 := startNode(t, b.URL(), flags...)
	ann := chattest.Enter(t, n1.url, "Ann", "lobby")
	var ids []string
	for i := range 60 {
		ids = append(ids, ann.Say("lobby", fmt.Sprint("text-", i), fmt.Sprint("k", i)).ID)
	}
	sendAll(t, ann, 2500, func(i int) {
		ann.Send("react", "room", "lobby", "target", ids[30], "emoji", "👍", "on", i%2 == 1, "key", fmt.Sprint("r", i))
	})
	sendAll(t, ann, 50, func(i int) {
		ann.Send("edit", "room", "lobby", "target", ids[40], "text", fmt.Sprint("edited-", i), "key", fmt.Sprint("e", i))
	})
	ann.Send("delete", "room", "lobby", "target", ids[59], "key", "d")
	deleted := ann.Next("sent")

	// On a node that followed the room, and on one that reads its log.
	n2 := startNode(t, b.URL(), flags...)
	for _, n := range []*testNode{n1, n2} {
		late := chattest.Dial(t, n.url)
		late.Hello()
		j := late.Join("lobby")
		if j.Recovered || len(j.Messages) != protocol.NewestCount || j.Head != deleted.ID || j.Messages[0].ID != ids[9] || j.Messages[49].ID != ids[58] {
			t.Errorf("a new member got %d messages: %.300s", len(j.Messages), j.Raw)
		}
		late.Send("history", "room", "lobby", "limit", 200)
		h := late.Next("history")
		if len(h.Messages) != 59 || h.More {
			t.Errorf("the history has %d messages, more %v", len(h.Messages), h.More)
		}
		var page chattest.Frame
		if res, err := http.Get(n.url + "/api/rooms/lobby/messages?limit=200"); err != nil {
			t.Fatal(err)
		} else if err := json.NewDecoder(res.Body).Decode(&page); err != nil || res.Body.Close() != nil {
			t.Fatal(err)
		}
		if len(page.Messages) != 59 {
			t.Errorf("/api lists %d messages", len(page.Messages))
		}
		for _, raw := range []string{j.Raw, h.Raw} {
			if strings.Count(raw, `"reactions":[{"emoji":"👍","count":1,"users":["`+ann.Me.ID+`"]}]`) != 1 ||
				strings.Count(raw, `"text":"edited-49","node"`) != 1 || strings.Count(raw, `"edited":`) != 1 ||
				strings.Contains(raw, "text-59") || strings.Contains(raw, "text-40") || strings.Contains(raw, `"kind"`) {
				t.Errorf("the message does not have its changes: %s", raw)
			}
		}
		// The number of changes in the log is bounded, so these have been dropped.
		for _, after := range []string{ids[20], ids[59]} {
			if j := late.Join("lobby", "after", after); j.Recovered || len(j.Messages) != protocol.NewestCount {
				t.Errorf("after %s: %d entries, recovered %v", after, len(j.Messages), j.Recovered)
			}
		}
	}
	if x := ann.Join("lobby", "after", deleted.ID); !x.Recovered || len(x.Messages) != 0 {
		t.Errorf("after the newest: %s", x.Raw)
	}
}

// A node serves no more from its memory than --history keeps.
func TestWhatIsBeyondHistoryIsNotServed(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	flags := []string{"--rate=0", "--history=10"}
	n1, n2 := startNode(t, b.URL(), flags...), startNode(t, b.URL(), flags...)
	ann, bob := chattest.Enter(t, n1.url, "Ann", "lobby"), chattest.Enter(t, n2.url, "Bob", "lobby")
	var ids []string
	for i := range 30 {
		ids = append(ids, ann.Say("lobby", fmt.Sprint("text-", i), fmt.Sprint("k", i)).ID)
		if i == 15 {
			ann.Send("edit", "room", "lobby", "target", ids[15], "text", "text-15-edited", "key", "e")
			ann.Next("sent")
		}
	}
	ann.Send("edit", "room", "lobby", "target", ids[20], "text", "text-20-edited", "key", "e2")
	ann.Next("sent")
	ann.Say("lobby", "text-30", "k30")
	bob.Message("text-30")
	for _, n := range []*testNode{n1, n2} {
		late := chattest.Dial(t, n.url)
		late.Hello()
		for _, fields := range [][]any{nil, {"after", ids[3]}, {"after", ids[17]}, {"after", ids[29]}} {
			j := late.Join("lobby", fields...)
			for i := range 21 {
				if strings.Contains(j.Raw, fmt.Sprintf(`"text-%d"`, i)) || strings.Contains(j.Raw, fmt.Sprintf(`"text-%d-edited"`, i)) {
					t.Errorf("joined %v, and got message %d: %s", fields, i, j.Raw)
				}
			}
			if j.Recovered || len(j.Messages) != 10 {
				t.Errorf("joined %v with %d messages, recovered %v", fields, len(j.Messages), j.Recovered)
			}
		}
		late.Send("history", "room", "lobby", "limit", 200)
		if h := late.Next("history"); len(h.Messages) != 10 || h.More || h.Messages[0].Text != "text-21" {
			t.Errorf("the history is %s", h.Raw)
		}
		late.Send("history", "room", "lobby", "before", ids[21])
		if h := late.Next("history"); len(h.Messages) != 0 || h.More {
			t.Errorf("the history before that is %s", h.Raw)
		}
	}
}

// The changes of one message are bounded. Further ones are refused with a reason.
func TestAMessageIsChangedWithinBounds(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	ann := chattest.Enter(t, n.url, "Ann", "lobby")
	id := ann.Say("lobby", "text", "k").ID
	sendAll(t, ann, protocol.MaxEdits, func(i int) {
		ann.Send("edit", "room", "lobby", "target", id, "text", fmt.Sprint(i), "key", fmt.Sprint("e", i))
	})
	ann.Send("edit", "room", "lobby", "target", id, "text", "once more", "key", "e")
	if f := ann.Error("forbidden"); f.Key != "e" || !strings.Contains(f.Message, "100 times") {
		t.Errorf("refused with %s", f.Raw)
	}
	emoji := func(i int) string { return string(rune('🐀' + i)) }
	sendAll(t, ann, protocol.MaxReactionKinds, func(i int) {
		ann.Send("react", "room", "lobby", "target", id, "emoji", emoji(i), "on", true, "key", fmt.Sprint("r", i))
	})
	ann.Send("react", "room", "lobby", "target", id, "emoji", emoji(30), "on", true, "key", "r")
	if f := ann.Error("forbidden"); f.Key != "r" || !strings.Contains(f.Message, "20 kinds") {
		t.Errorf("refused with %s", f.Raw)
	}
	// A kind of reaction that exists can be added, and a new kind once another was removed.
	for i, on := range []bool{true, false} {
		ann.Send("react", "room", "lobby", "target", id, "emoji", emoji(0), "on", on, "key", fmt.Sprint("again", i))
		if f := ann.Next("sent", "error"); f.Type != "sent" {
			t.Error(f.Raw)
		}
	}
	ann.Send("react", "room", "lobby", "target", id, "emoji", emoji(30), "on", true, "key", "r")
	if f := ann.Next("sent", "error"); f.Type != "sent" || f.Duplicate {
		t.Error(f.Raw)
	}
}
