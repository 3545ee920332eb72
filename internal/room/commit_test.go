package room

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A node whose Redis was away wrote fifty lines a second into its log, and later
// one a second: an outage has its own line when it begins and when it ends.
func TestFailuresAreLoggedTogetherAndNotInAnOutage(t *testing.T) {
	for name, c := range map[string]struct {
		outage func(h *Hub)
		want   string
	}{
		"no outage":               {func(*Hub) {}, "count=60"},
		"one that began":          {func(h *Hub) { h.users.changes++; h.users.up.Store(false) }, ""},
		"one that is over":        {func(h *Hub) { h.users.changes += 2 }, ""},
		"the end of an older one": {func(h *Hub) { h.users.changes++ }, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h := &Hub{ctx: ctx, log: slog.New(slog.NewTextHandler(&log, nil))}
			h.failures.hub = h
			h.users.up.Store(true)
			for range 30 { // within 2.9 s
				h.failures.add(2, "lobby", errors.New("redis is away"))
				time.Sleep(98 * time.Millisecond)
			}
			h.users.mu.Lock()
			c.outage(h)
			h.users.mu.Unlock()
			time.Sleep(failuresAfter)
			synctest.Wait() // for the timer that logs
			lines := strings.Count(log.String(), "\n")
			if c.want == "" && lines > 0 || c.want != "" && (lines != 1 || !strings.Contains(log.String(), c.want)) {
				t.Errorf("%s: %q", name, log.String())
			}
		})
	}
}
