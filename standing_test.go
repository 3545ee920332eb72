package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"example.com/chat/internal/protocol"
)

// all sends commands at once, and waits for their replies.
func (p *peer) all(t *testing.T, n int, send func(i int)) (last frame) {
	t.Helper()
	const window = 200
	for from := 0; from < n; from += window {
		upTo := min(n, from+window)
		for i := from; i < upTo; i++ {
			send(i)
		}
		for range upTo - from {
			if last = p.next("sent", "error"); last.Type == "error" {
				t.Fatal(last.raw)
			}
		}
	}
	return last
}

// Reactions counted among the 50 entries of a join, and in --history: after 100
// reactions somebody new saw no message, and one user who toggled emptied a room.
func TestReactionsAndEditsDoNotUseUpTheRoom(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	flags := []string{"--rate=0", "--history=70"}
	n1 := startNode(t, b.URL(), flags...)
	ann := enter(t, n1.url, "Ann", "lobby")
	var ids []string
	for i := range 60 {
		ids = append(ids, ann.say("lobby", fmt.Sprint("text-", i), fmt.Sprint("k", i)).ID)
	}
	ann.all(t, 2500, func(i int) {
		ann.send("react", "room", "lobby", "target", ids[30], "emoji", "👍", "on", i%2 == 1, "key", fmt.Sprint("r", i))
	})
	ann.all(t, 50, func(i int) {
		ann.send("edit", "room", "lobby", "target", ids[40], "text", fmt.Sprint("edited-", i), "key", fmt.Sprint("e", i))
	})
	ann.send("delete", "room", "lobby", "target", ids[59], "key", "d")
	deleted := ann.next("sent")

	// On a node that followed all of it, and on one that reads it.
	n2 := startNode(t, b.URL(), flags...)
	for _, n := range []*testNode{n1, n2} {
		late := dial(t, n.url)
		late.hello()
		j := late.join("lobby")
		if j.Recovered || len(j.Messages) != protocol.NewestCount || j.Head != deleted.ID || j.Messages[0].ID != ids[9] || j.Messages[49].ID != ids[58] {
			t.Errorf("somebody new joined with %d messages: %.300s", len(j.Messages), j.raw)
		}
		late.send("history", "room", "lobby", "limit", 200)
		h := late.next("history")
		if len(h.Messages) != 59 || h.More {
			t.Errorf("the history has %d messages, more %v", len(h.Messages), h.More)
		}
		var page frame
		if res, err := http.Get(n.url + "/api/rooms/lobby/messages?limit=200"); err != nil {
			t.Fatal(err)
		} else if err := json.NewDecoder(res.Body).Decode(&page); err != nil || res.Body.Close() != nil {
			t.Fatal(err)
		}
		if len(page.Messages) != 59 {
			t.Errorf("/api tells of %d messages", len(page.Messages))
		}
		for _, raw := range []string{j.raw, h.raw} {
			if strings.Count(raw, `"reactions":[{"emoji":"👍","count":1,"users":["`+ann.me.ID+`"]}]`) != 1 ||
				strings.Count(raw, `"text":"edited-49","node"`) != 1 || strings.Count(raw, `"edited":`) != 1 ||
				strings.Contains(raw, "text-59") || strings.Contains(raw, "text-40") || strings.Contains(raw, `"kind"`) {
				t.Errorf("it does not stand as it was changed: %s", raw)
			}
		}
		// What changed messages is bounded, so these places are gone.
		for _, after := range []string{ids[20], ids[59]} {
			if j := late.join("lobby", "after", after); j.Recovered || len(j.Messages) != protocol.NewestCount {
				t.Errorf("after %s came %d entries, recovered %v", after, len(j.Messages), j.Recovered)
			}
		}
	}
	if x := ann.join("lobby", "after", deleted.ID); !x.Recovered || len(x.Messages) != 0 {
		t.Errorf("after the newest came %s", x.raw)
	}
}

// A node served more from its memory than --history keeps.
func TestWhatIsBeyondHistoryIsNotServed(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	flags := []string{"--rate=0", "--history=10"}
	n1, n2 := startNode(t, b.URL(), flags...), startNode(t, b.URL(), flags...)
	ann, bob := enter(t, n1.url, "Ann", "lobby"), enter(t, n2.url, "Bob", "lobby")
	var ids []string
	for i := range 30 {
		ids = append(ids, ann.say("lobby", fmt.Sprint("text-", i), fmt.Sprint("k", i)).ID)
		if i == 15 {
			ann.send("edit", "room", "lobby", "target", ids[15], "text", "text-15-edited", "key", "e")
			ann.next("sent")
		}
	}
	ann.send("edit", "room", "lobby", "target", ids[20], "text", "text-20-edited", "key", "e2")
	ann.next("sent")
	ann.say("lobby", "text-30", "k30")
	bob.message("text-30")
	for _, n := range []*testNode{n1, n2} {
		late := dial(t, n.url)
		late.hello()
		for _, fields := range [][]any{nil, {"after", ids[3]}, {"after", ids[17]}, {"after", ids[29]}} {
			j := late.join("lobby", fields...)
			for i := range 21 {
				if strings.Contains(j.raw, fmt.Sprintf(`"text-%d"`, i)) || strings.Contains(j.raw, fmt.Sprintf(`"text-%d-edited"`, i)) {
					t.Errorf("joined %v, and was told of message %d: %s", fields, i, j.raw)
				}
			}
			if j.Recovered || len(j.Messages) != 10 {
				t.Errorf("joined %v with %d messages, recovered %v", fields, len(j.Messages), j.Recovered)
			}
		}
		late.send("history", "room", "lobby", "limit", 200)
		if h := late.next("history"); len(h.Messages) != 10 || h.More || h.Messages[0].Text != "text-21" {
			t.Errorf("the history is %s", h.raw)
		}
		late.send("history", "room", "lobby", "before", ids[21])
		if h := late.next("history"); len(h.Messages) != 0 || h.More {
			t.Errorf("the history before that is %s", h.raw)
		}
	}
}

// What changes one message is bounded, and refused in words.
func TestAMessageIsChangedWithinBounds(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n := startNode(t, b.URL(), "--rate=0")
	ann := enter(t, n.url, "Ann", "lobby")
	id := ann.say("lobby", "text", "k").ID
	ann.all(t, protocol.MaxEdits, func(i int) {
		ann.send("edit", "room", "lobby", "target", id, "text", fmt.Sprint(i), "key", fmt.Sprint("e", i))
	})
	ann.send("edit", "room", "lobby", "target", id, "text", "once more", "key", "e")
	if f := ann.error("forbidden"); f.Key != "e" || !strings.Contains(f.Message, "100 times") {
		t.Errorf("refused by %s", f.raw)
	}
	emoji := func(i int) string { return string(rune('🐀' + i)) }
	ann.all(t, protocol.MaxReactionKinds, func(i int) {
		ann.send("react", "room", "lobby", "target", id, "emoji", emoji(i), "on", true, "key", fmt.Sprint("r", i))
	})
	ann.send("react", "room", "lobby", "target", id, "emoji", emoji(30), "on", true, "key", "r")
	if f := ann.error("forbidden"); f.Key != "r" || !strings.Contains(f.Message, "20 kinds") {
		t.Errorf("refused by %s", f.raw)
	}
	// One that is there may be put, and after one is taken away, another.
	for i, on := range []bool{true, false} {
		ann.send("react", "room", "lobby", "target", id, "emoji", emoji(0), "on", on, "key", fmt.Sprint("again", i))
		if f := ann.next("sent", "error"); f.Type != "sent" {
			t.Error(f.raw)
		}
	}
	ann.send("react", "room", "lobby", "target", id, "emoji", emoji(30), "on", true, "key", "r")
	if f := ann.next("sent", "error"); f.Type != "sent" || f.Duplicate {
		t.Error(f.raw)
	}
}
