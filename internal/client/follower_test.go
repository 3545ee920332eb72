package client

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
)

// quick are timings for tests; Ping < Gone holds as in the defaults.
var quick = Timing{
	Ping: 50 * time.Millisecond, Gone: 300 * time.Millisecond,
	Handshake: 300 * time.Millisecond, Hello: 300 * time.Millisecond, Reply: time.Second,
	Stall: 600 * time.Millisecond, Rest: 100 * time.Millisecond, Leave: 100 * time.Millisecond,
	Spread: 20 * time.Millisecond, First: 5 * time.Millisecond, Abuse: 20 * time.Millisecond,
	Backoff: 10 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
}

// follower is a Session with its updates and notices.
type follower struct {
	*Session
	mu      sync.Mutex // guards the fields below
	got     []string   // texts of entries, and "gap", "reset", "ended"
	notices []Notice
}

// update records an update (Follow.Handle).
func (f *follower) update(u Update) {
	f.mu.Lock()
	defer f.mu.Unlock()
	word := map[Kind]string{KindEntry: u.Entry.Text, KindGap: "gap", KindReset: "reset", KindEnded: "ended"}[u.Kind]
	f.got = append(f.got, word)
}

// seen returns the updates so far.
func (f *follower) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// losses returns the errors of all notices, a line each.
func (f *follower) losses() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, n := range f.notices {
		if n.Err != nil {
			all = append(all, n.Err.Error())
		}
	}
	return strings.Join(all, "\n")
}

// last returns the newest notice.
func (f *follower) last() Notice {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.notices[len(f.notices)-1]
}

// wants waits for as many updates, and compares them.
func (f *follower) wants(t *testing.T, want ...string) {
	t.Helper()
	chattest.Eventually(t, fmt.Sprintf("%d updates", len(want)), func() bool { return len(f.seen()) >= len(want) })
	if got := f.seen(); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// open opens a Session with quick timings, which ends with the test.
func open(t *testing.T, opts Options) *follower {
	t.Helper()
	f := new(follower)
	opts.Timing = quick
	opts.OnNotice = func(n Notice) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.notices = append(f.notices, n)
	}
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	f.Session = s
	t.Cleanup(s.Close)
	return f
}

// follow follows a room from its newest entries on.
func (f *follower) follow(t *testing.T, room string, newest int) {
	t.Helper()
	if err := f.Follow(t.Context(), room, Follow{Newest: newest, Handle: f.update}); err != nil {
		t.Fatal(err)
	}
}

// numbers returns the decimal numbers in a range.
func numbers(from, to int) []string {
	var list []string
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// say sends a message, which must be accepted.
func (f *follower) say(t *testing.T, room, text string) protocol.SentEvent {
	t.Helper()
	sent, err := f.Send(t.Context(), room, text, NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return sent
}
