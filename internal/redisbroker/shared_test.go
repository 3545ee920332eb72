package redisbroker_test

import (
	"errors"
	"fmt"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
)

// Users with a JWT are identified by their subject, and can share a name, which no one
// else can take while one of them is online, on any node.
func testNamesAreShared(t *testing.T, at *site) {
	n1, n2 := open(t, at, "n1", 10), open(t, at, "n2", 10)
	claim := func(b *testBroker, user, name string, shared, want bool) {
		t.Helper()
		got, err := b.Claim(t.Context(), protocol.NameClaim{User: user, Name: name, Shared: shared})
		if want && (err != nil || got != name) || !want && !errors.Is(err, protocol.ErrNameTaken) {
			t.Errorf("claim of %s by %s: %q %v", name, user, got, err)
		}
	}
	release := func(b *testBroker, user string) {
		t.Helper()
		done := make(chan error, 1)
		b.Release(user, false, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	claim(n1, "a", "Ann", true, true)
	claim(n2, "b", "ann", true, true)
	claim(n1, "guest", "ANN", false, false)
	release(n1, "a")
	claim(n1, "guest", "Ann", false, false) // still shown by b
	release(n2, "b")
	claim(n1, "guest", "Ann", false, true)
	claim(n2, "a", "Ann", true, true) // although a guest has it
	claim(n2, "guest2", "Ann", false, false)
	release(n1, "guest")
	claim(n1, "guest", "Ann", false, false) // it is a's now
	if got, err := n2.Rename(t.Context(), protocol.NameClaim{User: "a", Name: "Anna", Shared: true}, "m"); err != nil || got != "Anna" {
		t.Error(got, err)
	}
	claim(n1, "guest", "Ann", false, true)
	if got, err := n2.Rename(t.Context(), protocol.NameClaim{User: "a", Name: "Ann", Shared: true}, "m"); err != nil || got != "Ann" {
		t.Error(got, err)
	}
	// The list of users of one name is bounded.
	for i := range 40 {
		claim(n2, fmt.Sprint("many", i), "Many", true, true)
	}
	if noted := n1.rdb.HGet(t.Context(), n1.ns+":{cluster}:names", "many").Val(); len(noted) == 0 || len(noted) > 40*4 {
		t.Errorf("noted: %q", noted)
	}
	claim(n1, "guest3", "Many", false, false)
	// When a node dies, the names that its users shared are released.
	n2.stop()
	chattest.Eventually(t, "the name to be free", func() bool {
		_, err := n1.Claim(t.Context(), protocol.NameClaim{User: "guest3", Name: "Many"})
		return err == nil
	})
}
