package redisbroker_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/redisbroker"
)

// lines returns the lines of a log.
func lines(log *chattest.Output) []string {
	return strings.Split(strings.TrimSpace(log.String()), "\n")
}

// An outage is logged once at its beginning and once at its end, and not at each retry.
func TestAnOutageIsOneLineWhenItBeginsAndOneWhenItEnds(t *testing.T) {
	t.Parallel()
	// With "everysec" a busy disk may lose the last heartbeats, and with them the lease.
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	log := &chattest.Output{}
	b := openWith(t, at(server), redisbroker.Config{
		History: 10, Node: cluster.NodeInfo{ID: "n1", Port: 1}, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	chattest.Eventually(t, "to be ready", func() bool { return b.Ready() == nil })
	for i := range 2 {
		began := time.Now()
		server.Kill()
		b.Has(t, "the outage", func() bool { return !b.Up })
		chattest.Eventually(t, "its lease to end", func() bool { return i == 0 || time.Since(began) > 7*time.Second })
		server.Restart()
		b.Has(t, "its end", func() bool { return b.Up })
		chattest.Eventually(t, "a line about its end", func() bool { return len(lines(log)) >= 2*i+2 })
		got := lines(log)
		if len(got) != 2*i+2 || !strings.Contains(got[2*i], "this node can't use redis") || !strings.Contains(got[2*i], "level=ERROR") ||
			!strings.Contains(got[2*i+1], "this node can use redis again") || !strings.Contains(got[2*i+1], "after=") {
			t.Errorf("outage %d:\n%s", i, log.String())
		}
		if lost := strings.Contains(got[len(got)-1], "lease was lost"); lost != (i == 1) {
			t.Errorf("outage %d: %s", i, got[len(got)-1])
		}
	}
	// A breakdown that is over before it is an outage is logged too.
	if err := b.rdb.(*redis.Client).ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	chattest.Eventually(t, "a line about the subscription", func() bool { return strings.Contains(log.String(), "was made anew") })
	if got := lines(log); len(got) != 5 {
		t.Errorf("%s", log.String())
	}
}
