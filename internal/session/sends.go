package session

import "sync"

// maxPending is how many sends of one connection may be in flight before reading from
// it pauses.
const maxPending = 128

// sendWindow bounds the sends of one connection that are in flight. Its methods are safe
// for concurrent use.
type sendWindow struct {
	mu      sync.Mutex // guards the fields below
	pending int
	freed   *sync.Cond // signalled when pending falls; nil until begin waits
}

// begin counts a send, and blocks while too many are in flight. It blocks no longer than
// the hub's time limit, within which each of those ends.
func (w *sendWindow) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.pending >= maxPending {
		if w.freed == nil {
			w.freed = sync.NewCond(&w.mu)
		}
		w.freed.Wait()
	}
	w.pending++
}

// done ends a send.
func (w *sendWindow) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending--
	if w.freed != nil {
		w.freed.Signal()
	}
}
