package sim_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/check"
	"example.com/chat/test/sim"
)

func TestMain(m *testing.M) {
	chattest.EndIfSuitesRunLater()
	redis.SetLogger(silent{})
	// With one processor the scheduler decides less, and a seed repeats its run.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400) // a run is short, and its garbage small
	os.Exit(m.Run())
}

// silent drops go-redis's messages about connections that fail, as they do here all the
// time.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// runs returns the first seed and the number of runs: a few usually, hundreds in a long
// run, one if only a seed is given.
func runs() (first uint64, n int) {
	const usual, raced, long = 40, 10, 1200
	first, one := chattest.Seed()
	switch {
	case one:
		return first, chattest.Count(1, 1)
	case chattest.Race:
		return 1, chattest.Count(raced, raced)
	}
	return 1, chattest.Count(usual, long)
}

// Whatever breaks, and in whatever order: nothing acknowledged is lost, duplicated or out of
// order, and clients are notified of every gap.
func TestWhateverBreaks(t *testing.T) {
	seed, n := runs()
	acknowledged, entries := 0, 0
	for range n {
		report := once(t, seed)
		acknowledged += report.Acknowledged
		entries += report.Heard
		seed++
	}
	t.Logf("%d seeds, %d messages acknowledged, %d entries received", n, acknowledged, entries)
}

// Seeds that once found a bug; the commits of the fixes name them. Their faults stay the
// same, but may happen at other moments.
func TestSeedsThatOnceFailed(t *testing.T) {
	for _, seed := range []uint64{367, 1079, 1669, 10258, 21302, 21955, 30195, 30437, 31152} {
		once(t, seed)
	}
}

// A seed has the same faults at the same times in each run, and most events are the same to
// the nanosecond. The scheduler decides only the order of simultaneous events, after which
// two runs differ.
func TestASeedRepeatsItsRun(t *testing.T) {
	const seeds = 10
	common := 0.0
	for seed := range uint64(seeds) {
		a, b := run(t, seed+1), run(t, seed+1)
		if chattest.Race { // when all faults have ended depends on the scheduler
			a.Story, b.Story = a.Story[:len(a.Story)-1], b.Story[:len(b.Story)-1]
		}
		if !slices.Equal(a.Story, b.Story) {
			t.Errorf("seed %d has different faults in two runs:\n%s\nand\n%s", seed+1, strings.Join(a.Story, "\n"), strings.Join(b.Story, "\n"))
		}
		same := 0
		for same < min(len(a.History), len(b.History)) && a.History[same] == b.History[same] {
			same++
		}
		common += float64(same) / float64(max(len(a.History), len(b.History))) / seeds
	}
	t.Logf("two runs of a seed are the same for %.0f %% of their histories, in the mean", 100*common)
	if common < 0.2 && !chattest.Race { // which randomises the scheduler on purpose
		t.Errorf("two runs of a seed have only %.0f %% in common", 100*common)
	}
}

func run(t *testing.T, seed uint64) *sim.Result {
	t.Helper()
	var result *sim.Result
	var err error
	synctest.Test(t, func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, seed)
		result, err = sim.Run(sim.Config{Seed: seed})
	})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return result
}

// again is how often a failed seed is run again, to see whether it repeats.
const again = 4

func once(t *testing.T, seed uint64) *check.Report {
	t.Helper()
	result := run(t, seed)
	report := check.Verify(result.History)
	if !report.OK() {
		keep(t, seed, result.History)
		failed := 0
		for range again {
			if !check.Verify(run(t, seed).History).OK() {
				failed++
			}
		}
		t.Errorf("seed %d (%s), which failed %d times in %d more: %v\n%s",
			seed, chattest.Repeat(seed), failed, again, report.Violations, strings.Join(result.Story, "\n"))
	}
	if result.Presence != "" {
		t.Errorf("seed %d (%s): %s\n%s", seed, chattest.Repeat(seed), result.Presence, strings.Join(result.Story, "\n"))
	}
	if report.Acknowledged == 0 {
		t.Errorf("seed %d: no message was acknowledged", seed)
	}
	return report
}

// keep writes the history of a failed run to CHAT_OUT, if that is set.
func keep(t *testing.T, seed uint64, list []check.Record) {
	t.Helper()
	dir := chattest.OutDir()
	if dir == "" {
		return
	}
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("seed-%d.jsonl", seed)))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := check.Write(file, list); err != nil {
		t.Fatal(err)
	}
}
