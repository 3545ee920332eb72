package histogram

import (
	"testing"
	"time"
)

func TestAHistogramCountsUpToItsBounds(t *testing.T) {
	t.Parallel()
	var h Histogram
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, time.Minute} {
		h.Observe(d)
	}
	s := h.Snapshot()
	if s.Count != 4 || s.Sum != time.Minute+2*time.Millisecond+1 || len(s.UpTo) != len(bounds) {
		t.Errorf("%+v", s)
	}
	for bound, want := range map[time.Duration]uint64{bounds[0]: 1, time.Millisecond: 2, 2500 * time.Microsecond: 3, 5 * time.Second: 3} {
		if s.UpTo[bound] != want {
			t.Errorf("up to %s: %d, want %d", bound, s.UpTo[bound], want)
		}
	}
	for i := 1; i < len(bounds); i++ {
		if bounds[i] <= bounds[i-1] {
			t.Errorf("bound %s does not follow %s", bounds[i], bounds[i-1])
		}
	}
}
