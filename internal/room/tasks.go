package room

import "sync"

// tasks are the goroutines of a hub, which all end before it does.
type tasks struct {
	running sync.WaitGroup

	mu    sync.Mutex // guards the field below; taken after all others
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

// end prevents further tasks, and waits for those that run.
func (t *tasks) end() {
	t.close()
	t.running.Wait()
}

func (t *tasks) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}
