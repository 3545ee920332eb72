//go:build unix

package faults

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
)

// seed decides what breaks when.
var seed uint64

// atOnce is how many faults are injected at the same time, each in a chat of
// its own: most of it is waiting.
const atOnce = 4

func TestMain(m *testing.M) {
	chattest.EndIfSuitesRunLater()
	chattest.RunAtOnce(atOnce)
	seed = chattest.SeedOrNew()
	redis.SetLogger(silence{}) // what goes wrong comes as an error too
	status := m.Run()
	if err := table.write(chattest.OutDir()); err != nil {
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

// choose skips a test whose fault is not of the quick choice, unless long tests run.
func choose(t *testing.T, f fault) {
	t.Helper()
	if !f.quick {
		chattest.NeedLong(t)
	}
}

// times is how often a fault is injected: fewer in a quick run.
func times(quick, full int) int {
	if chattest.Long() {
		return full
	}
	return quick
}
