package room

import (
	"testing"
	"time"
)

// A node whose Redis was away wrote fifty lines a second into its log.
func TestFailuresAreToldOnceASecond(t *testing.T) {
	var f failures
	now := time.Now()
	var told []int
	for range 30 {
		if n := f.tell(2, now); n > 0 {
			told = append(told, n)
		}
		now = now.Add(100 * time.Millisecond)
	}
	if len(told) != 3 || told[0] != 2 || told[1] != 20 || told[2] != 20 {
		t.Errorf("told %v", told)
	}
}
