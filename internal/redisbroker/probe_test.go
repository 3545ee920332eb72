package redisbroker

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/histogram"
)

func TestAProbeIsMeasuredByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSubscriptionHealth(new(histogram.Histogram))
		p.confirmed()
		if got := p.probe(); got != (cluster.Probe{}) {
			t.Errorf("before the first: %+v", got)
		}
		want := func(what string, age, rtt time.Duration) {
			t.Helper()
			if got := p.probe(); got != (cluster.Probe{Heard: true, Age: age, RTT: rtt}) {
				t.Errorf("%s: %+v, want an age of %s and a round trip of %s", what, got, age, rtt)
			}
		}
		lost := p.send() // and another in its place, which arrives
		time.Sleep(time.Second)
		second := p.send()
		time.Sleep(3 * time.Millisecond)
		p.heard(second)
		want("after a lost one", 0, 3*time.Millisecond)
		time.Sleep(40 * time.Millisecond)
		for what, payload := range map[string]string{
			"one that comes twice":    second,
			"another node's":          newSubscriptionHealth(new(histogram.Histogram)).send(),
			"one that was never sent": p.nonce + ".3",
			"number nought":           p.nonce + ".0",
			"no number":               p.nonce + ".x",
			"what nodes sent once":    "p",
		} {
			p.heard(payload)
			want(what, 40*time.Millisecond, 3*time.Millisecond)
		}
		p.heard(lost) // it was only late, and counts with its own time
		want("a late one", 0, 1043*time.Millisecond)
		// A probe whose place another has taken is no longer known.
		old := p.send()
		for range probesKept {
			p.send()
		}
		time.Sleep(time.Millisecond)
		p.heard(old)
		want("one given up", time.Millisecond, 1043*time.Millisecond)
	})
}

func TestASubscriptionIsSilentWithoutItsProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSubscriptionHealth(new(histogram.Histogram))
		if err := p.reason(); !errors.Is(err, errNotSubscribed) {
			t.Errorf("before it is confirmed: %v", err)
		}
		p.confirmed()
		if err := p.reason(); !errors.Is(err, errNoProbe) || p.left() <= 0 {
			t.Errorf("just confirmed: %v, silent %v", err, p.left() <= 0)
		}
		p.heard(p.send())
		time.Sleep(probeLost - time.Millisecond)
		if err := p.reason(); err != nil || p.left() <= 0 {
			t.Errorf("within its time: %v, silent %v", err, p.left() <= 0)
		}
		p.send()
		time.Sleep(time.Millisecond)
		if err := p.reason(); !errors.Is(err, errNoProbe) || p.left() > 0 {
			t.Errorf("past its time: %v, silent %v", err, p.left() <= 0)
		}
		p.broken(errors.New("NOPERM no such channel"))
		if err := p.reason(); !errors.Is(err, errNotSubscribed) || !strings.Contains(err.Error(), "NOPERM") || p.left() <= 0 {
			t.Errorf("broken off: %v, silent %v", err, p.left() <= 0)
		}
	})
}

// With several subscriptions, a healthy one does not hide another that is not.
func TestHealthIsThatOfTheWorstSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h health
		subscriptions := []*subscriptionHealth{newSubscriptionHealth(new(histogram.Histogram)), newSubscriptionHealth(new(histogram.Histogram)), newSubscriptionHealth(new(histogram.Histogram))}
		for _, p := range subscriptions {
			h.watch(p)
			p.confirmed()
		}
		h.setBeat(nil)
		subscriptions[0].heard(subscriptions[0].send())
		subscriptions[2].heard(subscriptions[2].send())
		if h.probe().Heard || !errors.Is(h.reason(), errNoProbe) {
			t.Errorf("one never heard: %+v, %v", h.probe(), h.reason())
		}
		time.Sleep(time.Second)
		subscriptions[1].heard(subscriptions[1].send())
		time.Sleep(time.Second)
		subscriptions[2].heard(subscriptions[2].send())
		if got := h.probe(); !got.Heard || got.Age != 2*time.Second || h.reason() != nil {
			t.Errorf("the oldest: %+v, %v", got, h.reason())
		}
		time.Sleep(probeLost - time.Second)
		if err := h.reason(); !errors.Is(err, errNoProbe) {
			t.Errorf("with one that is silent: %v", err)
		}
	})
}

// Large probes find a path that drops packets of more than 1,000 bytes, and so messages,
// while small probes and heartbeats pass.
func TestALargeProbeComesBackNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSubscriptionHealth(new(histogram.Histogram))
		p.confirmed()
		large, bytes := 0, 0
		for range 30 { // seconds
			payload := p.send()
			if len(payload) > largeProbe {
				large++
			}
			bytes += len(payload)
			p.heard(payload)
			if err := p.reason(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(beatEvery)
		}
		if large != 3 || bytes > 30*400 {
			t.Errorf("in 30 s %d large probes were sent, and %d bytes", large, bytes)
		}
		// After a large one is lost, all are large until one arrives.
		for range 3 {
			if payload := p.send(); len(payload) < largeProbe {
				p.heard(payload)
				t.Errorf("a small probe follows a large one that was lost")
			}
			p.heardAt = time.Now() // a small one, sent before
			if err := p.reason(); err != nil {
				t.Errorf("before its time: %v", err)
			}
			time.Sleep(beatEvery)
			p.heardAt = time.Now()
		}
		if err := p.reason(); !errors.Is(err, errNoLarge) {
			t.Errorf("without a large probe for %s: %v", probeLost, err)
		}
		p.heard(p.send())
		if err := p.reason(); err != nil {
			t.Errorf("after a large one came back: %v", err)
		}
		if payload := p.send(); len(payload) > largeProbe {
			t.Errorf("a large one follows one that came back just now")
		}
	})
}
