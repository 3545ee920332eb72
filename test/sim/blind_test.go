package sim_test

import (
	"slices"
	"testing"

	"example.com/chat/internal/check"
)

// A bench has no record of what Redis lost. From the notices that members got alone, no
// loss of Redis is treated as a broken promise.
func TestLossesOfRedisAreKnownByWhatMembersWereTold(t *testing.T) {
	const most, enough = 200, 20
	seed, n := runs()
	lost, n := 0, min(n, most)
	for range n {
		list := slices.DeleteFunc(run(t, seed).History, func(r check.Record) bool { return r.Op == check.OpWiped })
		switch report, verdict := check.Judge(list); verdict {
		case check.RedisLost:
			lost++
		case check.Broken:
			t.Errorf("seed %d: %v", seed, report.Violations)
		}
		seed++
	}
	t.Logf("in %d of %d runs Redis lost something", lost, n)
	if lost == 0 && n >= enough {
		t.Error("Redis lost nothing in any run")
	}
}
