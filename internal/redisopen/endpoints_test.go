package redisopen

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestTheSlotsOfARedisClusterAreRead(t *testing.T) {
	t.Parallel()
	id := "6ec23923021cf3ffec47632106199cb7f496ce01"
	reader := slotsReader{host: "10.0.0.9"}
	got, err := reader.read([]any{
		[]any{int64(0), int64(100), []any{"10.0.0.1", int64(7000), id, []any{"hostname", "one"}}, []any{nil, int64(7003), id, []any{}}},
		[]any{int64(101), int64(16383), []any{"?", int64(7001)}, []any{"", int64(7004), id}},
	})
	if err != nil || len(got) != 2 || got[1].Start != 101 || got[1].End != 16383 || got[0].Nodes[0].ID != id {
		t.Fatalf("%+v %v", got, err)
	}
	for i, want := range []string{"10.0.0.1:7000", "10.0.0.9:7003", "10.0.0.9:7001", "10.0.0.9:7004"} {
		if addr := got[i/2].Nodes[i%2].Addr; addr != want {
			t.Errorf("%s, want %s", addr, want)
		}
	}
	for _, bad := range []any{nil, "x", []any{int64(0)}, []any{"0", int64(1)}, []any{int64(0), int64(1), "x"}, []any{int64(0), int64(1), []any{nil}}} {
		if got, err := reader.read([]any{bad}); err == nil {
			t.Errorf("%v is read as %+v", bad, got)
		}
	}
	// A redirection without a host is dialed at the host of --redis.
	for given, want := range map[string]string{":7001": "h:7001", "?:7001": "h:7001", "10.0.0.1:7001": "10.0.0.1:7001"} {
		c := clusterNode("h")(&redis.Options{Addr: given})
		if c.Options().Addr != want {
			t.Errorf("%s is dialed as %s, want %s", given, c.Options().Addr, want)
		}
		_ = c.Close()
	}
}
