package redisbroker

import (
	"fmt"
	"testing"

	"example.com/chat/internal/cluster"
)

// Two live nodes with one id are two instances; a node that was restarted is one.
func TestTwinsAreToldFromOneThatWasStartedAgain(t *testing.T) {
	t.Parallel()
	const now, began = int64(1_000_000), int64(990_000)
	self := cluster.NodeInfo{ID: "a", Tag: "own"}
	row := func(tag string, wrote int64) []any {
		return []any{"a~" + tag, int64(1), `{"id":"a","tag":"` + tag + `"}`, fmt.Sprintf(`%d {"state":"ready"}`, wrote)}
	}
	for _, c := range []struct {
		what        string
		rows        []any
		live, twins int
	}{
		{"alone", row("own", now-900), 1, 0},
		{"with another one", append(row("other", now-100), row("own", now-900)...), 2, 1},
		{"with what it was before", append(row("before", began-10), row("own", now-900)...), 1, 0},
		{"right after its start", append(row("before", began-10), row("own", began)...), 1, 0},
		{"with one that has just died", append(row("other", now-4000), row("own", now-900)...), 1, 0},
	} {
		all := split(c.rows, now)
		if got := all.twins(self, began); len(all.live) != c.live || len(got) != c.twins {
			t.Errorf("%s: %v, twins %v", c.what, all.live, got)
		}
		if all.live[0].Tag != "own" {
			t.Errorf("%s: the youngest is not the first: %v", c.what, all.live)
		}
	}
}
