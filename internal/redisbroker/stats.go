package redisbroker

import (
	"sync/atomic"
	"time"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/histogram"
)

// counts are the counters of cluster.BrokerStats.
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
func (b *core) Stats() cluster.BrokerStats {
	c := &b.counts
	s := cluster.BrokerStats{
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
