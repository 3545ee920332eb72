package client

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"example.com/chat/internal/protocol"
)

// pacer keeps the messages of a Session just below the node's rate limit, so that
// hardly any is refused: a node closes connections that are refused too often. The zero
// value has no limit. Its methods are safe for concurrent use.
type pacer struct {
	mu      sync.Mutex    // guards the field below; the Limiter has a lock of its own
	limiter *rate.Limiter // nil without a limit
}

// set sets the limits of the node. Tokens that were used stay used.
func (p *pacer) set(l protocol.Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.Rate <= 0 {
		p.limiter = nil
		return
	}
	const margin = 0.95 // for messages that arrive closer together than they were sent
	per, burst := rate.Limit(l.Rate*margin), max(1, l.Burst-1)
	if p.limiter == nil {
		p.limiter = rate.NewLimiter(per, burst)
		return
	}
	p.limiter.SetLimit(per)
	p.limiter.SetBurst(burst)
}

// current returns the limiter; nil without a limit.
func (p *pacer) current() *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limiter
}

// wait waits until the limit allows another message, or until ctx is done.
func (p *pacer) wait(ctx context.Context) error {
	limiter := p.current()
	if limiter == nil {
		return ctx.Err()
	}
	return sleep(ctx, limiter.Reserve().Delay())
}

// exhaust empties the limit: the node counts more messages than this Session sent, as
// when the user has other connections.
func (p *pacer) exhaust() {
	limiter := p.current()
	if limiter == nil {
		return
	}
	if left := int(limiter.Tokens()); left > 0 {
		limiter.ReserveN(time.Now(), left)
	}
}
