package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// downAfter is how long Redis must have been out of reach before anybody is
// told: what heals within it is nobody's concern.
const downAfter = time.Second

// health knows how the connection to Redis fares: that of the commands, by the
// beats, and each subscription, by its pulse.
//
// Locks: the health's is taken before a pulse's.
type health struct {
	refusals refusals // of what is done with rooms

	mu       sync.Mutex // guards the fields below
	pulses   []*pulse   // one for each subscription
	beat     error      // of the last beat
	beaten   bool       // there was one
	badSince time.Time
	up       bool
	outages  int  // how often up became false
	lost     bool // the lease was lost in the outage that lasts
}

var errNoBeat = errors.New("not yet known to the cluster")

// watch has a subscription's pulse count from now on.
func (h *health) watch(p *pulse) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pulses = append(h.pulses, p)
}

// unwatch ends watch, for a subscription that is needed no more.
func (h *health) unwatch(p *pulse) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pulses = slices.DeleteFunc(h.pulses, func(q *pulse) bool { return p == q })
}

func (h *health) setBeat(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beat, h.beaten = explain(err), true
}

// explain tells an operator whose words an error of a call to Redis is.
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

// reason tells why the node can't serve now, nil when it can.
func (h *health) reason() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reasonLocked()
}

func (h *health) reasonLocked() error {
	if h.beat != nil {
		return h.beat // Redis's own words, which explain the rest
	}
	for _, p := range h.pulses {
		if err := p.reason(); err != nil {
			return err
		}
	}
	if !h.beaten {
		return errNoBeat
	}
	return h.refusals.reason()
}

// probe tells of the subscription that fares worst.
func (h *health) probe() Probe {
	h.mu.Lock()
	defer h.mu.Unlock()
	var worst Probe
	for i, p := range h.pulses {
		probe := p.probe()
		if i > 0 && !probe.Heard && p.reason() == nil {
			continue // it is just being made
		}
		if i == 0 || probe.worse(worst) {
			worst = probe
		}
	}
	return worst
}

// outage is what is told of one at its end.
type outage struct {
	lasted time.Duration // 0 at a start, which is none
	lost   bool          // the lease was lost in it
}

// leaseLost notes that the lease was lost, and reports whether that belongs to an
// outage that lasts.
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

// outageCount returns how many outages there were, and whether one lasts.
func (h *health) outageCount() (n int, lasts bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.outages, h.outages > 0 && !h.up
}

// changed tells whether the state that others are told of has changed now, and
// what it is; at the end of an outage, also about that.
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
