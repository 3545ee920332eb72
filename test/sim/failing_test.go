package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/check"
	"example.com/chat/internal/membroker"
)

// failure decides which calls fail, counted over all nodes, and how.
type failure struct {
	kind     string
	from, to int // the calls that fail: from the one, up to before the other

	mu    sync.Mutex // guards the fields below
	calls int
	met   bool
}

// The kinds of failures.
const (
	refused   = "refused"
	replyLost = "its answer is lost"
	late      = "it comes late, after its answer was given up"
	lost      = "it is lost"
)

var errRefusedCall = errors.New("MISCONF: redis refuses to write")

// call fails a call, or carries it out (faultbroker.Faults). A late write about users is
// lost: redisbroker finds such by their number, and has the node write anew; a broker in
// memory does not.
func (f *failure) call(ctx context.Context, op faultbroker.Op, do func(context.Context) error) error {
	switch {
	case !f.fails():
		return do(ctx)
	case f.kind == refused:
		return errRefusedCall
	case f.kind == replyLost:
		_ = do(context.Background())
	case f.kind == late && op != faultbroker.Claim && op != faultbroker.Here:
		time.AfterFunc(5*time.Second, func() { _ = do(context.Background()) })
	}
	<-ctx.Done()
	return ctx.Err()
}

// fails counts a call, and reports whether it fails.
func (f *failure) fails() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	fails := f.calls >= f.from && f.calls < f.to
	f.met = f.met || fails
	return fails
}

// Whichever call to Redis fails, and however, alone or with those after it: nothing is
// lost, duplicated or out of order.
func TestWhicheverCallFails(t *testing.T) {
	for _, kind := range []string{refused, replyLost, late, lost} {
		t.Run(kind, func(t *testing.T) {
			step := 4
			if chattest.Race {
				step = 20 // each takes ten times as long
			}
			for n := 1; n <= 85; n += step {
				for _, many := range []int{1, 12} {
					failsOnCall(t, &failure{kind: kind, from: n, to: n + many})
				}
			}
		})
	}
}

func failsOnCall(t *testing.T, f *failure) {
	t.Helper()
	what := fmt.Sprintf("calls %d to %d fail: %s", f.from, f.to-1, f.kind)
	var list []check.Record
	synctest.Test(t, func(*testing.T) {
		c := &chatInMemory{store: membroker.New(membroker.Config{})}
		for i := range c.faults {
			c.faults[i].Call = f.call
		}
		list = c.history(30*time.Second, 250*time.Millisecond)
	})
	report := check.Verify(list)
	if !f.met {
		t.Errorf("%s: there was no such call", what)
	}
	if !report.OK() || report.Unknown > 0 {
		t.Errorf("%s: %v; %d sent, %d unknown", what, report.Violations, report.Sent, report.Unknown)
	}
	if report.Acknowledged < 20 {
		t.Errorf("%s: only %d messages were acknowledged", what, report.Acknowledged)
	}
}
