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

// Failed appends share one line in the operator's log, and have none during an outage,
// which has its own lines. A node without Redis logged fifty lines a second.
func TestFailuresAreLoggedTogetherAndNotInAnOutage(t *testing.T) {
	for name, c := range map[string]struct {
		outage func(h *Hub)
		want   string
	}{
		"no outage":            {func(*Hub) {}, "count=60"},
		"an outage begins":     {func(h *Hub) { h.users.changes++; h.users.up.Store(false) }, ""},
		"an outage ends":       {func(h *Hub) { h.users.changes += 2 }, ""},
		"an older outage ends": {func(h *Hub) { h.users.changes++ }, ""},
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
