package node_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest/redistest"

	"example.com/chat/internal/chattest"
)

// readyAnswer is an answer of /readyz.
type readyAnswer struct {
	Ready bool
	Error struct{ Code, Message string }
	Probe *struct {
		Age *int64   `json:"age_ms"`
		RTT *float64 `json:"rtt_ms"`
	}
}

func readyz(t *testing.T, n *testNode) (int, readyAnswer) {
	t.Helper()
	var answer readyAnswer
	status := chattest.GetJSON(t, n.url+"/readyz", &answer)
	return status, answer
}

// becomesUnready waits for a 503 whose reason holds the words.
func becomesUnready(t *testing.T, n *testNode, words string) readyAnswer {
	t.Helper()
	var status int
	var answer readyAnswer
	defer func() {
		if t.Failed() {
			t.Logf("the last answer: %d %+v", status, answer)
		}
	}()
	chattest.Eventually(t, "/readyz to say "+words, func() bool {
		status, answer = readyz(t, n)
		return status == 503 && strings.Contains(answer.Error.Message, words)
	})
	if answer.Ready || answer.Error.Code != "unavailable" || strings.Contains(answer.Error.Message, "\n") {
		t.Errorf("/readyz: %+v", answer)
	}
	return answer
}

func becomesReady(t *testing.T, n *testNode) readyAnswer {
	t.Helper()
	var answer readyAnswer
	chattest.Eventually(t, "/readyz to be 200", func() bool {
		var status int
		status, answer = readyz(t, n)
		return status == 200 && answer.Ready
	})
	return answer
}

func TestReadyzTellsHowTheProbeFares(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := startNode(t, server.URL)
	answer := becomesReady(t, n)
	if answer.Probe == nil || answer.Probe.Age == nil || answer.Probe.RTT == nil {
		t.Fatalf("no probe in %+v", answer)
	}
	if age, rtt := *answer.Probe.Age, *answer.Probe.RTT; age < 0 || age > 3000 || rtt <= 0 || rtt > 2000 {
		t.Errorf("an age of %d ms and a round trip of %v ms", age, rtt)
	}
	server.Kill()
	answer = becomesUnready(t, n, "connection refused")
	chattest.Eventually(t, "the probe to age", func() bool {
		_, answer = readyz(t, n)
		return *answer.Probe.Age > 1500
	})
	server.Restart()
	chattest.Eventually(t, "a recent probe", func() bool {
		status, answer := readyz(t, n)
		return status == 200 && *answer.Probe.Age < 1500
	})
}

// While Redis refuses commands, /readyz has Redis's own words as the reason, and sends get
// unavailable. When it accepts them again, the node continues.
func TestReadyzGivesRedissOwnReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, words string
		breakIt     func(ctx context.Context, t *testing.T, rdb *redis.Client, dir string)
		mendIt      func(ctx context.Context, rdb *redis.Client) error
	}{
		{"full", "redis refuses: OOM ", func(ctx context.Context, t *testing.T, rdb *redis.Client, _ string) {
			must(t, rdb.ConfigSet(ctx, "maxmemory", "1").Err())
		}, func(ctx context.Context, rdb *redis.Client) error { return rdb.ConfigSet(ctx, "maxmemory", "0").Err() }},
		{"a replica", "redis refuses: READONLY ", func(ctx context.Context, t *testing.T, rdb *redis.Client, _ string) {
			must(t, rdb.ReplicaOf(ctx, "127.0.0.1", "1").Err())
		}, func(ctx context.Context, rdb *redis.Client) error { return rdb.ReplicaOf(ctx, "NO", "ONE").Err() }},
		{"can't save", "redis refuses: MISCONF ", func(ctx context.Context, t *testing.T, rdb *redis.Client, dir string) {
			must(t, rdb.ConfigSet(ctx, "save", "3600 1").Err())
			must(t, os.RemoveAll(dir))
			must(t, rdb.BgSave(ctx).Err())
		}, func(ctx context.Context, rdb *redis.Client) error { return rdb.ConfigSet(ctx, "save", "").Err() }},
		{"another password", "redis refuses: NOAUTH ", func(ctx context.Context, t *testing.T, rdb *redis.Client, _ string) {
			must(t, rdb.ConfigSet(ctx, "requirepass", "another").Err())
			must(t, rdb.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes").Err())
			must(t, rdb.ClientKillByFilter(ctx, "TYPE", "pubsub").Err())
		}, func(ctx context.Context, rdb *redis.Client) error { return rdb.ConfigSet(ctx, "requirepass", "").Err() }},
		{"no right to the channels", "NOPERM ", func(ctx context.Context, t *testing.T, rdb *redis.Client, _ string) {
			must(t, rdb.Do(ctx, "ACL", "SETUSER", "default", "-subscribe").Err())
			must(t, rdb.ClientKillByFilter(ctx, "TYPE", "pubsub").Err())
		}, func(ctx context.Context, rdb *redis.Client) error {
			return rdb.Do(ctx, "ACL", "SETUSER", "default", "+subscribe").Err()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server := redistest.Start(t, "--dir", dir)
			// One connection, so that a changed password does not shut it out.
			rdb := redis.NewClient(&redis.Options{Addr: server.Addr, PoolSize: 1, MaxRetries: -1})
			defer rdb.Close()
			n := startNode(t, server.URL)
			ann := chattest.Enter(t, n.url, "Ann", "lobby")
			ann.Say("lobby", "before", "1")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c.breakIt(ctx, t, rdb, dir)
			if answer := becomesUnready(t, n, c.words); answer.Probe == nil || answer.Probe.RTT == nil {
				t.Errorf("no probe in %+v", answer)
			}
			for ann.Next("status").Broker != "down" {
			}
			must(t, c.mendIt(ctx, rdb))
			becomesReady(t, n)
			for ann.Next("status").Broker != "up" {
			}
			ann.Say("lobby", "after", "2")
			ann.Message("after")
		})
	}
}

// A node that can't append, or can't read, is not ready, although its lease is renewed and
// its probe arrives.
func TestReadyzTellsThatLogsAreRefused(t *testing.T) {
	t.Parallel()
	for command, words := range map[string]string{
		"xadd": "appending to logs: redis refuses: ", "xrevrange": "redis refuses: ",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			rdb := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1})
			defer rdb.Close()
			n := startNode(t, server.URL)
			ann := chattest.Enter(t, n.url, "Ann", "lobby")
			must(t, rdb.Do(t.Context(), "ACL", "SETUSER", "default", "-"+command).Err())
			ann.Send("send", "room", "lobby", "text", "refused", "key", "1")
			ann.Error("unavailable")
			becomesUnready(t, n, words)
			for ann.Next("status").Broker != "down" {
			}
			must(t, rdb.Do(t.Context(), "ACL", "SETUSER", "default", "+"+command).Err())
			ann.Say("lobby", "after", "1")
			becomesReady(t, n)
			ann.Message("after")
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A node that can't claim names is not ready.
func TestReadyzTellsThatNamesAreRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := startNode(t, server.URL)
	server.Do("ACL", "SETUSER", "default", "-sadd")
	c := chattest.Dial(t, n.url)
	// On a slow machine a hello may time out before Redis refuses it, which shows nothing
	// about Redis: so it is repeated.
	chattest.Eventually(t, "a hello to be refused, and /readyz to say so", func() bool {
		c.Send("hello", "name", "Ann")
		c.Error("unavailable")
		status, answer := readyz(t, n)
		return status == 503 && strings.Contains(answer.Error.Message, "claiming names: redis refuses: ")
	})
	server.Do("ACL", "SETUSER", "default", "+sadd")
	becomesReady(t, n)
	chattest.Enter(t, n.url, "Ann", "lobby").Say("lobby", "after", "1")
}

// A node is not ready if packets of more than 1,000 bytes vanish between it and Redis.
// Before, it was ready for 40 s, while messages got unavailable.
func TestReadyzTellsThatNoMessagePasses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	path := redistest.NewPath(t, server)
	n := startNode(t, "redis://"+path.Addr)
	ann, bob := chattest.Enter(t, n.url, "Ann", "lobby"), chattest.Enter(t, n.url, "Bob", "lobby")
	text := strings.Repeat("x", 2000)
	ann.Say("lobby", text, "1")
	path.Narrow(true, true)
	began := time.Now()
	ann.Send("send", "room", "lobby", "text", text, "key", "2")
	for bob.Next("status").Broker != "down" {
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("users got the status after %s", took)
	}
	if status, answer := readyz(t, n); status != 503 || answer.Error.Message == "" {
		t.Errorf("/readyz: %d %+v", status, answer)
	}
	ann.Error("unavailable")
	path.Narrow(false, false)
	for bob.Next("status").Broker != "up" {
	}
	becomesReady(t, n)
	ann.Say("lobby", text, "2")
}

// A node whose users send nothing is not ready either while Redis refuses messages.
func TestReadyzTellsThatMessagesWouldBeRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := startNode(t, server.URL)
	server.Do("ACL", "SETUSER", "default", "-xadd")
	becomesUnready(t, n, "appending to logs: redis refuses: ")
	server.Do("ACL", "SETUSER", "default", "+xadd")
	becomesReady(t, n)
}
