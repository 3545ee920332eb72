package cli

import (
	"fmt"

	"example.com/chat/internal/check"
)

// whereLosses says where to read about losses of Redis.
const whereLosses = `"What is not promised" in GUARANTEES.md tells with which settings it doesn't`

// losses describes what Redis lost. A failover or a restart may lose the end of a log
// without any acknowledged message in it, or with messages that their users sent again
// in time.
func losses(r *check.Report) string {
	switch lost := r.Found[check.RuleLost]; {
	case lost == 1:
		return "Redis lost what it had acknowledged (1 message)"
	case lost > 1:
		return fmt.Sprintf("Redis lost what it had acknowledged (%d messages)", lost)
	case r.Found[check.RuleID] > 0:
		return "Redis lost the end of a log; what it had acknowledged there was sent again and has other ids"
	}
	return "Redis lost the end of a log, but no message that it had acknowledged"
}

// verdict describes the conclusion from a history.
func verdict(v check.Verdict, r *check.Report) string {
	switch {
	case v == check.Broken:
		return "BROKEN PROMISES"
	case v == check.RedisLost:
		return losses(r) + ", and everybody in the rooms was told"
	case r.Sent == 0:
		return "none: nothing was sent, so there is nothing to judge"
	}
	return "every promise was kept"
}
