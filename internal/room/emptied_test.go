package room

import (
	"context"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

// emptied is a broker whose rooms are empty.
type emptied struct{ Log }

func (emptied) Before(context.Context, string, protocol.ID, int) ([]protocol.Entry, bool, error) {
	return nil, false, nil
}

func (emptied) Messages(context.Context, string, protocol.ID, int) (protocol.Page, error) {
	return protocol.Page{}, nil
}

// The log was emptied between the answer that older entries are needed and their
// read: the first entry of an empty list was indexed, and the panic left the room's
// lock held.
func TestOlderEntriesOfAnEmptiedLogAreReadWithoutHarm(t *testing.T) {
	t.Parallel()
	h := New(Config{}, Broker{Log: emptied{}})
	defer h.Close(context.Background())
	r := newRoom(h, "lobby", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, read := range []func() error{
		func() error { return r.answers.extend(ctx) },
		func() error { return r.answers.fill(ctx) },
	} {
		if err := read(); err != nil {
			t.Error(err)
		}
		if !r.mu.TryLock() {
			t.Fatal("the room is locked")
		}
		r.mu.Unlock()
	}
}
