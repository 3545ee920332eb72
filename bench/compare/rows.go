//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"example.com/chat/internal/procstat"
	"example.com/chat/internal/swarm"
)

// row is one load, and the lines of the table that come from it.
type row struct {
	// key selects it (--rows), about describes it.
	key, about string
	// nodes is the number of nodes, which clients in rooms are spread over.
	nodes, clients, rooms int
	// rate is the number of messages a second of an open loop; 0 for a closed one.
	rate float64
	// idle means that nobody sends anything.
	idle bool
	// embedded means that only systems with a broker of their own take part, with it,
	// and the floor.
	embedded bool
	// drain is how long the last copies may take; 0 means 5 s.
	drain time.Duration
	lines []line
}

// line is one line of the table.
type line struct {
	metric metric
	about  string
	digits int
	// more means that more is better.
	more bool
}

// metric names a measurement.
type metric string

// The measurements.
const (
	perDelivery metric = "perDelivery" // µs of CPU
	deliveries  metric = "deliveries"  // a second
	p50, p99    metric = "p50", "p99"  // ms
	perLogin    metric = "perLogin"    // µs of CPU
	idling      metric = "idling"      // % of a core
	memory      metric = "memory"      // KiB a connection
	// Of the generator, for the notes.
	generator metric = "generator" // µs of CPU a delivery
	missing   metric = "missing"   // % of the deliveries
	busy      metric = "busy"      // % of the time
	late      metric = "late"      // ms, p99 of how late messages were sent
)

// closedWindow is the number of clients of a room that have a message under way in a
// closed loop.
const closedWindow = 3

// allRows returns the loads.
func allRows() []row {
	cost := line{perDelivery, "µs of CPU a delivery", 1, false}
	median, tail := line{p50, "– kernel p50, ms", 1, false}, line{p99, "– kernel p99, ms", 1, false}
	return []row{
		{key: "saturated", about: "closed loop: 1 node, 1,500 clients in 100 rooms", nodes: 1, clients: 1500, rooms: 100,
			lines: []line{cost, {deliveries, "– deliveries a second, all on this machine", 0, true}}},
		{key: "fanout", about: "1 room, 500 clients, 200 messages a second", nodes: 1, clients: 500, rooms: 1, rate: 200, lines: []line{cost, median, tail}},
		{key: "nodes", about: "1 room, 999 clients on 3 nodes, 20 messages a second", nodes: 3, clients: 999, rooms: 1, rate: 20, lines: []line{cost, median, tail}},
		{key: "rooms", about: "100 rooms, 1,500 clients on 3 nodes, 400 messages a second", nodes: 3, clients: 1500, rooms: 100, rate: 400, lines: []line{cost, median, tail}},
		{key: "idle", about: "3,000 connections on 3 nodes, in 100 rooms", nodes: 3, clients: 3000, rooms: 100, idle: true, lines: []line{
			{perLogin, "connect and join: µs of CPU each", 0, false},
			{idling, "– at rest: % of a core", 2, false},
			{memory, "– at rest: KiB of memory a connection", 1, false}}},
		{key: "embedded", about: "embedded broker: 1 node, 15 clients in 1 room, 400 messages a second", nodes: 1, clients: 15, rooms: 1, rate: 400, embedded: true,
			lines: []line{cost, median, tail}},
	}
}

// takesPart reports whether a system has something to show in a row.
func (r *row) takesPart(s *system) bool {
	_, chat := s.dialect.(swarm.Chat)
	return !(r.idle && s.alone) && (!r.embedded || chat)
}

// sample is what one run of a row measured.
type sample struct {
	values map[metric]float64
	// note is what a reader must know of this run; "" for nothing.
	note string
}

// Timings of a run.
const (
	warmUp = time.Second
	// settle is the time between the last login and the measurement of idling.
	settle = 2 * time.Second
	// idleFactor multiplies the time of a load for idling, which is little.
	idleFactor = 2
)

// measure runs a row with a system for a time d.
func measure(ctx context.Context, r *row, s *system, d time.Duration) (sample, error) {
	c, err := newCluster()
	if err != nil {
		return sample{}, err
	}
	defer c.stop()
	redis := ""
	if !s.alone && !r.embedded {
		if redis, err = c.redis(ctx); err != nil {
			return sample{}, err
		}
	}
	if err := s.start(ctx, c, s, r.nodes, redis); err != nil {
		return sample{}, err
	}
	before, err := c.usage()
	if err != nil {
		return sample{}, err
	}
	var rooms []string
	for i := range r.rooms {
		rooms = append(rooms, fmt.Sprintf("room-%d", i+1))
	}
	clients, err := swarm.Connect(ctx, swarm.Config{Dialect: s.dialect, URLs: c.urls, Clients: r.clients, Rooms: rooms, Drain: r.drain})
	if err != nil {
		return sample{}, err
	}
	defer clients.Close()
	if r.idle {
		return measureIdle(ctx, c, clients, before, d, r.clients)
	}
	send := func(d time.Duration) *swarm.Result {
		if r.rate > 0 {
			return clients.Open(ctx, r.rate, d)
		}
		return clients.Closed(ctx, closedWindow, d)
	}
	send(min(warmUp, d))
	return measureLoad(c, func() *swarm.Result { return send(d) })
}

// measureLoad measures a load.
func measureLoad(c *cluster, send func() *swarm.Result) (sample, error) {
	before, err := c.usage()
	if err != nil {
		return sample{}, err
	}
	own, err := procstat.CPU(os.Getpid())
	if err != nil {
		return sample{}, err
	}
	result := send()
	after, err := c.usage()
	if err != nil {
		return sample{}, err
	}
	ownAfter, err := procstat.CPU(os.Getpid())
	if err != nil {
		return sample{}, err
	}
	if result.Delivered == 0 {
		return sample{}, fmt.Errorf("nothing was delivered; %d of %d messages were refused, %d connections lost", result.Refused, result.Sent, result.Lost)
	}
	each := func(spent time.Duration) float64 { return micros(spent) / float64(result.Delivered) }
	out := sample{values: map[metric]float64{
		perDelivery: each(after.CPU - before.CPU),
		deliveries:  float64(result.Delivered) / result.Took.Seconds(),
		p50:         millis(result.Deliveries.At(50)),
		p99:         millis(result.Deliveries.At(99)),
		generator:   each(ownAfter - own),
		missing:     100 * float64(result.Missing) / float64(result.Missing+result.Delivered),
		busy:        100 * result.Busy,
		late:        millis(result.Late.At(99)),
	}}
	switch {
	case result.Lost > 0:
		out.note = fmt.Sprintf("%d connections were lost", result.Lost)
	case result.Missing > 0:
		out.note = fmt.Sprintf("falls behind: %d of %d deliveries were missing 5 s after the last message", result.Missing, result.Missing+result.Delivered)
	case result.Doubled > 0:
		out.note = fmt.Sprintf("%d deliveries were doubled", result.Doubled)
	case result.Refused > 0:
		out.note = fmt.Sprintf("%d messages were refused", result.Refused)
	default:
		out.note = result.Bottleneck()
	}
	return out, nil
}

// measureIdle measures clients that have just come and do nothing.
func measureIdle(ctx context.Context, c *cluster, clients *swarm.Swarm, before procstat.Usage, d time.Duration, n int) (sample, error) {
	came, err := c.usage()
	if err != nil {
		return sample{}, err
	}
	if err := pause(ctx, min(settle, d)); err != nil {
		return sample{}, err
	}
	rest, err := c.usage()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	if err := pause(ctx, idleFactor*d); err != nil {
		return sample{}, err
	}
	after, err := c.usage()
	if err != nil {
		return sample{}, err
	}
	out := sample{values: map[metric]float64{
		perLogin: micros(came.CPU-before.CPU) / float64(n),
		idling:   100 * (after.CPU - rest.CPU).Seconds() / time.Since(began).Seconds(),
		memory:   float64(after.Resident-before.Resident) / 1024 / float64(n),
	}}
	if lost, _ := clients.Lost(); lost > 0 {
		out.note = fmt.Sprintf("%d connections were lost", lost)
	}
	return out, nil
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
