package client

import (
	"sync"
	"time"
)

// heartbeat calls ping whenever a connection has been quiet for a while. It has no
// goroutine of its own: a timer's goroutine makes each call. Its methods are safe for
// concurrent use.
type heartbeat struct {
	every time.Duration        // set by start, constant afterwards, as are the next two
	quiet func() time.Duration // how long nothing was received
	ping  func() error         // called without a lock; an error ends the heartbeat

	mu      sync.Mutex  // guards the fields below
	timer   *time.Timer // nil before start
	stopped bool
}

// start starts the heartbeat, unless stop was called before. It must be called once.
func (h *heartbeat) start(every time.Duration, quiet func() time.Duration, ping func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.every, h.quiet, h.ping = every, quiet, ping
	if !h.stopped {
		h.timer = time.AfterFunc(every, h.beat) // a short call; stop stops the timer
	}
}

// beat calls ping if the connection has been quiet, and schedules the next beat.
func (h *heartbeat) beat() {
	next := h.every - h.quiet()
	if next <= 0 {
		if h.ping() != nil {
			return
		}
		next = h.every
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped {
		h.timer.Reset(next)
	}
}

// stop ends the heartbeat. A ping that is under way may still complete.
func (h *heartbeat) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
}
