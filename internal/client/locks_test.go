package client

import (
	"sync"
	"testing"
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
	s := &Session{conn: &Conn{done: make(chan struct{})}}
	panics(t, &s.mu, func() { _, _ = s.when(t.Context(), func() (bool, error) { panic("ok") }) })
	panics(t, &s.mu, func() { s.locked(func() bool { panic("f") }) })
	c := &Conn{} // without a WebSocket: writing and reading panic
	panics(t, &c.writing, func() { _ = c.WriteRaw([]byte("{}")) })
	panics(t, &c.reading, func() { _, _ = c.Read() })
}
