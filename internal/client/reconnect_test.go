package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/chattest/fakenode"
	"example.com/chat/internal/protocol"
)

// newSearch returns a search whose clock stands still and whose random waits are the
// longest possible.
func newSearch(urls ...string) (*search, *time.Time) {
	now := time.Unix(1_764_000_000, 0)
	timing := new(Timing)
	timing.fill()
	return &search{
		timing: timing, urls: urls, now: func() time.Time { return now },
		random: func(d time.Duration) time.Duration { return d },
	}, &now
}

// judged returns the reaction to a loss with the default timing.
func judged(err error) loss {
	timing := new(Timing)
	timing.fill()
	return timing.judge(err)
}

func TestTheFirstWaitAfterALoss(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err         error
		least, most time.Duration
	}{
		"the node died":        {ErrLost, 0, time.Second},
		"it drains":            {&ClosedError{Code: protocol.CloseDraining}, 0, time.Second},
		"it is full":           {&ClosedError{Code: protocol.CloseFull}, 0, time.Second},
		"too slow":             {&ClosedError{Code: protocol.CloseSlow}, 0, 0},
		"abuse":                {&ClosedError{Code: protocol.CloseAbuse}, 2 * time.Second, 3 * time.Second},
		"refused for a moment": {&protocol.Error{Code: protocol.CodeUnavailable, RetryAfter: 700}, 700 * time.Millisecond, 1700 * time.Millisecond},
	} {
		w, _ := newSearch("a")
		if _, wait := w.next(judged(c.err)); wait != c.most {
			t.Errorf("%s: at most %s, want %s", name, wait, c.most)
		}
		w, _ = newSearch("a")
		w.random = func(time.Duration) time.Duration { return 0 }
		if _, wait := w.next(judged(c.err)); wait != c.least {
			t.Errorf("%s: at least %s, want %s", name, wait, c.least)
		}
	}
}

func TestWaitsGrowToABound(t *testing.T) {
	t.Parallel()
	w, _ := newSearch("a", "b")
	l := judged(ErrLost)
	var got []time.Duration
	var urls []string
	for range 9 {
		url, wait := w.next(l)
		got, urls = append(got, wait), append(urls, url)
	}
	s := time.Second
	want := []time.Duration{s, s, s, s, 1600 * time.Millisecond, 3200 * time.Millisecond, 5 * s, 5 * s, 5 * s}
	if !slices.Equal(got, want) {
		t.Errorf("at most %v, want %v", got, want)
	}
	if strings.Join(urls, "") != "ababababa" {
		t.Errorf("tried %v", urls)
	}
	w.failed = 1 << 30
	if _, wait := w.next(l); wait != 5*s {
		t.Errorf("after very many failures: %s", wait)
	}
}

// Clients of a failed node reconnect evenly over the whole spread, from its beginning
// on.
func TestTheJitterIsFull(t *testing.T) {
	t.Parallel()
	const clients = 20_000
	var tenths [10]int
	for range clients {
		w, _ := newSearch("a", "b")
		w.random = rand.N[time.Duration]
		_, wait := w.next(judged(ErrLost))
		tenths[wait*10/time.Second]++
	}
	for i, n := range tenths {
		if n < clients/10*9/10 || n > clients/10*11/10 {
			t.Errorf("%d of %d in tenth %d of the second", n, clients, i)
		}
	}
}

func TestANodeThatIsBusyIsNotTriedBeforeItSaid(t *testing.T) {
	t.Parallel()
	w, now := newSearch("a", "b", "c")
	busy := func(url string, after time.Duration) {
		w.refused(&UnreachableError{URL: url, Status: 503, RetryAfter: after})
	}
	l := judged(ErrLost)
	busy("a", 10*time.Second)
	if url, wait := w.next(l); url != "b" || wait != time.Second {
		t.Errorf("tried %s after %s", url, wait)
	}
	busy("b", 4*time.Second)
	*now = now.Add(time.Second)
	if url, wait := w.next(l); url != "c" || wait != time.Second {
		t.Errorf("tried %s after %s", url, wait)
	}
	busy("c", 20*time.Second)
	// If all are busy, the search waits for the first that ends, plus a random time.
	if url, wait := w.next(l); url != "b" || wait != 4*time.Second {
		t.Errorf("tried %s after %s", url, wait)
	}
	w.random = func(time.Duration) time.Duration { return 0 }
	if url, wait := w.next(l); url != "b" || wait != 3*time.Second {
		t.Errorf("tried %s after at least %s", url, wait)
	}
	*now = now.Add(time.Minute)
	if _, wait := w.next(l); wait != 0 {
		t.Errorf("no node is busy any more, and it waits %s", wait)
	}
}

// Open waits as long as a busy node asks, and tries again.
func TestOpenWaitsForABusyNode(t *testing.T) {
	t.Parallel()
	cluster := fakenode.New()
	n := cluster.Start(t)
	var refusals atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusals.Add(1) <= 1 {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, n.URL, http.StatusFound)
	}))
	defer front.Close()
	began := time.Now()
	_, err := Open(t.Context(), Options{URL: front.URL, Timing: quick})
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Status != http.StatusFound || refusals.Load() != 2 {
		t.Errorf("%d tries: %v", refusals.Load(), err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("tried again after %s", took)
	}
}

// On a link with a long delay no handshake completes within the timeout that suits the
// detection of a frozen node; each try must get more time.
func TestSlowHandshakesGetMoreTime(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	slow := func(delay time.Duration) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			if err := sleep(ctx, delay); err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	f := open(t, Options{URL: n.URL, DialContext: slow(quick.Handshake * 3 / 2)})
	f.follow(t, "lobby", 0)
	n.Cut()
	c.Say("lobby", "1")
	f.wants(t, "1")
	if l := f.losses(); !strings.Contains(l, "no answer") {
		t.Errorf("no try timed out: %s", l)
	}
}
