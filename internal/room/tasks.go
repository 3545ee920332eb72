package room

import (
	"sync"
	"time"
)

// tasks are the goroutines of a hub, which all end before it does.
type tasks struct {
	running sync.WaitGroup

	mu    sync.Mutex // guards the field below; taken after all other locks
	ended bool
}

// Go runs f in a goroutine of its own, unless the hub is ending.
func (t *tasks) Go(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.running.Go(f) // f heeds the hub's context, and end waits for it
	}
}

// end lets no more begin, and waits for those that run.
func (t *tasks) end() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.running.Wait()
}

// pause waits, or until the hub ends.
func (h *Hub) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.ctx.Done():
	}
}
