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

// seed decides which faults happen, and when.
var seed uint64

// atOnce is how many tests run at the same time, each with a chat of its own. They mostly
// wait.
const atOnce = 4

func TestMain(m *testing.M) {
	chattest.EndIfSuitesRunLater()
	chattest.RunAtOnce(atOnce)
	seed = chattest.SeedOrNew()
	redis.SetLogger(silence{}) // failures are returned as errors too
	status := m.Run()
	if err := table.write(chattest.OutDir()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	chattest.RemoveBuilds()
	os.Exit(status)
}

type silence struct{}

// Printf drops go-redis's messages.
func (silence) Printf(context.Context, string, ...any) {}

// fault is one line of the suite.
type fault struct {
	number int
	name   string
	// quick is set if the test runs in every run, and not in long ones alone.
	quick bool
}

// choose skips a test that is not quick, unless long tests run.
func choose(t *testing.T, f fault) {
	t.Helper()
	if !f.quick {
		chattest.NeedLong(t)
	}
}

// times returns how often a fault is injected: quick, or full in long runs.
func times(quick, full int) int {
	if chattest.Long() {
		return full
	}
	return quick
}
