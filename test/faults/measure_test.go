//go:build unix

package faults

import (
	"slices"
	"time"

	"example.com/chat/internal/check"
)

// longestAway returns the longest time from the loss of a client's connection until the
// client was in all its rooms again, or until the end of the history.
func longestAway(list []check.Record) time.Duration {
	rooms := make(map[string]map[string]bool) // of each client
	lost := make(map[string]int64)
	missing := make(map[string]map[string]bool)
	var longest, last int64
	for _, rec := range list {
		last = max(last, rec.At)
		switch rec.Op {
		case check.OpLost:
			if _, ok := lost[rec.Client]; ok {
				continue
			}
			lost[rec.Client] = rec.At
			missing[rec.Client] = make(map[string]bool)
			for name := range rooms[rec.Client] {
				missing[rec.Client][name] = true
			}
		case check.OpJoined:
			if rooms[rec.Client] == nil {
				rooms[rec.Client] = make(map[string]bool)
			}
			rooms[rec.Client][rec.Room] = true
			since, away := lost[rec.Client]
			delete(missing[rec.Client], rec.Room)
			if away && len(missing[rec.Client]) == 0 {
				longest = max(longest, rec.At-since)
				delete(lost, rec.Client)
			}
		}
	}
	for _, since := range lost {
		longest = max(longest, last-since)
	}
	return time.Duration(longest)
}

// longestSilence returns the longest time in which a client received no message, from its
// first one until the clients stopped sending.
func longestSilence(list []check.Record, until time.Duration) time.Duration {
	received := make(map[string]int64)
	var longest int64
	for _, rec := range list {
		if !heardIt(rec) || rec.At > int64(until) {
			continue
		}
		if before, ok := received[rec.Client]; ok {
			longest = max(longest, rec.At-before)
		}
		received[rec.Client] = rec.At
	}
	for _, at := range received {
		longest = max(longest, int64(until)-at)
	}
	return time.Duration(longest)
}

// heardIt reports whether the record is about an entry that a client received.
func heardIt(rec check.Record) bool { return rec.Op == check.OpMessage || rec.Op == check.OpShown }

// heardAt returns when a client first received an entry; 0 if it never did.
func heardAt(list []check.Record, client, id string) int64 {
	for _, rec := range list {
		if heardIt(rec) && rec.Client == client && rec.ID == id {
			return rec.At
		}
	}
	return 0
}

// quantile returns the value below which a part of the sample lies.
func quantile(sample []time.Duration, part float64) time.Duration {
	if len(sample) == 0 {
		return 0
	}
	slices.Sort(sample)
	return sample[int(part*float64(len(sample)-1))]
}
