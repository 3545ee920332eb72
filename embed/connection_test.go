package embed

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/redisbroker"
)

// traced starts a broker that knows the scripts, and counts how it carries them out.
func traced(t *testing.T) (rdb *redis.Client, sha string, native, interpreted *int) {
	t.Helper()
	native, interpreted = new(int), new(int)
	b := start(t, BrokerConfig{trace: func(done bool) { // called before the reply
		if done {
			*native++
		} else {
			*interpreted++
		}
	}})
	rdb = client(t, b.URL())
	rdb.Options().PoolSize = 1
	sha, err := rdb.ScriptLoad(t.Context(), redisbroker.Scripts()["append"]).Result()
	if err != nil {
		t.Fatal(err)
	}
	return rdb, sha, native, interpreted
}

// appends calls append.lua with one message.
func appends(c redis.Cmdable, sha string) *redis.Cmd {
	keys := []string{"log", "changes", "gone", "stand", "keys", "oldkeys", "reacts", "marked", "moved"}
	return c.EvalSha(context.Background(), sha, keys, "live", "PUBLISH", 10, "lobby", 0, "u1", "k1", "", `"text":"hello"}`)
}

// Scripts of a connection in MULTI are queued, and carried out by the interpreter.
func TestScriptsInATransactionAreInterpreted(t *testing.T) {
	t.Parallel()
	rdb, sha, native, interpreted := traced(t)
	var queued *redis.Cmd
	if _, err := rdb.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		queued = appends(p, sha)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	first, _ := queued.Slice()
	second, err := appends(rdb, sha).Slice()
	if err != nil || len(first) != 3 || len(second) != 3 || first[1] != second[1] {
		t.Errorf("%v, then %v, %v", first, second, err)
	}
	if *native != 1 || *interpreted != 1 {
		t.Errorf("%d were native, %d interpreted", *native, *interpreted)
	}
}

// EVALSHA knows what was loaded, as SCRIPT says.
func TestScriptsMustBeLoaded(t *testing.T) {
	t.Parallel()
	rdb, sha, _, _ := traced(t)
	if err := appends(rdb, sha).Err(); err != nil {
		t.Error(err)
	}
	if err := rdb.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := appends(rdb, sha).Err(); !redis.HasErrorPrefix(err, "NOSCRIPT") {
		t.Errorf("after SCRIPT FLUSH: %v", err)
	}
	if err := appends(client(t, start(t, BrokerConfig{}).URL()), sha).Err(); !redis.HasErrorPrefix(err, "NOSCRIPT") {
		t.Errorf("of another broker: %v", err)
	}
}

// A native script works on the database that its connection has selected.
func TestNativeScriptsKnowTheDatabase(t *testing.T) {
	t.Parallel()
	rdb, sha, native, _ := traced(t)
	c := rdb.Conn()
	defer c.Close()
	for _, words := range [][]any{{"SELECT", "3"}, {"SELECT", "x"}, {"SELECT", "-1"}} {
		_ = c.Do(t.Context(), words...).Err() // the last two are refused
	}
	if err := c.EvalSha(t.Context(), sha, []string{"log", "changes", "gone", "stand", "keys", "oldkeys", "reacts", "marked", "moved"},
		"live", "PUBLISH", 10, "lobby", 0, "u1", "k1", "", `"text":"hello"}`).Err(); err != nil {
		t.Fatal(err)
	}
	if n := c.XLen(t.Context(), "log").Val(); n != 1 || *native != 1 {
		t.Errorf("database 3 has %d entries, %d native calls", n, *native)
	}
	// Databases that change places take their content along.
	if err := c.Do(t.Context(), "SWAPDB", 3, 4).Err(); err != nil {
		t.Fatal(err)
	}
	reply, err := appends(c, sha).Slice()
	if err != nil || len(reply) != 3 || reply[2] != int64(0) || *native != 2 {
		t.Errorf("%v, %v, %d native calls: the room of the other database knows the key", reply, err, *native)
	}
	_ = c.Select(t.Context(), 0) // the pool's connections are in 0
}

// While a client waits in BLPOP, scripts are interpreted, and others are served. A client
// that goes away meanwhile waits no longer.
func TestClientsThatWaitHoldUpNobody(t *testing.T) {
	t.Parallel()
	rdb, sha, native, interpreted := traced(t)
	addr, password := rdb.Options().Addr, rdb.Options().Password
	waiting := func() net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		say(t, c, string(command([]string{"AUTH", password})), string(command([]string{"BLPOP", "list", "0"})))
		return c
	}
	first, gone := waiting(), waiting()
	defer first.Close()
	chattest.Eventually(t, "a script to be interpreted", func() bool {
		return appends(rdb, sha).Err() == nil && *interpreted > 0
	})
	_ = gone.Close()
	if err := rdb.RPush(t.Context(), "list", "x").Err(); err != nil {
		t.Fatal(err)
	}
	chattest.Eventually(t, "scripts to be native again", func() bool {
		before := *native
		// One of the two got the first; the other may be the one that is still there.
		return rdb.RPush(t.Context(), "list", "y").Err() == nil && appends(rdb, sha).Err() == nil && *native > before
	})
	say(t, first, string(command([]string{"QUIT"})))
	if got := rest(t, first); !strings.Contains(got, "list") || !strings.HasSuffix(got, "+OK\r\n") {
		t.Errorf("the client that waited got %q", got)
	}
}

// Commands that arrive together are carried out in their order, with one reply each.
func TestCommandsInOnePiece(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	c := raw(t, b)
	said := string(command([]string{"AUTH", b.cfg.Password}))
	want := "+OK\r\n"
	for range 5000 {
		said += string(command([]string{"ECHO", strings.Repeat("x", 100)}))
		want += "$100\r\n" + strings.Repeat("x", 100) + "\r\n"
	}
	go say(t, c, said, string(command([]string{"QUIT"}))) // ends with the connection
	if got := rest(t, c); got != want+"+OK\r\n" {
		t.Errorf("it heard %d bytes, want %d", len(got), len(want)+len("+OK\r\n"))
	}
}
