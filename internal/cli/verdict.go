package cli

import (
	"fmt"

	"example.com/chat/internal/check"
)

// whereLosses says what to read where Redis lost something.
const whereLosses = `"What is not promised" in GUARANTEES.md tells with which settings it doesn't`

// verdict puts into words what a history comes to.
func verdict(v check.Verdict, r *check.Report) string {
	switch {
	case v == check.Broken:
		return "BROKEN PROMISES"
	case v == check.RedisLost:
		return fmt.Sprintf("Redis lost what it had acknowledged (%d messages), and everybody in the rooms was told", r.Found[check.RuleLost])
	case r.Sent == 0:
		return "none: nothing was sent, so there is nothing to judge"
	}
	return "every promise was kept"
}
