package redisbroker

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/embed"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
)

// Clients send nothing to a node that is not ready, so only a trial shows whether Redis
// accepts messages again.
func TestATrialTellsWhetherAFailureHolds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	embedded, err := embed.StartBroker(embed.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(embedded.Close)
	for name, url := range map[string]string{"redis-server": server.URL, "embedded": embedded.URL()} {
		opts, err := redis.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(opts)
		defer client.Close()
		b, err := New(t.Context(), Config{Client: client, Namespace: "chat", History: 10, Node: cluster.NodeInfo{ID: "n1"}})
		if err != nil {
			t.Fatal(err)
		}
		appending, reads := work{what: "appending to logs"}, work{what: reading}
		failed := func(w work) bool {
			b.health.refusals.mu.Lock()
			defer b.health.refusals.mu.Unlock()
			_, ok := b.health.refusals.last[w]
			return ok
		}
		for _, w := range []work{appending, reads} {
			for _, err := range []error{
				context.DeadlineExceeded, replyError("OOM command not allowed when used memory > 'maxmemory'."),
				replyError("READONLY You can't write against a read only replica."),
			} {
				b.health.refusals.note(w, err)
				if b.tryAgain(t.Context()); failed(w) {
					t.Errorf("%s: %v of %s holds although a trial passes", name, err, w.what)
				}
			}
			// The failed call itself may be the reason, and a trial is another call.
			for _, err := range []error{replyError("NOPERM User chat has no permissions"), replyError("ERR a text of tomorrow"), errReplicas} {
				b.health.refusals.note(w, err)
				if b.tryAgain(t.Context()); !failed(w) {
					t.Errorf("%s: %v of %s is forgotten for a trial", name, err, w.what)
				}
				b.health.refusals.note(w, nil)
			}
		}
		if name == "redis-server" {
			server.Do("CONFIG", "SET", "maxmemory", "1")
			b.health.refusals.note(appending, replyError("OOM command not allowed when used memory > 'maxmemory'."))
			if b.tryAgain(t.Context()); !failed(appending) || b.health.refusals.reason() == nil {
				t.Error("a full Redis passes a trial")
			}
			server.Do("CONFIG", "SET", "maxmemory", "0")
		}
		if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 0 && name == "redis-server" {
			t.Errorf("%s: trials left %d keys, %v", name, n, err)
		}
	}
}
