package room_test

import (
	"context"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/room"
)

// The log is emptied after memory has answered that older entries are needed, and before
// they are read: the first entry of an empty list was indexed, and the panic left the
// room's lock held.
func TestOlderEntriesOfAnEmptiedLogAreReadWithoutHarm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), chattest.Patience)
	defer cancel()
	for what, read := range room.ReadsOfOlder(r.hub, "lobby") {
		err, unlocked := read(ctx)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !unlocked {
			t.Fatalf("%s: the room's lock stays held", what)
		}
	}
}
