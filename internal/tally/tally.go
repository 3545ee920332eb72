// Package tally counts how long things took, for whoever reads it later. It
// knows no format of metrics: that is the reader's affair.
package tally

import (
	"sync/atomic"
	"time"
)

// bounds are the upper ends of a Histogram's buckets: from what a Redis on the
// same machine takes to more than any call may.
var bounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond,
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second,
}

// Histogram counts times by their length. The zero value is ready for use, by
// any number of goroutines.
type Histogram struct {
	buckets [len(bounds) + 1]atomic.Int64
	sum     atomic.Int64 // ns
}

// Observe counts one.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// Snapshot is what a Histogram had counted at some moment.
type Snapshot struct {
	// Count is of all times, Sum what they are together.
	Count uint64
	Sum   time.Duration
	// UpTo is how many were no longer than each of the bounds.
	UpTo map[time.Duration]uint64
}

// Snapshot returns the counts so far. What is counted meanwhile may be in Sum
// and not yet in Count, or the other way round.
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
