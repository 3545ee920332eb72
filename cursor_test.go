package main

import (
	"fmt"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
)

// A client that joined an empty room went away, missed everything, and was not told
// of it: its cursor was "", which is that of a newcomer. The head of an empty room
// is a cursor like any other.
func TestAnEmptyRoomsHeadIsACursor(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	one, two := startNode(t, b.URL(), "--rate=0", "--history=1200"), startNode(t, b.URL(), "--rate=0", "--history=1200")
	ann, bob := dial(t, one.url), ioDial(t, two.url)
	ann.hello()
	bob.connect("")
	bob.ask("join", `{"room":"lobby"}`)
	if j := ann.join("lobby"); j.Head != "0-0" || j.Recovered {
		t.Errorf("joined: %s", j.raw)
	}
	if j := ann.join("lobby", "after", "0-0"); j.Head != "0-0" || !j.Recovered || len(j.Messages) != 0 {
		t.Errorf("nothing was missed: %s", j.raw)
	}
	ann.send("history", "room", "lobby", "before", "0-0")
	if h := ann.next("history"); len(h.Messages) != 0 || h.More {
		t.Errorf("before the beginning: %s", h.raw)
	}
	seqs := func(list []frame) string {
		var text []string
		for _, m := range list {
			text = append(text, fmt.Sprint(m.seq()))
		}
		return strings.Join(text, " ")
	}
	check := func(head frame, recovered bool, want string) {
		t.Helper()
		var ofAnn, ofBob frame
		chattest.Eventually(t, "both nodes to have it all", func() bool {
			ofAnn = ann.join("lobby", "after", "0-0")
			ofBob = bob.ask("join", `{"room":"lobby","after":"0-0"}`)
			return ofAnn.Head == head.ID && ofBob.Head == head.ID
		})
		for _, j := range []frame{ofAnn, ofBob} {
			if got := seqs(j.Messages); j.Recovered != recovered || want != "" && got != want {
				t.Errorf("recovered %t, %s; want %t, %s", j.Recovered, got, recovered, want)
			}
		}
	}
	first := ann.say("lobby", "1", "1")
	check(ann.say("lobby", "2", "2"), true, "1 2")
	if j := ann.join("lobby", "after", ""); j.Recovered || seqs(j.Messages) != "1 2" {
		t.Errorf("without a cursor: %s", j.raw)
	}
	ann.send("delete", "room", "lobby", "target", first.ID, "key", "3")
	check(ann.next("sent"), true, "2 3")
	for i := range 998 {
		ann.send("send", "room", "lobby", "text", "x", "key", fmt.Sprint("m", i))
	}
	var last frame
	for range 998 {
		last = ann.next("sent")
	}
	check(last, true, "")                           // 1,000 are left of 1,001
	check(ann.say("lobby", "x", "more"), false, "") // more than are recovered at once
	for i := range 300 {
		ann.send("send", "room", "lobby", "text", "x", "key", fmt.Sprint("n", i))
	}
	for range 300 {
		last = ann.next("sent")
	}
	check(last, false, "") // the beginning has fallen off
}
