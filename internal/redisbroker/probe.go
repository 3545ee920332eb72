package redisbroker

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/histogram"
)

// probesKept is how many probes may be unanswered before the oldest is forgotten: more
// than are sent within probeLost, also with further ones at immediate heartbeats.
const probesKept = 64

// A path may carry small packets and drop large ones (a tunnel whose MTU its ends do not
// know), and then it carries no messages. So some probes are as large as a batch of typical
// messages: the first one, one every largeEvery, and while a large one is unanswered, all.
const (
	largeEvery = 10 * time.Second
	largeProbe = 3 << 10 // bytes; more than two packets of an Ethernet
)

var padding = strings.Repeat(".", largeProbe)

// worse reports whether the probe p shows a worse state of its subscription than q does.
func worse(p, q cluster.Probe) bool {
	if p.Heard != q.Heard {
		return !p.Heard
	}
	return p.Age > q.Age
}

// subscriptionHealth is the state of one subscription: whether it is confirmed, and when
// a probe last arrived through it.
//
// A probe has a number, and the nonce of its subscription. So a lost or repeated probe is
// not confused with another one, and probes of a second node with the same id are ignored.
type subscriptionHealth struct {
	nonce string
	trips *histogram.Histogram // round trips of the probes
	name  string               // for errors; "" for the subscription that always exists
	// grace is how long the first confirmation may take; 0 for the subscription that
	// exists from the start.
	grace time.Duration

	mu         sync.Mutex // guards the fields below
	subscribed bool
	began      bool      // it was confirmed once
	since      time.Time // when subscribed last changed
	cause      error     // why the last connection ended, or a probe could not be published
	count      uint64    // probes sent
	sent       [probesKept]time.Time
	heardAt    time.Time // when the last probe arrived
	rtt        time.Duration
	largeHeard time.Time // when the last large probe arrived
	largeDue   time.Time // when the first unanswered large probe was sent; zero for none
}

func newSubscriptionHealth(trips *histogram.Histogram) *subscriptionHealth {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return &subscriptionHealth{nonce: hex.EncodeToString(random[:]), trips: trips}
}

// confirmed records that Redis confirmed the subscription.
func (p *subscriptionHealth) confirmed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subscribed, p.began, p.since, p.cause = true, true, time.Now(), nil
}

// broken records that the connection ended, and the cause.
func (p *subscriptionHealth) broken(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subscribed {
		p.subscribed, p.since = false, time.Now()
	}
	p.cause = cause
}

// published records whether a probe could be published.
func (p *subscriptionHealth) published(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subscribed {
		p.cause = err
	}
}

func (p *subscriptionHealth) isSubscribed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.subscribed
}

// send returns the payload of a new probe, which counts as sent now.
func (p *subscriptionHealth) send() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	now := time.Now()
	p.sent[p.count%probesKept] = now
	payload := p.nonce + "." + strconv.FormatUint(p.count, 10)
	if p.largeDue.IsZero() && now.Sub(p.largeHeard) < largeEvery {
		return payload
	}
	if p.largeDue.IsZero() {
		p.largeDue = now
	}
	return payload + padding
}

// heard handles a payload from the probe's channel. It ignores all but unanswered probes
// of this subscription.
func (p *subscriptionHealth) heard(payload string) {
	payload, large := strings.CutSuffix(payload, padding)
	nonce, number, _ := strings.Cut(payload, ".")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || nonce != p.nonce {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := &p.sent[n%probesKept]
	if n > p.count || p.count-n >= probesKept || sent.IsZero() {
		return
	}
	p.heardAt = time.Now()
	p.rtt = p.heardAt.Sub(*sent)
	p.trips.Observe(p.rtt)
	*sent = time.Time{}
	if large {
		p.largeHeard, p.largeDue = p.heardAt, time.Time{}
	}
}

// probe returns the last probe that arrived.
func (p *subscriptionHealth) probe() cluster.Probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heardAt.IsZero() {
		return cluster.Probe{}
	}
	return cluster.Probe{Heard: true, Age: time.Since(p.heardAt), RTT: p.rtt}
}

var (
	errNotSubscribed = errors.New("not subscribed to redis")
	errNoProbe       = errors.New("what this node publishes does not come back through redis")
	errNoLarge       = fmt.Errorf("small packets pass between this node and redis, but a probe of %d bytes does not come back: is a link's MTU wrong?", largeProbe)
)

// reason returns why the subscription is not usable; nil if it is.
func (p *subscriptionHealth) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	switch {
	case !p.subscribed && (p.began || time.Since(p.since) >= p.grace):
		err = errNotSubscribed
	case p.subscribed && time.Since(p.heardAt) >= probeLost && (p.grace == 0 || time.Since(p.since) >= probeLost):
		err = errNoProbe
	case p.subscribed && !p.largeDue.IsZero() && time.Since(p.largeDue) >= probeLost:
		err = errNoLarge
	}
	if err != nil && p.cause != nil {
		err = fmt.Errorf("%w: %w", err, p.cause)
	}
	if err != nil && p.name != "" {
		err = fmt.Errorf("%s: %w", p.name, err)
	}
	return err
}

// left returns how long the subscription may still stay silent before it counts as dead.
// While it is not confirmed, or probes can't be published, that is not decided here.
func (p *subscriptionHealth) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.subscribed || p.cause != nil {
		return beatEvery
	}
	last := p.since
	if p.heardAt.After(last) {
		last = p.heardAt
	}
	return probeLost - time.Since(last)
}
