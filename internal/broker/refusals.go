package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// refusedFor is how long a failure counts when nothing of its kind was tried
	// since: whether Redis still refuses is not known then.
	refusedFor = 5 * time.Second
	// persistsAfter is how long calls of one kind must have failed, without one
	// success between, to make the node unready whatever they failed for.
	persistsAfter = 2 * time.Second
)

// refusals are the failures of calls that concern rooms: the lease may be
// renewed, and the probe come back, while Redis takes no message, for another
// reason or in another part of a Redis Cluster. Whether messages pass decides:
// a refusal that is known to meet every room counts at once, any other failure
// once it persists. The number of entries is bounded by the number of
// partitions.
type refusals struct {
	mu   sync.Mutex // guards the field below
	last map[work]failure
}

// work is a kind of call, and the partition that it concerns; that is "" outside
// of a Redis Cluster, where all are one.
type work struct{ what, tag string }

// failure is what has gone wrong since the last success.
type failure struct {
	err       error
	general   bool      // another call would meet the same
	since, at time.Time // the first and the last of them
}

// counts reports whether a node with this failure is not ready.
func (f failure) counts() bool {
	return f.general || f.at.Sub(f.since) >= persistsAfter
}

// note takes the outcome of a call. A call that its own caller gave up says
// nothing about Redis.
func (r *refusals) note(w work, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.last, w)
		return
	}
	effect := kinds[kind(err)].effect
	if effect == ownRoom || errors.Is(err, context.Canceled) {
		return
	}
	now := time.Now()
	f, ok := r.last[w]
	if !ok || now.Sub(f.at) >= refusedFor {
		f = failure{since: now}
	}
	f.err, f.general, f.at = err, effect == general, now
	if r.last == nil {
		r.last = make(map[work]failure)
	}
	r.last[w] = f
}

// reason tells of the failure that still counts, nil when there is none; of
// several, of the newest.
func (r *refusals) reason() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var newest work
	var last failure
	for w, f := range r.last {
		if time.Since(f.at) >= refusedFor {
			delete(r.last, w)
		} else if f.counts() && f.at.After(last.at) {
			newest, last = w, f
		}
	}
	if last.err == nil {
		return nil
	}
	where := newest.what
	if newest.tag != "" {
		where += " of partition " + newest.tag
	}
	return fmt.Errorf("%s: %w", where, explain(last.err))
}
