package node_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// The head of an empty room is a cursor like any other. When it was "", as without a
// cursor, a client that returned missed entries and was not notified.
func TestAnEmptyRoomsHeadIsACursor(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL(), "--rate=0", "--history=1200"), startNode(t, b.URL(), "--rate=0", "--history=1200")
	ann, bob := chattest.Dial(t, one.url), ioDial(t, two.url)
	ann.Hello()
	bob.connect("")
	bob.ask("join", `{"room":"lobby"}`)
	if j := ann.Join("lobby"); j.Head != "0-0" || j.Recovered {
		t.Errorf("joined: %s", j.Raw)
	}
	if j := ann.Join("lobby", "after", "0-0"); j.Head != "0-0" || !j.Recovered || len(j.Messages) != 0 {
		t.Errorf("nothing was missed, but the reply is %s", j.Raw)
	}
	ann.Send("history", "room", "lobby", "before", "0-0")
	if h := ann.Next("history"); len(h.Messages) != 0 || h.More {
		t.Errorf("before the beginning: %s", h.Raw)
	}
	seqs := func(list []chattest.Frame) string {
		var text []string
		for _, m := range list {
			text = append(text, fmt.Sprint(m.Seq()))
		}
		return strings.Join(text, " ")
	}
	check := func(head chattest.Frame, recovered bool, want string) {
		t.Helper()
		var ofAnn, ofBob chattest.Frame
		chattest.Eventually(t, "both nodes to have all entries", func() bool {
			ofAnn = ann.Join("lobby", "after", "0-0")
			ofBob = bob.ask("join", `{"room":"lobby","after":"0-0"}`)
			return ofAnn.Head == head.ID && ofBob.Head == head.ID
		})
		for _, j := range []chattest.Frame{ofAnn, ofBob} {
			if got := seqs(j.Messages); j.Recovered != recovered || want != "" && got != want {
				t.Errorf("recovered %t, %s; want %t, %s", j.Recovered, got, recovered, want)
			}
		}
	}
	first := ann.Say("lobby", "1", "1")
	check(ann.Say("lobby", "2", "2"), true, "1 2")
	if j := ann.Join("lobby", "after", ""); j.Recovered || seqs(j.Messages) != "1 2" {
		t.Errorf("without a cursor: %s", j.Raw)
	}
	ann.Send("delete", "room", "lobby", "target", first.ID, "key", "3")
	check(ann.Next("sent"), true, "2 3")
	for i := range 998 {
		ann.Send("send", "room", "lobby", "text", "x", "key", fmt.Sprint("m", i))
	}
	var last chattest.Frame
	for range 998 {
		last = ann.Next("sent")
	}
	check(last, true, "")                           // 1,000 are left of 1,001
	check(ann.Say("lobby", "x", "more"), false, "") // more than are recovered at once
	for i := range 300 {
		ann.Send("send", "room", "lobby", "text", "x", "key", fmt.Sprint("n", i))
	}
	for range 300 {
		last = ann.Next("sent")
	}
	check(last, false, "") // the beginning is no longer in the log
}
