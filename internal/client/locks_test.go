package client

import (
	"sync"
	"testing"

	"example.com/chat/internal/protocol"
)

// panics calls f, which must panic, and fails the test if the lock is held after it.
func panics(t *testing.T, mu *sync.Mutex, f func()) {
	t.Helper()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it did not panic")
			}
		}()
		f()
	}()
	if !mu.TryLock() {
		t.Fatal("the lock is still held")
	}
	mu.Unlock()
}

func TestAPanicOfACallbackLeavesNoLockInTheClient(t *testing.T) {
	t.Parallel()
	u := &current{conn: &Conn{done: make(chan struct{})}}
	panics(t, &u.mu, func() { _, _ = u.when(t.Context(), func() (bool, error) { panic("ok") }) })
	r := newRoom("lobby", Follow{}, protocol.Cursor{}, nil)
	panics(t, &r.mu, func() { r.locked(func() bool { panic("f") }) })
	s := new(socket) // without a WebSocket: writing and reading panic
	panics(t, &s.writing, func() { _ = s.write([]byte("{}"), 0) })
	panics(t, &s.reading, func() { _, _ = s.read() })
}
