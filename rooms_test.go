package main

import (
	"testing"

	"example.com/chat/internal/poll"
)

// A room that everybody has left vanished from the list although it had messages.
func TestRoomsWithoutAnybodyAreListed(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	one, two := startNode(t, b.URL(), "--rate=0"), startNode(t, b.URL(), "--rate=0")
	ann := enter(t, one.url, "Ann", "quiet")
	said := ann.say("quiet", "x", "1")
	ann.send("leave", "room", "quiet")
	ann.next("left")
	ann.join("busy")
	bob := ioDial(t, two.url)
	bob.connect("")
	listed := func(f frame) bool {
		return len(f.Rooms) == 2 && f.Rooms[0].Room == "busy" && f.Rooms[0].Count == 1 && f.Rooms[0].Last == 0 &&
			f.Rooms[1].Room == "quiet" && f.Rooms[1].Count == 0 && f.Rooms[1].Last == said.Time
	}
	poll.Until(t, "both rooms, on each node and in each way", func() bool {
		ann.send("rooms")
		var page frame
		getJSON(t, two.url+"/api/rooms", &page)
		return listed(ann.next("rooms")) && listed(bob.ask("rooms", `{}`)) && listed(page)
	})
	var page frame
	if getJSON(t, two.url+"/api/rooms?after=t"+"1-zzz", &page); len(page.Rooms) != 0 {
		t.Errorf("behind the last: %v", page.Rooms)
	}
	var refused struct{ Error struct{ Code string } }
	if status := getJSON(t, one.url+"/api/rooms?after=x", &refused); status != 400 || refused.Error.Code != "bad_field" {
		t.Errorf("a cursor that is none: %d %v", status, refused)
	}
	if f := bob.ask("rooms", `{"after":"x","ref":1}`); f.Code != "bad_field" || f.Ref != 1.0 {
		t.Errorf("a cursor that is none: %s", f.raw)
	}
}
