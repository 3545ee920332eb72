package client

import (
	"context"
	"errors"
	"time"

	"example.com/chat/internal/protocol"
)

// Reasons to leave a connection that has not ended.
var (
	errStalled = errors.New("the node does not answer")
	errCutOff  = errors.New("the node can't reach Redis, and others can")
)

// cutOffFor is how long the Session does not move to a node that has reported the loss
// of Redis; so it stays where it is if all nodes have lost Redis.
const cutOffFor = 30 * time.Second

// stalled starts the search for another connection after a command had no reply for
// Timing.Stall: the path to the node may be dead although events still arrive from it.
// The search ends when the reply arrives.
func (s *Session) stalled(c *Conn) {
	s.seek(c, errStalled, func() []string { return s.candidates(false) }, func(int) bool {
		return c.unanswered(s.opts.Timing.Stall) > 0
	})
}

// catchingUp reports whether the node is still sending the rest of a joined, behind
// which replies wait.
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

// brokerStatus handles a status event. A node that has been without Redis for some
// seconds names others that reach it; the Session tries these a few times, except those
// that lost Redis recently.
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
		return s.refugesLocked() // the nodes of the newest status
	}, func(pass int) bool {
		return pass < maxTries && s.isCutOff()
	})
}

// refugesLocked returns the URLs of the nodes that reach Redis according to the newest
// status, without those that lost Redis recently.
func (s *Session) refugesLocked() []string {
	list := newCandidates(s.opts.URL, s.tls)
	for _, n := range s.refuges {
		if _, down := s.cutOff[n.ID]; !down {
			list.add(n.URL)
		}
	}
	return list.urls
}

// isCutOff reports whether the node's newest status is that it has lost Redis.
func (s *Session) isCutOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, down := s.cutOff[s.node.ID]
	return down
}

// seek searches for a connection beside c, and moves to the first node that welcomes
// this user; c stays in use until then. needed is called before each pass over the
// URLs, and before the move. Only one search runs at a time.
func (s *Session) seek(c *Conn, why error, urls func() []string, needed func(pass int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c || s.seeking == c || s.err != nil {
		return
	}
	s.seeking = c
	ctx, cancel := context.WithCancel(s.ctx)
	// The search ends with c or with the Session; run waits for it.
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

// moveTo ends c, and leaves next as the standby for run.
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

// takeStandby returns the connection that a search has found; nil if there is none.
func (s *Session) takeStandby() *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.standby
	s.standby = nil
	return next
}
