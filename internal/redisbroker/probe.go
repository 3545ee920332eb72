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

	"example.com/chat/internal/histogram"
)

// probesKept is how many probes may be under way, or lost, before the oldest is
// given up: more than are sent within probeLost, although a hurried beat sends
// one too.
const probesKept = 64

// A path may carry small packets and swallow large ones (a tunnel whose MTU is
// not known to the ends), and then it carries no message. So some probes are as
// large as a batch of typical messages: the first one, one every largeEvery, and
// all from the moment a large one is sent until one comes back.
const (
	largeEvery = 10 * time.Second
	largeProbe = 3 << 10 // bytes; more than two packets of an Ethernet
)

var padding = strings.Repeat(".", largeProbe)

// Probe tells how a probe fared that the node sent through Redis to itself.
type Probe struct {
	// Heard is false before the first one came back; then there is nothing
	// else to tell.
	Heard bool
	// Age is how long ago the last one came back.
	Age time.Duration
	// RTT is what that one took from its sending to its coming back.
	RTT time.Duration
}

// worse reports whether p tells less good of its subscription than q.
func (p Probe) worse(q Probe) bool {
	if p.Heard != q.Heard {
		return !p.Heard
	}
	return p.Age > q.Age
}

// pulse is how one subscription fares: whether it is confirmed, and when a
// probe last came back through it.
//
// A probe carries a number, and the nonce of the pulse that sent it. So neither
// a lost one nor one that comes twice is taken for another, and the probes of a
// second node that was given the same id by mistake prove nothing about this.
type pulse struct {
	nonce string
	trips *histogram.Histogram // what the probes took
	name  string               // for messages; "" for the one that is always there
	// grace is how long it may take to be subscribed at first, where that may
	// begin at any time.
	grace time.Duration

	mu         sync.Mutex // guards the fields below
	subscribed bool
	began      bool      // it has been subscribed once
	since      time.Time // when subscribed last changed
	cause      error     // of the end of the last subscription, or why a probe could not be published
	count      uint64    // probes sent
	sent       [probesKept]time.Time
	heardAt    time.Time // when a probe came back last
	rtt        time.Duration
	largeHeard time.Time // when a large probe came back last
	largeDue   time.Time // when the first was sent that has not come back; zero for none
}

func newPulse(trips *histogram.Histogram) *pulse {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return &pulse{nonce: hex.EncodeToString(random[:]), trips: trips}
}

// confirmed notes that Redis has taken the subscription.
func (p *pulse) confirmed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subscribed, p.began, p.since, p.cause = true, true, time.Now(), nil
}

// broken notes the subscription's end and its cause.
func (p *pulse) broken(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subscribed {
		p.subscribed, p.since = false, time.Now()
	}
	p.cause = cause
}

// published notes whether a probe could be.
func (p *pulse) published(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subscribed {
		p.cause = err
	}
}

func (p *pulse) isSubscribed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.subscribed
}

// send returns the payload of a new probe, whose time runs from now on.
func (p *pulse) send() string {
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

// heard takes what came on the probe's channel. Whatever is not a probe that is
// under way counts for nothing.
func (p *pulse) heard(payload string) {
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

// probe tells how the last probe that came back fared.
func (p *pulse) probe() Probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heardAt.IsZero() {
		return Probe{}
	}
	return Probe{Heard: true, Age: time.Since(p.heardAt), RTT: p.rtt}
}

var (
	errNotSubscribed = errors.New("not subscribed to redis")
	errNoProbe       = errors.New("what this node publishes does not come back through redis")
	errNoLarge       = fmt.Errorf("small packets pass between this node and redis, but a probe of %d bytes does not come back: is a link's MTU wrong?", largeProbe)
)

// reason tells why the subscription can't be relied on, nil when it can.
func (p *pulse) reason() error {
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

// left is for how long a subscription that stays silent may still be alive. One
// that is not confirmed yet is not judged here; and a probe that could not be
// published says nothing about it.
func (p *pulse) left() time.Duration {
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
