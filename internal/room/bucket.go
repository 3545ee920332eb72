package room

import "time"

// bucket holds the tokens of one user: it fills at a rate, up to a burst. It is
// small, as every user has two; what they have in common is in pace.
type bucket struct {
	tokens float64
	filled time.Time
}

// pace is how buckets of one kind fill; a rate of 0 is no limit.
type pace struct{ rate, burst float64 }

// wait fills the bucket, and returns how long until it holds cost tokens; 0 when
// it does. It takes none.
func (p pace) wait(b *bucket, now time.Time, cost int) time.Duration {
	if p.rate == 0 {
		return 0
	}
	if !b.filled.IsZero() {
		b.tokens = min(p.burst, b.tokens+now.Sub(b.filled).Seconds()*p.rate)
	}
	b.filled = now
	missing := min(float64(cost), p.burst) - b.tokens
	if missing <= 0 {
		return 0
	}
	return max(time.Millisecond, time.Duration(missing/p.rate*float64(time.Second)))
}
