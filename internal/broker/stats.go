package broker

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"example.com/chat/internal/tally"
)

// Stats are what a Broker counted since its start. None of it names a room or a
// user.
type Stats struct {
	// Batches counts the calls of Append that were answered, Entries what they
	// put into logs. Appends are the times that they took.
	Batches, Entries int64
	Appends          tally.Snapshot
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
	Probes tally.Snapshot
}

// counts is what Stats is made of.
type counts struct {
	batches, entries atomic.Int64
	appends          tally.Histogram
	failed           [len(kinds)]atomic.Int64
	remade, silent   atomic.Int64
	leasesLost       atomic.Int64
	skipped          atomic.Int64
	probes           tally.Histogram
}

// Stats returns the counts so far.
func (b *Broker) Stats() Stats {
	c := &b.counts
	s := Stats{
		Batches: c.batches.Load(), Entries: c.entries.Load(), Appends: c.appends.Snapshot(),
		Failed: make(map[string]int64, len(kinds)),
		Remade: c.remade.Load(), Silent: c.silent.Load(), LeasesLost: c.leasesLost.Load(),
		Skipped: c.skipped.Load(), Probes: c.probes.Snapshot(),
	}
	for i, k := range kinds {
		s.Failed[k] = c.failed[i].Load()
	}
	return s
}

// Entries is that of Stats alone, which costs next to nothing.
func (b *Broker) Entries() int64 { return b.counts.entries.Load() }

// kinds are those of Stats.Failed: a fixed table, so that no text of Redis ever
// becomes the name of something that is counted. The first four are no
// refusals, and the last is any other; those between begin Redis's error.
var kinds = [...]string{
	"timeout", "connection", "reply", "replicas",
	"oom", "readonly", "misconf", "noauth", "wrongpass", "noperm", "loading", "busy", "wrongtype", "noreplicas",
	"clusterdown", "tryagain", "moved", "ask", "masterdown", "crossslot", "noscript",
	"other",
}

// firstRefusal is the place in kinds of the first that is a refusal.
const firstRefusal = 4

// noPermInScript is what Redis says of a command within a script that its user
// may not use, without the code that it gives elsewhere (scriptVerifyACL in its
// script.c).
const noPermInScript = "user executing the script can't run this command"

// kind is the place in kinds of what a call failed for.
func kind(err error) int {
	var network net.Error
	switch {
	case errors.Is(err, errReply):
		return 2
	case errors.Is(err, errReplicas):
		return 3
	case isReply(err) && strings.Contains(err.Error(), noPermInScript):
		return slices.Index(kinds[:], "noperm")
	case isReply(err):
		code, _, _ := strings.Cut(err.Error(), " ")
		for i := firstRefusal; i < len(kinds)-1; i++ {
			if strings.EqualFold(code, kinds[i]) {
				return i
			}
		}
		return len(kinds) - 1
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return 0
	}
	return 1
}

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
