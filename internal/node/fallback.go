package node

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
)

// Timings and bounds of the search for other nodes.
const (
	// searchEvery is how long Redis is unreachable before users first learn of other
	// nodes, and the interval of further searches.
	searchEvery = 5 * time.Second
	// askTimeout bounds one search.
	askTimeout = time.Second
	// maxAsked bounds the nodes that one search asks.
	maxAsked = 32
)

// fallback finds the nodes to which users may go while this one cannot reach Redis.
type fallback struct {
	members *members
	status  func() map[string]cluster.Seen // of the live nodes, by id

	mu    sync.Mutex         // guards the fields below
	stop  context.CancelFunc // ends the search; nil while Redis is reachable
	ready map[string]bool    // ids of the nodes that were found
}

// set begins a search when Redis is lost, and ends it when Redis is back.
func (f *fallback) set(up bool, begin func() context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !up && f.stop == nil:
		f.stop = begin()
	case up && f.stop != nil:
		f.stop()
		f.stop, f.ready = nil, nil
	}
}

// search looks for ready nodes until ctx ends, and broadcasts each new result.
func (f *fallback) search(ctx context.Context, broadcast func(func(origin string) protocol.Event)) {
	tick := time.NewTicker(searchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.found(ctx, f.ask(ctx), func() {
			broadcast(func(origin string) protocol.Event { return f.eventLocked(origin) })
		})
	}
}

// found stores a result, and calls notify with the lock held if it is new and not
// empty. It drops the result of a search that has ended, as ctx has, so nothing is
// notified after set has returned. notify must not block.
func (f *fallback) found(ctx context.Context, ready map[string]bool, notify func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	changed := len(ready) > 0 && !maps.Equal(f.ready, ready)
	f.ready = ready
	if changed {
		notify()
	}
}

// event returns the status event for a client that reached this node by origin while
// Redis is not reachable.
func (f *fallback) event(origin string) protocol.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.eventLocked(origin)
}

func (f *fallback) eventLocked(origin string) protocol.Event {
	var list []protocol.Node
	for _, n := range f.members.list(origin)[1:] {
		if f.ready[n.ID] {
			list = append(list, n)
		}
	}
	if len(list) == 0 {
		return protocol.Status(false)
	}
	return protocol.StatusElsewhere(list)
}

// ask returns the ids of the other nodes that were ready at their last known
// heartbeat, without those that now answer that they are not. A node that does not
// answer stays: users may reach it although this node does not.
func (f *fallback) ask(ctx context.Context) map[string]bool {
	status := f.status()
	var asked []cluster.NodeInfo
	for _, n := range f.members.others() {
		if v, ok := status[n.ID]; ok && v.State == cluster.StateReady && len(asked) < maxAsked {
			asked = append(asked, n)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ready := make(map[string]bool, len(asked))
	var mu sync.Mutex // guards ready
	var all sync.WaitGroup
	for _, n := range asked {
		all.Go(func() {
			if answersNotReady(ctx, n.Peer) {
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

// answersNotReady reports whether the node at host:port answers that it is not ready.
func answersNotReady(ctx context.Context, addr string) bool {
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
