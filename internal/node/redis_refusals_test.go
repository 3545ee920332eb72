package node_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// refusal is one way in which a Redis refuses commands.
type refusal struct {
	name string
	// says must be in the reason of /readyz.
	says string
	args []string // of redis-server
	// quick ones are always run.
	quick bool
	// set prepares the server, begin makes it refuse commands, and end makes it accept
	// them again. admin is a connection that was opened before.
	set, begin, end func(t *testing.T, s *redistest.Server, admin *redis.Conn)
}

// do runs a command on the connection that was opened before.
func do(t *testing.T, admin *redis.Conn, args ...any) any {
	t.Helper()
	reply, err := admin.Do(context.Background(), args...).Result()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// cut closes all connections but this one, so that new ones must be opened.
func cut(t *testing.T, admin *redis.Conn) {
	t.Helper()
	do(t, admin, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	do(t, admin, "CLIENT", "KILL", "TYPE", "pubsub")
}

var waysToRefuse = []refusal{
	{
		name: "NOPERM", says: "NOPERM", quick: true,
		begin: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "ACL", "SETUSER", redistest.User, "-evalsha", "-eval", "-xrange")
		},
		end: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "ACL", "SETUSER", redistest.User, "+evalsha", "+eval", "+xrange")
		},
	},
	{
		name: "NOPERM for channels", says: "NOPERM",
		begin: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "ACL", "SETUSER", redistest.User, "resetchannels")
		},
		end: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "ACL", "SETUSER", redistest.User, "&chat:*")
		},
	},
	{
		name: "a password that was changed", says: "WRONGPASS", quick: true,
		begin: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "ACL", "SETUSER", redistest.User, "resetpass", ">another")
			cut(t, admin)
		},
		end: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "ACL", "SETUSER", redistest.User, ">"+redistest.Password)
		},
	},
	{
		name: "a user that is off", says: "WRONGPASS",
		begin: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "ACL", "SETUSER", redistest.User, "off")
			cut(t, admin)
		},
		end: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "ACL", "SETUSER", redistest.User, "on")
		},
	},
	{
		name: "MISCONF", says: "MISCONF", args: []string{"--save", "3600 1", "--enable-protected-configs", "yes"},
		begin: func(t *testing.T, s *redistest.Server, admin *redis.Conn) {
			gone := filepath.Join(t.TempDir(), "gone")
			if err := os.Mkdir(gone, 0o700); err != nil {
				t.Fatal(err)
			}
			do(t, admin, "CONFIG", "SET", "dir", gone)
			if err := os.Remove(gone); err != nil {
				t.Fatal(err)
			}
			do(t, admin, "BGSAVE")
		},
		end: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "CONFIG", "SET", "dir", t.TempDir())
			do(t, admin, "BGSAVE")
		},
	},
	{
		name: "READONLY", says: "READONLY",
		begin: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "REPLICAOF", "127.0.0.1", "1")
		},
		end: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) { do(t, admin, "REPLICAOF", "NO", "ONE") },
	},
	{
		name: "NOREPLICAS", says: "NOREPLICAS",
		begin: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "CONFIG", "SET", "min-replicas-to-write", "1")
		},
		end: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "CONFIG", "SET", "min-replicas-to-write", "0")
		},
	},
	{
		name: "OOM", says: "OOM",
		begin: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "CONFIG", "SET", "maxmemory", "1")
		},
		end: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "CONFIG", "SET", "maxmemory", "0")
		},
	},
	{
		name: "BUSY", says: "BUSY", args: []string{"--busy-reply-threshold", "100"},
		begin: func(t *testing.T, s *redistest.Server, _ *redis.Conn) {
			c := s.Client()
			go func() { // ends with the script, which end kills
				_ = c.Do(context.Background(), "EVAL", "while true do end", 0).Err()
			}()
		},
		end: func(t *testing.T, s *redistest.Server, admin *redis.Conn) {
			chattest.Eventually(t, "the script's end", func() bool {
				_ = admin.Do(context.Background(), "SCRIPT", "KILL").Err()
				return admin.Ping(context.Background()).Err() == nil
			})
		},
	},
	{
		name: "LOADING", says: "LOADING", args: []string{"--enable-debug-command", "yes"},
		set: func(t *testing.T, _ *redistest.Server, admin *redis.Conn) {
			do(t, admin, "EVAL", "for i = 1, 4000 do redis.call('SET', 'filling:' .. i, string.rep('x', 1000)) end return 1", 0)
			do(t, admin, "CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
		},
		begin: func(t *testing.T, s *redistest.Server, admin *redis.Conn) {
			do(t, admin, "CONFIG", "SET", "key-load-delay", "1000") // µs: 4 s in all
			c := s.Client()
			go func() { // ends with the loading
				_ = c.Do(context.Background(), "DEBUG", "RELOAD").Err()
			}()
		},
		end: func(t *testing.T, s *redistest.Server, admin *redis.Conn) {
			chattest.Eventually(t, "the end of the loading", func() bool { return admin.Ping(context.Background()).Err() == nil })
		},
	},
}

// perSecond bounds the commands a second of three nodes to a Redis that refuses them.
// Most are of the eight clients, which retry after a tenth of a second each; without any
// backoff there would be many thousands.
const perSecond = 200

// Nodes report the kind of a refusal, and do not repeat refused commands all the time.
// Nothing is lost, and the chat continues when Redis accepts commands again.
func TestRefusalsAreToldByTheirKindAndNotHurried(t *testing.T) {
	t.Parallel()
	for _, c := range waysToRefuse {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if !c.quick {
				chattest.NeedLong(t)
			}
			s := redistest.Start(t, c.args...)
			redistest.SetUser(s)
			admin := s.Client().Conn()
			if c.set != nil {
				c.set(t, s, admin)
			}
			crowd := assemble(t, "redis://"+redistest.User+":"+redistest.Password+"@"+s.Addr, s.Client(), 2)
			crowd.more(20)
			before, began := commands(t, admin), time.Now()
			c.begin(t, s, admin)
			node := crowd.nodes[0]
			chattest.Eventually(t, "the reason", func() bool { err := node.Ready(); return err != nil && strings.Contains(err.Error(), c.says) })
			chattest.Eventually(t, "the users to get the status", func() bool { return !node.Hub().Up() })
			since := time.Now()
			chattest.Eventually(t, "two more seconds", func() bool { return time.Since(since) > 2*time.Second })
			c.end(t, s, admin)
			count, during := commands(t, admin)-before, time.Since(began)
			t.Logf("%d commands in %s", count, during.Round(time.Millisecond))
			if float64(count) > perSecond*during.Seconds() {
				t.Errorf("%d commands in %s: the nodes do not back off", count, during)
			}
			for _, n := range crowd.nodes {
				chattest.Eventually(t, "the node to be ready", func() bool { return n.Ready() == nil })
			}
			crowd.more(100)
			if lost, r := crowd.finish(); lost > 0 || r.Resets > 0 {
				t.Errorf("%d lost, %d resets", lost, r.Resets)
			}
		})
	}
}

// commands counts the commands of a Redis's clients, refused or not, without those that
// scripts call.
func commands(t *testing.T, admin *redis.Conn) (sum int64) {
	t.Helper()
	text, err := admin.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		if !ok || !told[name] {
			continue
		}
		for _, field := range strings.Split(strings.TrimSpace(rest), ",") {
			if value, ok := strings.CutPrefix(field, "calls="); ok {
				n, _ := strconv.ParseInt(value, 10, 64)
				sum += n
			}
			if value, ok := strings.CutPrefix(field, "rejected_calls="); ok {
				n, _ := strconv.ParseInt(value, 10, 64)
				sum += n
			}
		}
	}
	return sum
}

// told are the commands that clients send directly, not in scripts
var told = map[string]bool{
	"auth": true, "select": true, "ping": true, "evalsha": true, "eval": true, "get": true, "subscribe": true,
	"unsubscribe": true, "hgetall": true, "sadd": true, "smembers": true, "exec": true,
}
