package redisbroker_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// A broker warns at its start of a Redis that evicts keys: it loses logs, and the keys that
// identify repeats.
func TestARedisThatEvictsIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  []string
		warns bool
	}{
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, true},
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu"}, true},
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-random"}, true},
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "noeviction"}, false},
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"}, false},
		{[]string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"}, false},
		{[]string{"--maxmemory-policy", "allkeys-lru"}, false}, // it has no bound
	} {
		server := redistest.Start(t, c.args...)
		var log bytes.Buffer
		client := single(server.URL, nil)(t)
		_, err := redisbroker.New(t.Context(), redisbroker.Config{
			Client: client, Namespace: "test", History: 10, Node: cluster.NodeInfo{ID: "n1"},
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

// A volatile policy evicts only keys with a TTL, which no key of the chat has.
func TestNoKeyHasATTL(t *testing.T) {
	each(t, func(t *testing.T, at *site) {
		b := open(t, at, "n1", 10)
		user := protocol.User{ID: "a", Name: "Ann"}
		first := b.put(t, draft("a", "1", "x"), draft("a", "2", "x"))
		b.put(t, change(protocol.Edit, "a", "3", first[0].ID, "y"), change(protocol.React, "a", "4", first[0].ID, ""), change(protocol.Delete, "a", "5", first[1].ID, ""))
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.Here(t.Context(), b.Instance(), "lobby", []protocol.Change{{User: user, Here: true}})
		must(err)
		_, err = b.Claim(t.Context(), protocol.NameClaim{User: "a", Name: "Ann"})
		must(err)
		_, err = b.Rename(t.Context(), protocol.NameClaim{User: "a", Name: "Anna"}, "m")
		must(err)
		_, err = b.Claim(t.Context(), protocol.NameClaim{User: "b", Name: "Bob"})
		must(err)
		released := make(chan error, 1)
		b.Release("b", true, func(err error) { released <- err })
		must(<-released)
		must(b.Decide(t.Context(), decision(protocol.Slow, "lobby", "slow", &protocol.Rule{Seconds: 5})))
		must(b.Decide(t.Context(), decision(protocol.Ban, "", "ban|x", &protocol.Rule{Until: 1})))
		_, err = b.Secret(t.Context())
		must(err)
		keys := b.find(t, ":*")
		if len(keys) < 12 {
			t.Errorf("only %v are there", keys)
		}
		for _, key := range keys {
			if ttl, err := b.rdb.TTL(t.Context(), key).Result(); err != nil || ttl != -1 {
				t.Errorf("%s has a TTL of %s, %v", key, ttl, err)
			}
		}
	})
}
