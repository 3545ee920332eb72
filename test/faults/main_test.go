//go:build unix

package faults

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
)

var (
	all     = flag.Bool("faults.all", false, "inject all faults, not only the quick choice")
	seed    = flag.Uint64("faults.seed", 0, "decides what breaks when; 0 for a new one, which is printed")
	longFor = flag.Duration("faults.for", 30*time.Second, "how long everything breaks at random")
	tableTo = flag.String("faults.table", "", "write the table of what was injected and seen to this `file`")
	opened  = flag.Int("faults.opened", 100_000, "connections that are opened and closed where it is tried whether all is given back")
)

// atOnce is how many faults are injected at the same time, each in a chat of
// its own: most of it is waiting.
const atOnce = 4

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64N(1_000_000) + 1
	}
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = flag.Set("test.parallel", fmt.Sprint(atOnce))
	}
	redis.SetLogger(silence{}) // what goes wrong comes as an error too
	fmt.Printf("-faults.seed=%d repeats this run\n", *seed)
	status := m.Run()
	if err := table.write(*tableTo); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	chattest.RemoveBuilds()
	os.Exit(status)
}

type silence struct{}

// Printf drops what go-redis has to say.
func (silence) Printf(context.Context, string, ...any) {}

// fault is one line of the suite.
type fault struct {
	number int
	name   string
	// quick: it is one of the choice that runs always.
	quick bool
}

// choose skips a test whose fault is not to be injected in this run.
func choose(t *testing.T, f fault) {
	t.Helper()
	if !f.quick && !*all {
		t.Skipf("fault %d, %s, is not of the quick choice: -faults.all injects it", f.number, f.name)
	}
	if testing.Short() {
		t.Skipf("fault %d, %s, is not injected under -short", f.number, f.name)
	}
}

// times is how often a fault is injected: fewer in a quick run.
func times(quick, full int) int {
	if *all {
		return full
	}
	return quick
}
