//go:build unix

package embed

import (
	"context"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/redisbroker"
)

// BenchmarkAppend measures the CPU time of one append and of what it publishes, on both
// sides of a connection: by the network and within the process, natively and interpreted.
// Each append comes from a goroutine of its own, as those of rooms do.
func BenchmarkAppend(b *testing.B) {
	for name, dialed := range map[string]bool{"network": false, "process": true} {
		for way, native := range map[string]bool{"native": true, "interpreted": false} {
			b.Run(name+"/"+way, func(b *testing.B) { benchmarkAppend(b, dialed, native) })
		}
	}
}

func benchmarkAppend(b *testing.B, dialed, native bool) {
	broker, err := StartBroker(BrokerConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(broker.Close)
	opts, err := redis.ParseURL(broker.URL())
	if err != nil {
		b.Fatal(err)
	}
	opts.Protocol, opts.DisableIdentity = 2, true
	if dialed {
		opts.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return broker.Dial(ctx) }
	}
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	source := redisbroker.Scripts()["append"]
	if !native {
		source += "\n"
	}
	sha := rdb.ScriptLoad(b.Context(), source).Val()
	sub := rdb.Subscribe(b.Context(), "live")
	defer sub.Close()
	if _, err := sub.Receive(b.Context()); err != nil {
		b.Fatal(err)
	}
	keys := []string{"log", "changes", "gone", "stand", "keys", "oldkeys", "reacts", "marked", "moved"}
	before := cpuTime()
	for i := range b.N {
		done := make(chan error)
		go func() { // waited for below
			done <- rdb.EvalSha(b.Context(), sha, keys, "live", "PUBLISH", 10_000, "lobby", 0, "u1", "k"+strconv.Itoa(i), "", `"text":"hello"}`).Err()
		}()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		if _, err := sub.ReceiveMessage(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// cpuTime returns the CPU time of this process.
func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
