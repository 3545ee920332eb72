package load

import (
	"strings"
	"testing"
)

// TestTheHighestRateIsFound searches nodes that keep up with a known rate.
func TestTheHighestRateIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		able, limit, first float64
		least, most        float64
		over               string
	}{
		{able: 1000, first: 100, least: 900, most: 1000, over: "did not keep up with"},
		{able: 37, first: 100, least: 33, most: 37, over: "did not keep up with"},
		{able: 0, first: 100, over: "any rate"},
		{able: 1e9, limit: 3000, first: 100, least: 3000, most: 3000, over: "no more than 3000"},
		{able: 1e9, limit: 50, first: 100, least: 50, most: 50, over: "no more than 50"},
	} {
		s := search{limit: c.limit}
		rate, over := s.allowed(c.first), ""
		for range maxSteps {
			if rate, over = s.next(rate, rate <= c.able); over != "" {
				break
			}
		}
		if s.best < c.least || s.best > c.most || !strings.Contains(over, c.over) {
			t.Errorf("nodes that keep up with %v: %v found, %q", c.able, s.best, over)
		}
	}
}
