package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"example.com/chat/internal/cluster"
)

// downAfter is how long Redis must be unreachable before that is reported. Shorter
// outages are not.
const downAfter = time.Second

// health is the state of the connections to Redis: that of the commands, from the
// heartbeats, and that of each subscription.
//
// Locks: mu is taken before that of a subscriptionHealth.
type health struct {
	refusals refusals // of appends and reads

	mu            sync.Mutex            // guards the fields below
	subscriptions []*subscriptionHealth // one for each subscription
	beat          error                 // of the last heartbeat; nil if it succeeded
	beaten        bool                  // there was one
	badSince      time.Time
	up            bool
	outages       int  // how often up became false
	lost          bool // the lease was lost in the outage that lasts
}

var errNoBeat = errors.New("not yet known to the cluster")

// watch includes a subscription from now on.
func (h *health) watch(p *subscriptionHealth) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subscriptions = append(h.subscriptions, p)
}

// unwatch excludes a subscription that is no longer needed.
func (h *health) unwatch(p *subscriptionHealth) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subscriptions = slices.DeleteFunc(h.subscriptions, func(q *subscriptionHealth) bool { return p == q })
}

func (h *health) setBeat(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beat, h.beaten = explain(err), true
}

// explain adds to an error of a call to Redis whether Redis refuses, does not answer, or
// can't be reached.
func explain(err error) error {
	var network net.Error
	switch {
	case err == nil, errors.Is(err, errReply), errors.Is(err, errLost), errors.Is(err, errReplicas):
		return err
	case isReply(err):
		return fmt.Errorf("redis refuses: %w", err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("redis does not answer: %w", err)
	}
	return fmt.Errorf("redis can't be reached: %w", err)
}

// reason returns why the node can't serve users now; nil if it can.
func (h *health) reason() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reasonLocked()
}

func (h *health) reasonLocked() error {
	if h.beat != nil {
		return h.beat // Redis's own words, which explain the rest
	}
	for _, p := range h.subscriptions {
		if err := p.reason(); err != nil {
			return err
		}
	}
	if !h.beaten {
		return errNoBeat
	}
	return h.refusals.reason()
}

// probe returns the probe of the subscription in the worst state.
func (h *health) probe() cluster.Probe {
	h.mu.Lock()
	defer h.mu.Unlock()
	var worst cluster.Probe
	for i, p := range h.subscriptions {
		probe := p.probe()
		if i > 0 && !probe.Heard && p.reason() == nil {
			continue // it is just being opened
		}
		if i == 0 || worse(probe, worst) {
			worst = probe
		}
	}
	return worst
}

// outage describes an outage at its end.
type outage struct {
	lasted time.Duration // 0 at the node's start, which is no outage
	lost   bool          // the lease was lost in it
}

// leaseLost records that the lease was lost, and reports whether that happened during an
// outage.
func (h *health) leaseLost() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.up || h.outages == 0 {
		return false
	}
	h.lost = true
	return true
}

// bad reports whether the node can't use Redis now.
func (h *health) bad() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.up || h.reasonLocked() != nil
}

// outageCount returns the number of outages so far, and whether there is one now.
func (h *health) outageCount() (n int, lasts bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.outages, h.outages > 0 && !h.up
}

// changed returns the state that is reported to users, whether it has changed just now,
// and at the end of an outage its description.
func (h *health) changed() (up, changed bool, ended outage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	bad := h.reasonLocked() != nil
	switch {
	case !bad:
		changed = !h.up
		if changed && h.outages > 0 {
			ended = outage{time.Since(h.badSince), h.lost}
			h.lost = false
		}
		h.badSince = time.Time{}
		h.up = true
	case h.up:
		if h.badSince.IsZero() {
			h.badSince = time.Now()
		}
		if time.Since(h.badSince) >= downAfter {
			h.up, changed = false, true
			h.outages++
		}
	}
	return h.up, changed, ended
}
