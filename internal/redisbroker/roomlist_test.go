package redisbroker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Concurrent requests for the list of rooms share one read of Redis, and a request whose
// context ends does not wait for it.
func TestTheListOfRoomsIsReadOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l roomList
		var reads atomic.Int64
		read := func(context.Context) (any, error) {
			time.Sleep(time.Second)
			return reads.Add(1), nil
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if v, err := l.once(t.Context(), "k", read); err != nil || v != int64(1) {
					t.Errorf("%v %v", v, err)
				}
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		if _, err := l.once(ctx, "k", read); !errors.Is(err, context.Canceled) || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		all.Wait()
		if v, _ := l.once(t.Context(), "k", read); v != int64(1) { // still fresh
			t.Errorf("read %v times", v)
		}
		time.Sleep(roomsFresh)
		failed := errors.New("failed")
		if _, err := l.once(t.Context(), "k", func(context.Context) (any, error) { return nil, failed }); !errors.Is(err, failed) {
			t.Errorf("%v", err)
		}
		if v, _ := l.once(t.Context(), "k", read); v != int64(2) { // a failure is not kept
			t.Errorf("read %v times", v)
		}
	})
}
