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
	"example.com/chat/internal/check"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// failing is a broker of which one call fails, counted over all nodes, and those
// that follow it for a while.
type failing struct {
	memoryView
	*failure
}

// failure is which calls fail, and how.
type failure struct {
	kind     string
	from, to int

	mu    sync.Mutex // guards the fields below
	calls int
	met   bool
}

var errRefusedCall = errors.New("MISCONF: redis refuses to write")

// meet counts a call and fails it, if it is its turn. done carries it out.
func (f *failure) meet(ctx context.Context, done func()) error {
	f.mu.Lock()
	f.calls++
	fails := f.calls >= f.from && f.calls < f.to
	f.met = f.met || fails
	f.mu.Unlock()
	switch {
	case !fails:
		done()
		return nil
	case f.kind == "refused":
		return errRefusedCall
	case f.kind == "its answer is lost":
		done()
	case f.kind == "it comes late, after its answer was given up":
		time.AfterFunc(5*time.Second, done)
	case f.kind == "it is lost":
	}
	<-ctx.Done()
	return ctx.Err()
}

// met has a call of two results pass through the failure. What the call leaves
// behind when it was given up is nobody's.
func met[A any](f *failure, ctx context.Context, call func() (A, error)) (A, error) {
	var mu sync.Mutex // guards the fields below
	var a, none A
	var err error
	failed := f.meet(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		a, err = call()
	})
	if failed != nil {
		return none, failed
	}
	mu.Lock()
	defer mu.Unlock()
	return a, err
}

func (f failing) Append(ctx context.Context, name string, drafts []protocol.Draft) ([]protocol.Receipt, error) {
	return met(f.failure, ctx, func() ([]protocol.Receipt, error) {
		return f.memoryView.Append(context.Background(), name, drafts)
	})
}

// page is the result of a reading.
type page struct {
	list        []protocol.Entry
	found, more bool
}

func (f failing) Messages(ctx context.Context, name string, before protocol.ID, n int) (protocol.Page, error) {
	return met(f.failure, ctx, func() (protocol.Page, error) { return f.memoryView.Messages(ctx, name, before, n) })
}

func (f failing) Before(ctx context.Context, name string, id protocol.ID, n int) ([]protocol.Entry, bool, error) {
	p, err := met(f.failure, ctx, func() (p page, err error) {
		p.list, p.more, err = f.memoryView.Before(ctx, name, id, n)
		return p, err
	})
	return p.list, p.more, err
}

func (f failing) After(ctx context.Context, name string, cursor protocol.ID, n int) ([]protocol.Entry, bool, bool, error) {
	p, err := met(f.failure, ctx, func() (p page, err error) {
		p.list, p.found, p.more, err = f.memoryView.After(ctx, name, cursor, n)
		return p, err
	})
	return p.list, p.found, p.more, err
}

func (f failing) Heads(ctx context.Context, names []string) ([]protocol.ID, error) {
	return met(f.failure, ctx, func() ([]protocol.ID, error) { return f.memoryView.Heads(ctx, names) })
}

func (f failing) Moved(ctx context.Context, rooms []protocol.RoomHead) ([]string, error) {
	return met(f.failure, ctx, func() ([]string, error) { return f.memoryView.Moved(ctx, rooms) })
}

func (f failing) Present(ctx context.Context, name string) ([]protocol.User, error) {
	return met(f.failure, ctx, func() ([]protocol.User, error) { return f.memoryView.Present(ctx, name) })
}

func (f failing) Claim(ctx context.Context, c protocol.NameClaim) (string, error) {
	return met(f.failure, ctx, func() (string, error) { return f.memoryView.Claim(ctx, c) })
}

func (f failing) Here(ctx context.Context, instance, name string, changes []protocol.Change) (int, error) {
	return met(f.failure, ctx, func() (int, error) { return f.memoryView.Here(ctx, instance, name, changes) })
}

// Whichever call to Redis fails, and however, alone or with those after it:
// nothing is lost, doubled or out of order.
func TestWhicheverCallFails(t *testing.T) {
	for _, kind := range []string{"refused", "its answer is lost", "it comes late, after its answer was given up", "it is lost"} {
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
		list = history(newMemory(), func(v memoryView) room.Broker { return failing{v, f}.broker() }, 30*time.Second, 250*time.Millisecond)
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

// broker is the failing memory in all roles.
func (f failing) broker() room.Broker {
	return room.Broker{Log: f, Subscriber: f, Presence: f, Names: f, Rulebook: f}
}
