package broker_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"example.com/chat/internal/broker"
	"example.com/chat/internal/redistest"
)

// A Redis that evicts loses logs, and the keys by which a resend is known: an
// operator is told at the start.
func TestARedisThatEvictsIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  []string
		warns bool
	}{
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, true},
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "noeviction"}, false},
		{[]string{"--maxmemory-policy", "allkeys-lru"}, false}, // it has no bound
	} {
		server := redistest.Start(t, c.args...)
		var log bytes.Buffer
		client := single(server.URL, nil)(t)
		_, err := broker.New(t.Context(), broker.Config{
			Client: client, Namespace: "test", History: 10, Node: broker.NodeInfo{ID: "n1"},
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if warned := strings.Contains(log.String(), "noeviction"); warned != c.warns {
			t.Errorf("%v: %q", c.args, log.String())
		}
	}
}
