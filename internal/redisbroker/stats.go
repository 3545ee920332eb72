package redisbroker

import (
	"sync/atomic"
	"time"

	"example.com/chat/internal/histogram"
)

// Stats are what a Broker counted since its start. None of it names a room or a
// user.
type Stats struct {
	// Batches counts the calls of Append that were answered, Entries what they
	// put into logs. Appends are the times that they took.
	Batches, Entries int64
	Appends          histogram.Snapshot
	// Failed counts the calls of Append that failed, by the kinds of Kinds.
	Failed map[string]int64
	// Remade counts the subscriptions that had to be made anew because their
	// connection broke off, Silent those because no probe came back.
	Remade, Silent int64
	// LeasesLost counts the leases that ended before they were renewed.
	LeasesLost int64
	// Skipped counts what was read of logs and is not one of ours, each time
	// that it is read.
	Skipped int64
	// Probes are the round trips of the node's own probe.
	Probes histogram.Snapshot
}

// counts is what Stats is made of.
type counts struct {
	batches, entries atomic.Int64
	appends          histogram.Histogram
	failed           [len(kinds)]atomic.Int64
	remade, silent   atomic.Int64
	leasesLost       atomic.Int64
	skipped          atomic.Int64
	probes           histogram.Histogram
}

// Stats returns the counts so far.
func (b *core) Stats() Stats {
	c := &b.counts
	s := Stats{
		Batches: c.batches.Load(), Entries: c.entries.Load(), Appends: c.appends.Snapshot(),
		Failed: make(map[string]int64, len(kinds)),
		Remade: c.remade.Load(), Silent: c.silent.Load(), LeasesLost: c.leasesLost.Load(),
		Skipped: c.skipped.Load(), Probes: c.probes.Snapshot(),
	}
	for i, k := range kinds {
		s.Failed[k.name] = c.failed[i].Load()
	}
	return s
}

// Entries is that of Stats alone, which costs next to nothing.
func (b *core) Entries() int64 { return b.counts.entries.Load() }

// appended counts a call of Append that began at some time and put so many
// entries into a log, or failed.
func (c *counts) appended(began time.Time, entries int, err error) {
	if err != nil {
		c.failed[kind(err)].Add(1)
		return
	}
	c.appends.Observe(time.Since(began))
	c.batches.Add(1)
	c.entries.Add(int64(entries))
}

// remadeFor counts a subscription that has to be made anew.
func (c *counts) remadeFor(silent bool) {
	if silent {
		c.silent.Add(1)
		return
	}
	c.remade.Add(1)
}
