// Package histogram counts durations in buckets, without any format of metrics.
package histogram

import (
	"sync/atomic"
	"time"
)

// bounds are the upper bounds of the buckets: from the round trip to a Redis on the
// same machine to more than the timeout of any call.
var bounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond,
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second,
}

// Histogram counts durations. The zero value is ready for use; all methods are safe for
// concurrent use.
type Histogram struct {
	buckets [len(bounds) + 1]atomic.Int64
	sum     atomic.Int64 // ns
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// Snapshot holds the counts of a Histogram at one moment.
type Snapshot struct {
	// Count is the number of durations, Sum their sum.
	Count uint64
	Sum   time.Duration
	// UpTo maps each bound to the number of durations that are not longer.
	UpTo map[time.Duration]uint64
}

// Snapshot returns the counts so far. A concurrent Observe may be in Sum and not yet in
// Count, or the other way round.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Sum: time.Duration(h.sum.Load()), UpTo: make(map[time.Duration]uint64, len(bounds))}
	for i := range h.buckets {
		s.Count += uint64(h.buckets[i].Load())
		if i < len(bounds) {
			s.UpTo[bounds[i]] = s.Count
		}
	}
	return s
}
