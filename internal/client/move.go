package client

import (
	"context"
	"errors"
	"time"

	"example.com/chat/internal/protocol"
)

// Why a Session leaves a connection that has not ended.
var (
	errStalled = errors.New("the node does not answer")
	errCutOff  = errors.New("the node can't reach Redis, and others can")
)

// cutOffFor is how long a node that said it can't reach Redis is not moved to
// for that reason; so a Session that finds all nodes cut off stays where it is.
const cutOffFor = 30 * time.Second

// stalled looks for another connection because a command has had no answer for
// Timing.Stall: the way to the node may be dead although others' messages still
// arrive. It stops when the answer comes.
func (s *Session) stalled(c *Conn) {
	s.seek(c, errStalled, func() []string { return s.candidates(false) }, func(int) bool {
		return c.unanswered(s.opts.Timing.Stall) > 0
	})
}

// catchingUp reports whether the node is still delivering what a joined promised;
// replies may come behind it.
func (s *Session) catchingUp(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return false
	}
	for _, r := range s.rooms {
		if r.more && time.Since(r.moved) < s.opts.Timing.Rest {
			return true
		}
	}
	return false
}

// brokerStatus takes what the node says of its connection to Redis. A node that has
// been cut off for some seconds names those that are not: the Session tries them a few
// times, but those that were cut off themselves lately.
func (s *Session) brokerStatus(c *Conn, st protocol.StatusEvent) {
	s.mu.Lock()
	if st.Broker != protocol.BrokerDown {
		delete(s.cutOff, s.node.ID)
		s.mu.Unlock()
		return
	}
	if s.cutOff == nil {
		s.cutOff = make(map[string]time.Time)
	}
	now := time.Now()
	for id, at := range s.cutOff {
		if now.Sub(at) > cutOffFor {
			delete(s.cutOff, id)
		}
	}
	s.cutOff[s.node.ID] = now
	s.refuges = st.Nodes
	none := len(s.refugesLocked()) == 0
	s.mu.Unlock()
	if none {
		return
	}
	s.seek(c, errCutOff, func() []string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.refugesLocked() // those of the newest status
	}, func(pass int) bool {
		return pass < maxTries && s.isCutOff()
	})
}

// refugesLocked are the URLs of nodes that reach Redis, as the node said last, without
// those that were cut off themselves lately.
func (s *Session) refugesLocked() []string {
	list := newCandidates(s.opts.URL, s.tls)
	for _, n := range s.refuges {
		if _, down := s.cutOff[n.ID]; !down {
			list.add(n.URL)
		}
	}
	return list.urls
}

// isCutOff reports whether the node has said that it can't reach Redis, and not
// yet that it can.
func (s *Session) isCutOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, down := s.cutOff[s.node.ID]
	return down
}

// seek looks for a connection beside c, and moves to the first that welcomes this
// user, so that c is not missed if there is none. needed is asked before each pass
// over the URLs, and before the move. One search is under way at a time.
func (s *Session) seek(c *Conn, why error, urls func() []string, needed func(pass int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c || s.seeking == c || s.err != nil {
		return
	}
	s.seeking = c
	ctx, cancel := context.WithCancel(s.ctx)
	// Ends with c, or with the Session; run waits for it.
	s.seekers.Go(func() {
		defer cancel()
		go func() { // ends with the search
			select {
			case <-c.done:
				cancel()
			case <-ctx.Done():
			}
		}()
		s.look(ctx, c, why, urls, needed)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.seeking == c {
			s.seeking = nil
		}
	})
}

// look is the body of seek.
func (s *Session) look(ctx context.Context, c *Conn, why error, urls func() []string, needed func(pass int) bool) {
	for pass := 0; needed(pass); pass++ {
		for _, url := range urls() {
			opts := s.credentials()
			opts.URL, opts.Timing = url, s.opts.Timing.patient(pass)
			var next *Conn
			err := s.authenticate(ctx, &opts)
			if err == nil {
				next, err = Dial(ctx, opts)
			}
			switch {
			case err == nil && (ctx.Err() != nil || !needed(pass)):
				next.Close()
				return
			case err == nil:
				s.moveTo(c, next, why)
				return
			case ctx.Err() != nil:
				return
			}
		}
		if sleep(ctx, s.opts.Timing.backoff(pass)) != nil {
			return
		}
	}
}

// moveTo ends c, and leaves next for run to go on with.
func (s *Session) moveTo(c, next *Conn, why error) {
	s.mu.Lock()
	if s.conn != c || s.err != nil {
		s.mu.Unlock()
		next.Close()
		return
	}
	s.standby = next
	s.mu.Unlock()
	_ = c.end(why)
}

// takeStandby returns the connection that a search has found; nil where there is
// none.
func (s *Session) takeStandby() *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.standby
	s.standby = nil
	return next
}
