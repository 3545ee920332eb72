package client

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAHeartbeatIsSentWhenTheConnectionIsQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex // guards the next two
		var heard time.Duration
		var pings []time.Duration
		hear := func(at time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			heard = at
		}
		var h heartbeat
		h.start(3*time.Second, func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return time.Since(began) - heard
		}, func() error {
			hear(time.Since(began) + time.Second) // the pong
			mu.Lock()
			defer mu.Unlock()
			pings = append(pings, time.Since(began))
			return nil
		})
		time.Sleep(2 * time.Second)
		hear(2 * time.Second) // an event
		time.Sleep(9500 * time.Millisecond)
		h.stop()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(pings) != 2 || pings[0] != 5*time.Second || pings[1] != 9*time.Second {
			t.Errorf("pings after %v", pings)
		}
		var stopped heartbeat
		stopped.stop()
		stopped.start(time.Second, func() time.Duration { return time.Hour }, func() error {
			t.Error("a ping after stop")
			return nil
		})
		time.Sleep(time.Minute)
	})
}
