package redisbroker_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
)

// Kept names are removed a week after their users went offline. A user who is online again
// does not lose the name then.
func testAKeptNameIsNotLostOnline(t *testing.T, at *site) {
	n1, n2 := open(t, at, "n1", 10), open(t, at, "n2", 10)
	ctx, users, kept := t.Context(), n1.ns+":{cluster}:users", n1.ns+":{cluster}:kept"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	claim := func(b *testBroker, user, name string) {
		t.Helper()
		_, err := b.Claim(ctx, protocol.NameClaim{User: user, Name: name})
		must(err)
	}
	release := func(b *testBroker, user string, keep bool) {
		t.Helper()
		done := make(chan error, 1)
		b.Release(user, keep, func(err error) { done <- err })
		must(<-done)
	}
	since := func(user string, ago time.Duration) redis.Z {
		return redis.Z{Score: float64(n1.rdb.Time(ctx).Val().Add(-ago).UnixMilli()), Member: user}
	}
	old := func(user string) redis.Z { return since(user, 8*24*time.Hour) }
	listed := func(user string) bool {
		t.Helper()
		err := n1.rdb.ZScore(ctx, kept, user).Err()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		return err == nil
	}

	// n2 found n1 dead and kept the name; n1 was only slow, and releases the user after that.
	claim(n1, "a", "Ann")
	release(n1, "a", true)
	if !listed("a") {
		t.Error("the name is not kept")
	}
	release(n1, "a", false)
	if listed("a") {
		t.Error("a name is kept that was released for good")
	}
	claim(n2, "a", "Ann")

	// A user without a record, and one with it, come back.
	must(n1.rdb.ZAdd(ctx, kept, since("b", 0)).Err())
	claim(n2, "b", "Bob")
	claim(n1, "c", "Cleo")
	release(n1, "c", true)
	claim(n2, "c", "Cleo")
	if listed("b") || listed("c") {
		t.Error("the name of a user who is online is kept as if the user were offline")
	}

	// Kept users who are online stay, also those that an earlier version left there.
	must(n1.rdb.ZAdd(ctx, kept, old("a"), old("b"), old("c"), old("gone")).Err())
	must(n1.rdb.HSet(ctx, users, "gone", "gone|Gone").Err())
	for i := 0; listed("gone"); i++ { // some calls purge
		if i == 100 {
			t.Fatal("old kept names are never removed")
		}
		claim(n1, fmt.Sprint("other", i), fmt.Sprint("other", i))
	}
	if n1.rdb.HExists(ctx, users, "gone").Val() {
		t.Error("the name of a user who is offline is kept for longer than a week")
	}
	for user, name := range map[string]string{"a": "Ann", "b": "Bob", "c": "Cleo"} {
		if listed(user) {
			t.Errorf("%s is listed still", user)
		}
		if got, err := n1.Claim(ctx, protocol.NameClaim{User: "guest", Name: name}); !errors.Is(err, protocol.ErrNameTaken) {
			t.Errorf("a guest takes %s, whose user is online: %q %v", name, got, err)
		}
	}
}
