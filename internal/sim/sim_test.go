package sim_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/check"
	"example.com/chat/internal/sim"
)

var (
	first = flag.Uint64("sim.seed", 0, "the first seed; 0 for the usual one")
	dir   = flag.String("sim.dir", "", "where histories of runs that fail are kept, for chat verify")
	count = flag.Int("sim.runs", 0, "how many seeds from there on; 0 for the usual number")
)

// runs is how many worlds are run: a few in passing, thousands in CI.
func runs() int {
	switch {
	case *count > 0:
		return *count
	case *first > 0:
		return 1
	case os.Getenv("CI") == "true":
		return 2000
	case testing.Short():
		return 5
	}
	return 40
}

// Whatever breaks, and in whatever order: nothing acknowledged is lost, doubled
// or out of order, and nobody has a hole that they were not told of.
func TestWhateverBreaks(t *testing.T) {
	seed := *first
	if seed == 0 {
		seed = 1
	}
	for range runs() {
		once(t, seed)
		seed++
	}
}

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(m.Run())
}

// silent drops what go-redis has to say of connections that fail, as they do
// here all the time.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func once(t *testing.T, seed uint64) {
	t.Helper()
	var result *sim.Result
	var err error
	synctest.Test(t, func(*testing.T) {
		result, err = sim.Run(sim.Config{Seed: seed})
	})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	report := check.Verify(result.History)
	if !report.OK() {
		keep(t, seed, result.History)
		t.Errorf("seed %d (go test ./internal/sim -sim.seed=%d): %v\n%s", seed, seed, report.Violations, strings.Join(result.Story, "\n"))
	}
	if report.Acknowledged == 0 {
		t.Errorf("seed %d: nothing was said", seed)
	}
	if testing.Verbose() {
		t.Logf("seed %d: %+v", seed, *report)
	}
}

// keep writes the history of a run that failed, where that is asked for.
func keep(t *testing.T, seed uint64, list []check.Record) {
	t.Helper()
	if *dir == "" {
		return
	}
	file, err := os.Create(filepath.Join(*dir, fmt.Sprintf("seed-%d.jsonl", seed)))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := check.Write(file, list); err != nil {
		t.Fatal(err)
	}
}
