package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestWaitingForAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var u current
		c := &Conn{}
		joined := false // the bubble runs one goroutine at a time
		got := make(chan *Conn, 1)
		go func() { // ends when joined is set
			now, err := u.when(t.Context(), func() (bool, error) { return joined, nil })
			if err != nil {
				t.Error(err)
			}
			got <- now
		}()
		waits := func(when string) {
			t.Helper()
			synctest.Wait()
			if len(got) > 0 {
				t.Errorf("it did not wait %s", when)
			}
		}
		waits("without a connection")
		u.attach(&Conn{err: ErrLost})
		waits("with one that has ended")
		u.detach()
		u.attach(c)
		waits("for the condition")
		joined = true
		waits("for notify")
		u.notify()
		synctest.Wait()
		if len(got) == 0 || <-got != c {
			t.Error("it still waits, or has another connection")
		}
	})
}

func TestTheWaitForAConnectionEnds(t *testing.T) {
	t.Parallel()
	var u current
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.any(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with its context: %v", err)
	}
	c := &Conn{}
	u.attach(c)
	refused := errors.New("refused")
	if _, err := u.when(t.Context(), func() (bool, error) { return false, refused }); !errors.Is(err, refused) {
		t.Errorf("with the condition: %v", err)
	}
	if u.fail(ErrClosed) != c || u.fail(ErrLost) != c || u.attach(&Conn{}) {
		t.Error("another connection than the first one")
	}
	if _, err := u.any(t.Context()); !errors.Is(err, ErrClosed) || !errors.Is(u.ended(), ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
