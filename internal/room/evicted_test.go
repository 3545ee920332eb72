package room

import (
	"context"
	"testing"

	"example.com/chat/internal/chattest"
)

// A room is evicted while its log is being read: the wait for the read ends. After an
// outage, the status "up" waited half a minute for such a room.
func TestNobodyWaitsForAnEvictedRoom(t *testing.T) {
	t.Parallel()
	h := New(Config{}, Broker{})
	defer h.Close(context.Background())
	ctx, cancel := context.WithTimeout(t.Context(), chattest.Patience)
	defer cancel()
	r := newRoom(h, "lobby", nil)
	r.mu.Lock()
	r.log.replica.Refresh() // a read that does not end
	r.mu.Unlock()
	done := r.log.await(true)
	r.mu.Lock()
	r.closeLocked()
	r.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		t.Error("the wait for the read of an evicted room does not end")
	}
	if err := r.log.catchUpNow(ctx); err != nil {
		t.Error(err)
	}
}
