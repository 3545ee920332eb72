package broker

import (
	"errors"
	"sync"
	"time"
)

// downAfter is how long Redis must have been out of reach before anybody is
// told: what heals within it is nobody's concern.
const downAfter = time.Second

// health knows how the connection to Redis fares.
type health struct {
	mu         sync.Mutex // guards the fields below
	subscribed bool
	since      time.Time // when subscribed last changed
	probe      time.Time // when the own probe was heard last
	beat       error     // of the last beat; errNoBeat before the first
	beaten     bool
	badSince   time.Time
	up         bool
}

var (
	errNotSubscribed = errors.New("not subscribed to redis")
	errNoBeat        = errors.New("not yet known to the cluster")
	errNoProbe       = errors.New("what this node publishes does not come back through redis")
)

func (h *health) setSubscribed(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribed != on {
		h.subscribed, h.since = on, time.Now()
	}
}

func (h *health) heardProbe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.probe = time.Now()
}

func (h *health) setBeat(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beat, h.beaten = err, true
}

// reason tells why the node can't serve now, nil when it can.
func (h *health) reason() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reasonLocked()
}

func (h *health) reasonLocked() error {
	switch {
	case h.beat != nil:
		return h.beat
	case !h.subscribed:
		return errNotSubscribed
	case !h.beaten:
		return errNoBeat
	case time.Since(h.probe) > probeLost:
		return errNoProbe
	}
	return nil
}

// silent reports that a subscription that should be alive has not brought the
// probe for too long.
func (h *health) silent() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.subscribed && time.Since(h.since) > probeLost && time.Since(h.probe) > probeLost
}

// changed tells whether the state that others are told of has changed now, and
// what it is.
func (h *health) changed() (up, changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	bad := h.reasonLocked() != nil
	switch {
	case !bad:
		h.badSince = time.Time{}
		changed = !h.up
		h.up = true
	case h.up:
		if h.badSince.IsZero() {
			h.badSince = time.Now()
		}
		if time.Since(h.badSince) >= downAfter {
			h.up, changed = false, true
		}
	}
	return h.up, changed
}
