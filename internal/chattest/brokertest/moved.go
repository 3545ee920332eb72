package brokertest

import (
	"fmt"
	"slices"
	"testing"

	"example.com/chat/internal/protocol"
)

// logsThatMovedAreFound is the contract of Moved.
func logsThatMovedAreFound(t *testing.T, at *Site) {
	b := at.node(t, "n1", 100)
	other := at.node(t, "n2", 100)
	put := func(n *node, room, key string) protocol.ID {
		t.Helper()
		list, err := n.Append(t.Context(), room, []protocol.Draft{draft("u", key, "x")})
		if err != nil {
			t.Fatal(err)
		}
		return list[0].ID
	}
	rooms := []protocol.RoomHead{{Room: "empty"}}
	for i := range 300 { // more than there are partitions
		name := fmt.Sprint("room-", i)
		rooms = append(rooms, protocol.RoomHead{Room: name, Head: put(b, name, "1")})
	}
	moved := func(of ...protocol.RoomHead) []string {
		t.Helper()
		names, err := b.Moved(t.Context(), of)
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	moved(rooms...)
	// From now on what moves is found at once, and others seldom: some partitions are checked
	// as a whole each time.
	for turn := range 25 {
		r := &rooms[1+turn*7%300]
		head := put(other, r.Room, fmt.Sprint("turn ", turn))
		names := moved(rooms...)
		if !slices.Contains(names, r.Room) {
			t.Fatalf("turn %d: %s has moved and is not found", turn, r.Room)
		}
		if len(names) > len(rooms)/5 {
			t.Errorf("turn %d: %d of %d rooms are to be compared, and one has moved", turn, len(names), len(rooms))
		}
		r.Head = head
	}
	fewAreCompared(t, rooms, moved)
	r := &rooms[5]
	// A log that was deleted by hand has moved too.
	at.DeleteLog(t, r.Room)
	if !slices.Contains(moved(rooms...), r.Room) {
		t.Error("a deleted log is not found")
	}
	*r = protocol.RoomHead{Room: r.Room}
	moved(rooms...)
	// All logs are lost, and an entry is appended to another room.
	at.Wipe(t)
	put(other, "another", "1")
	names := moved(rooms...)
	for _, r := range rooms {
		if !r.Head.IsZero() && !slices.Contains(names, r.Room) {
			t.Errorf("all logs were lost, and %s is not to be compared", r.Room)
		}
	}
}

// fewAreCompared checks that while no log moves few are to be compared, each now and
// then.
func fewAreCompared(t *testing.T, rooms []protocol.RoomHead, moved func(...protocol.RoomHead) []string) {
	t.Helper()
	compared := make(map[string]bool)
	for range 20 {
		names := moved(rooms...)
		if len(names) > len(rooms)/5 {
			t.Errorf("%d of %d rooms are to be compared, and none has moved", len(names), len(rooms))
		}
		for _, name := range names {
			compared[name] = true
		}
	}
	t.Logf("%d of %d rooms were to be compared once in 20 audits", len(compared), len(rooms))
}
