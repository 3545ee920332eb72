package client

import (
	"context"
	"errors"
	"sync"
)

// Reasons to leave a connection that has not ended.
var (
	errStalled = errors.New("the node does not answer")
	errCutOff  = errors.New("the node can't reach Redis, and others can")
)

// mover searches for a better connection beside the one in use, and ends that one when
// it has found another. Its methods are safe for concurrent use.
type mover struct {
	ctx      context.Context // of the Session; ends all searches
	timing   *Timing
	identity *identity
	searches sync.WaitGroup

	mu        sync.Mutex // guards the fields below; not held while a connection is opened or ended
	conn      *Conn      // in use; nil between connections
	searching *Conn      // the connection beside which a search runs
	standby   *Conn      // the result of a search
}

// attach records the connection in use.
func (m *mover) attach(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn = c
}

// detach records that the connection has ended, and returns the one that a search has
// found; nil if there is none. No search starts until the next attach.
func (m *mover) detach() *Conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.standby
	m.conn, m.standby = nil, nil
	return next
}

// wait waits for all searches. No connection may be attached, and none may follow.
func (m *mover) wait() { m.searches.Wait() }

// search starts a search for a connection beside c, unless one runs already. It moves
// to the first node that welcomes this user; c stays in use until then, and why is the
// reason that c ends with. needed is called before each pass over the URLs, and before
// the move; both functions are called by the goroutine of the search.
func (m *mover) search(c *Conn, why error, urls func() []string, needed func(pass int) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != c || m.searching == c {
		return
	}
	m.searching = c
	ctx, cancel := context.WithCancel(m.ctx)
	// The search ends with c or with the Session, which calls wait.
	m.searches.Go(func() {
		defer cancel()
		go func() { // ends with the search
			select {
			case <-c.done:
				cancel()
			case <-ctx.Done():
			}
		}()
		defer m.searched(c)
		if next := m.find(ctx, urls, needed); next != nil {
			m.moveTo(c, next, why)
		}
	})
}

func (m *mover) searched(c *Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.searching == c {
		m.searching = nil
	}
}

// find tries the URLs, again and again with growing waits, until a node welcomes the
// user. It returns nil when the search is not needed any more, or ctx is done.
func (m *mover) find(ctx context.Context, urls func() []string, needed func(pass int) bool) *Conn {
	for pass := 0; needed(pass); pass++ {
		for _, url := range urls() {
			opts := m.identity.options()
			opts.URL, opts.Timing = url, m.timing.patient(pass)
			var next *Conn
			err := m.identity.authenticate(ctx, &opts)
			if err == nil {
				next, err = Dial(ctx, opts)
			}
			switch {
			case err == nil && (ctx.Err() != nil || !needed(pass)):
				next.Close()
				return nil
			case err == nil:
				return next
			case ctx.Err() != nil:
				return nil
			}
		}
		if sleep(ctx, m.timing.backoff(pass)) != nil {
			return nil
		}
	}
	return nil
}

// moveTo ends c, and keeps next for detach. If c is not in use any more, it closes next.
func (m *mover) moveTo(c, next *Conn, why error) {
	if !m.keep(c, next) {
		next.Close()
		return
	}
	_ = c.end(why)
}

func (m *mover) keep(c, next *Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != c {
		return false
	}
	m.standby = next
	return true
}
