package swarm

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Times are durations of one kind, from 1 µs to a minute, with three digits of
// precision. The methods are not safe for concurrent use with observe.
type Times struct{ h *hdrhistogram.Histogram }

const longestTime = time.Minute

func newTimes() *Times {
	return &Times{hdrhistogram.New(1, longestTime.Microseconds(), 3)}
}

// observe records a duration; one outside the range counts as the nearest inside.
func (t *Times) observe(d time.Duration) {
	_ = t.h.RecordValue(min(max(1, d.Microseconds()), longestTime.Microseconds())) // in range
}

// Count returns the number of durations.
func (t *Times) Count() int { return int(t.h.TotalCount()) }

// At returns the duration that a percentage of all does not exceed; 0 if there are
// none.
func (t *Times) At(percent float64) time.Duration {
	return time.Duration(t.h.ValueAtPercentile(percent)) * time.Microsecond
}

// Max returns the longest duration; 0 if there are none.
func (t *Times) Max() time.Duration { return time.Duration(t.h.Max()) * time.Microsecond }
