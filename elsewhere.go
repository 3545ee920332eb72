package main

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// Timings of the search for other nodes.
const (
	// searchEvery is how long this node has been without Redis when its users are
	// first told where else to go, and how often it looks again.
	searchEvery = 5 * time.Second
	// askWithin bounds one question to another node.
	askWithin = time.Second
	// maxAsked bounds how many nodes are asked.
	maxAsked = 32
)

// elsewhere finds the nodes to which users may go while this one is without Redis.
type elsewhere struct {
	mu    sync.Mutex         // guards the fields below
	stop  context.CancelFunc // ends the search; nil while Redis is within reach
	ready map[string]bool    // ids of the nodes that were found
}

// set begins a search when Redis is lost, and ends it when it is back.
func (e *elsewhere) set(up bool, begin func() context.CancelFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !up && e.stop == nil:
		e.stop = begin()
	case up && e.stop != nil:
		e.stop()
		e.stop, e.ready = nil, nil
	}
}

// found replaces what was found, and calls tell where that is news. The outcome of a
// search that has ended, as ctx has, is dropped: so nothing is told once set has
// returned. tell must not block.
func (e *elsewhere) found(ctx context.Context, ready map[string]bool, tell func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	news := len(ready) > 0 && !maps.Equal(e.ready, ready)
	e.ready = ready
	if news {
		tell()
	}
}

// statusLocked is the event that names those of the nodes that were found.
func (e *elsewhere) statusLocked(nodes []protocol.Node) protocol.Event {
	var list []protocol.Node
	for _, n := range nodes {
		if e.ready[n.ID] {
			list = append(list, n)
		}
	}
	if len(list) == 0 {
		return protocol.Status(false)
	}
	return protocol.StatusElsewhere(list)
}

// Reachable tells users that Redis is lost or back, and after some time without it
// which other nodes have it (redisbroker.Listener).
func (l nodeFeed) Reachable(up bool) {
	s := l.server
	if !up {
		l.Feed.Reachable(up)
	} else {
		defer l.Feed.Reachable(up) // so that nobody is sent elsewhere after that
	}
	s.elsewhere.set(up, func() context.CancelFunc {
		ctx, stop := context.WithCancel(s.runs)
		s.running.Go(func() { s.search(ctx) }) // ends with ctx; Close waits for it
		return stop
	})
}

func (s *server) search(ctx context.Context) {
	tick := time.NewTicker(searchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.elsewhere.found(ctx, s.askOthers(ctx), func() {
			s.tellAll(func(origin string) protocol.Event { return s.elsewhere.statusLocked(s.peers.list(origin)[1:]) })
		})
	}
}

// Status is what a client that came by origin is told while this node is without
// Redis: after some time with the other nodes that are ready (session.Cluster).
func (s *server) Status(origin string) protocol.Event {
	s.elsewhere.mu.Lock()
	defer s.elsewhere.mu.Unlock()
	return s.elsewhere.statusLocked(s.peers.list(origin)[1:])
}

// askOthers returns the ids of the other nodes that were ready at the last beat that
// this one knows of, without those that now say that they are not. One that gives no
// answer is kept: users may reach what this node doesn't.
func (s *server) askOthers(ctx context.Context) map[string]bool {
	vitals := s.broker.Vitals()
	var asked []redisbroker.NodeInfo
	for _, n := range s.peers.others() {
		if v, ok := vitals[n.ID]; ok && v.State == redisbroker.StateReady && len(asked) < maxAsked {
			asked = append(asked, n)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	ready := make(map[string]bool, len(asked))
	var mu sync.Mutex // guards ready
	var all sync.WaitGroup
	for _, n := range asked {
		all.Go(func() {
			if saysNotReady(ctx, n.Peer) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ready[n.ID] = true
		})
	}
	all.Wait()
	return ready
}

// saysNotReady reports whether the node at host:port answers that it is not ready.
func saysNotReady(ctx context.Context, addr string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return false
	}
	r.Close = true
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusServiceUnavailable
}
