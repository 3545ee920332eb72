package room

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/replica"
)

// places returns the reads of a hub that has none free.
func places(t *testing.T) *reads {
	t.Helper()
	h := New(Config{}, Broker{})
	t.Cleanup(func() { h.Close(context.Background()) })
	for range maxReads {
		if _, err := h.reads.claim(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return &h.reads
}

// Jobs begin by their class, and each class makes progress.
func TestJobsOfBusyRoomsComeFirst(t *testing.T) {
	t.Parallel()
	r := places(t)
	began := make(chan string)
	add := func(name string, c class) *job {
		j := &job{run: func(p *place) { began <- name; p.release() }}
		r.add(j, c)
		return j
	}
	const n = 40
	var last *job
	for i := range n {
		last = add(fmt.Sprint("empty ", i), classEmpty)
	}
	for i := range n {
		add(fmt.Sprint("crowd ", i), classCrowd)
		add(fmt.Sprint("members ", i), classMembers)
	}
	r.add(last, classEmpty) // it is queued once
	r.raise(last, classAwaited)
	r.put() // one place for all, one after the other
	var order []string
	for range 3 * n {
		order = append(order, <-began)
	}
	if order[0] != "empty 39" {
		t.Errorf("the one that somebody waits for is not the first: %q", order[:5])
	}
	at := func(name string) int { return slices.Index(order, name) }
	if a, b := at("crowd 39"), at("members 39"); a > 2*n || b < a {
		t.Errorf("the crowds are through after %d, the other members after %d", a, b)
	}
	if first := at("empty 0"); first > 20 {
		t.Errorf("an empty room waits for %d others", first)
	}
	if !slices.IsSortedFunc(order, func(a, b string) int {
		if a[:3] != b[:3] || a == "empty 39" {
			return 0
		}
		return at(a) - at(b)
	}) {
		t.Error("jobs of a class are out of order")
	}
	slices.Sort(order)
	if len(slices.Compact(order)) != 3*n {
		t.Error("a job ran twice")
	}
}

// Calls that have a goroutine and jobs share the places, so that neither waits for all of the
// other kind.
func TestClaimsAndJobsShareThePlaces(t *testing.T) {
	t.Parallel()
	r := places(t)
	const n = 30
	var mu sync.Mutex
	var order []byte // guarded by mu
	note := func(what byte) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	var all sync.WaitGroup
	for i := range n {
		granted := r.take()
		all.Go(func() {
			<-granted
			note('c')
			r.put()
		})
		all.Add(1)
		r.add(&job{run: func(p *place) { note('j'); p.release(); all.Done() }}, class(i%int(classes)))
	}
	r.put()
	all.Wait()
	jobs := 0
	for _, what := range order[:n] {
		if what == 'j' {
			jobs++
		}
	}
	if jobs < n/3-1 || jobs > n/3+1 {
		t.Errorf("of the first %d there are %d jobs: %s", n, jobs, order)
	}
}

// A claim ends with its context, and its place is not lost.
func TestAClaimEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := places(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p, err := r.claim(ctx); err == nil {
		t.Error("there was a place", p)
	}
	if r.claims.len() != 0 {
		t.Errorf("%d claims wait", r.claims.len())
	}
	r.put()
	p, err := r.claim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.release()
	p.release()
	if r.free != 1 {
		t.Errorf("%d places are free", r.free)
	}
}

// endless is a log that others ask for during each read, until the first one who asked is
// served.
type endless struct {
	Log
	room  *room
	first <-chan struct{}
	reads int
}

const endlessReads = 1000

func (l *endless) After(context.Context, string, protocol.ID, int) ([]protocol.Entry, bool, bool, error) {
	select {
	case <-l.first:
	default:
		if l.reads++; l.reads < endlessReads {
			l.room.log.await(true)
		}
	}
	return nil, true, false, nil
}

// A join that reads the log to its end waits for a read that began after it came, and not
// until nobody else reads.
func TestAJoinDoesNotWaitForTheReadsOfOthers(t *testing.T) {
	t.Parallel()
	l := &endless{}
	h := New(Config{}, Broker{Log: l})
	r := newRoom(h, "lobby", nil)
	l.room = r
	r.mu.Lock()
	r.log.replica.Refresh()
	r.mu.Unlock()
	r.log.beginRead()
	r.log.read(replica.Piece{})
	var held []*place
	for range maxReads { // so that the first read begins when l.first is set
		p, err := h.reads.claim(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, p)
	}
	l.first = r.log.await(true)
	for _, p := range held {
		p.release()
	}
	chattest.Eventually(t, "the first one to be served", func() bool {
		select {
		case <-l.first:
			return true
		default:
			return false
		}
	})
	h.Close(context.Background())
	if l.reads > 2 {
		t.Errorf("it was served after %d reads of the log", l.reads)
	}
}
