package broker

import (
	"fmt"
	"sync"
	"time"
)

// refusedFor is how long a refusal counts when nothing of its kind was tried
// since: whether Redis still refuses is not known then.
const refusedFor = 5 * time.Second

// refusals are what Redis last refused to do with rooms: the lease may be
// renewed, and the probe come back, while it takes no message, for another
// reason or in another part of a Redis Cluster. It is bounded by the number of
// partitions.
type refusals struct {
	mu   sync.Mutex // guards the field below
	last map[work]refusal
}

// work is what was to be done, and in which partition; that is "" outside of a
// Redis Cluster, where all are one.
type work struct{ what, tag string }

type refusal struct {
	err error
	at  time.Time
}

// note takes what became of a call.
func (r *refusals) note(w work, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && refusesAll(err) {
		if r.last == nil {
			r.last = make(map[work]refusal)
		}
		r.last[w] = refusal{err, time.Now()}
	} else if err == nil {
		delete(r.last, w)
	}
}

// reason tells of the refusal that still holds, nil when there is none; of
// several, of the newest.
func (r *refusals) reason() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var newest work
	for w, last := range r.last {
		if time.Since(last.at) >= refusedFor {
			delete(r.last, w)
		} else if last.at.After(r.last[newest].at) {
			newest = w
		}
	}
	last, ok := r.last[newest]
	if !ok {
		return nil
	}
	where := newest.what
	if newest.tag != "" {
		where += " of partition " + newest.tag
	}
	return fmt.Errorf("%s: %w", where, explain(last.err))
}

// refusesAll reports whether Redis would refuse the same of every room of the
// partition: not what is one room's own trouble, as a key of another type is,
// nor what passes by itself, as a redirection.
func refusesAll(err error) bool {
	switch kinds[kind(err)] {
	case "replicas", "oom", "readonly", "misconf", "noauth", "wrongpass", "noperm", "loading", "busy", "noreplicas",
		"clusterdown", "masterdown":
		return true
	}
	return false
}
