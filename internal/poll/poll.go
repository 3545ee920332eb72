// Package poll is how tests wait: they look again and again until something
// holds, or until patience is at an end. None sleeps and hopes.
package poll

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what has to come.
const Patience = 20 * time.Second

// every is how often is looked.
const every = 2 * time.Millisecond

// Until returns once ok is true, and ends the test when that takes longer than
// Patience. what says in words what is waited for.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Within(t, Patience, what, ok)
}

// Within is Until with a patience of its own.
func Within(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", patience, what)
		}
		time.Sleep(every)
	}
}
