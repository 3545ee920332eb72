package chattest

import (
	"testing"
	"time"
)

// Patience is how long a test waits for an event before it fails.
const Patience = 20 * time.Second

// pollInterval is the pause between two checks of a condition.
const pollInterval = 2 * time.Millisecond

// Eventually returns once ok returns true, and fails the test if that takes longer
// than Patience. what completes the sentence "waited 20s for ...".
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	EventuallyWithin(t, Patience, what, ok)
}

// EventuallyWithin is Eventually with another limit.
func EventuallyWithin(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", limit, what)
		}
		time.Sleep(pollInterval)
	}
}
