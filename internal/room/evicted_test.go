package room

import (
	"context"
	"testing"
	"time"
)

// A room is evicted while its log is being read: whoever waits for the read goes on.
// After an outage "up" waited for such a room for half a minute.
func TestNobodyWaitsForAnEvictedRoom(t *testing.T) {
	t.Parallel()
	h := New(Config{}, Broker{})
	defer h.Close(context.Background())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r := newRoom(h, "lobby", nil)
	r.mu.Lock()
	r.log.replica.Refresh() // a read that does not end
	r.mu.Unlock()
	done := r.log.await()
	r.mu.Lock()
	r.closeLocked()
	r.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		t.Error("a read of a room that is not followed any more is waited for")
	}
	if err := r.log.catchUpNow(ctx); err != nil {
		t.Error(err)
	}
}
