//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// table holds the samples of all runs.
type table struct {
	rows    []row
	systems []*system
	samples map[cell][]sample
	took    time.Duration

	machine machine
	args    []string
	each    time.Duration
	rounds  int
}

// cell is a load with a system.
type cell struct{ row, system string }

func newTable(rows []row, systems []*system) *table {
	return &table{rows: rows, systems: systems, samples: make(map[cell][]sample)}
}

// fill runs all loads with all systems, round by round, so that what changes on the
// machine meanwhile affects all of them.
func (t *table) fill(ctx context.Context, w io.Writer) error {
	began := time.Now()
	for round := range t.rounds {
		for _, r := range t.rows {
			for _, s := range t.systems {
				if !r.takesPart(s) {
					continue
				}
				one, err := measure(ctx, &r, s, t.each)
				if err != nil {
					return fmt.Errorf("%s with %s: %w", r.key, s.name, err)
				}
				fmt.Fprintf(w, "%4.0f s  %d/%d %-9s %-10s %s\n", time.Since(began).Seconds(), round+1, t.rounds, r.key, s.name, t.brief(&r, one))
				k := cell{r.key, s.name}
				t.samples[k] = append(t.samples[k], one)
			}
		}
	}
	t.took = time.Since(began)
	return nil
}

// brief describes one run in a line.
func (t *table) brief(r *row, one sample) string {
	var parts []string
	for _, l := range r.lines {
		parts = append(parts, fmt.Sprintf("%s %s", l.metric, number(one.values[l.metric], l.digits)))
	}
	for _, m := range []metric{generator, busy, late} {
		if v, ok := one.values[m]; ok {
			parts = append(parts, fmt.Sprintf("%s %s", m, number(v, 1)))
		}
	}
	if one.note != "" {
		parts = append(parts, one.note)
	}
	return strings.Join(parts, ", ")
}

// values returns a measurement of all rounds, in order of size.
func (t *table) values(row, system string, m metric) []float64 {
	var list []float64
	for _, s := range t.samples[cell{row, system}] {
		if v, ok := s.values[m]; ok {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return list
}

// median returns the middle of a sorted list, 0 of an empty one.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

// number writes a number with so many digits after the point, and commas between
// thousands.
func number(v float64, digits int) string {
	text := strconv.FormatFloat(v, 'f', digits, 64)
	whole, rest, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		return whole + "." + rest
	}
	return whole
}

// markdown returns the page.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\nMade by `%s` on %s, in %s. Do not edit it: run that again.\n\n",
		strings.TrimSpace("go run ./bench/compare "+strings.Join(t.args, " ")), t.machine.date, t.took.Round(time.Second))
	t.writeSetting(&b)
	t.writeTable(&b)
	t.writeRatios(&b)
	t.writeNotes(&b)
	return b.String()
}

func (t *table) writeSetting(b *strings.Builder) {
	m := t.machine
	fmt.Fprintf(b, "**Machine**: %s, %d processors, %s of memory, Linux %s, %s. Servers, Redis and clients share it; its load average was %s at the start.\n\n",
		m.model, m.processors, m.memory, m.kernel, m.golang, m.load)
	fmt.Fprintf(b, "**Versions**: Redis %s", m.redis)
	for _, s := range t.systems {
		fmt.Fprintf(b, "; %s: %s", s.name, s.version)
	}
	fmt.Fprintf(b, ".\n\n"+`**Measuring**: each load runs for %s after a second of warming up, %d times with each system, in turns; the table has medians, and in brackets the least and the most.
Each run has fresh processes and a fresh Redis without persistence. CPU is the time of all server processes and Redis together, in the kernel and outside, from the first message to the last copy, divided by
the copies that arrived; clients are not in it. Messages are sent at fixed times, whatever happened to earlier ones (an open loop), by all clients in turn, with texts of 100 bytes; in the closed loop three clients of each room send their next
message when their own copy of the last one has arrived. Latency is the time from when a message was due until the kernel received the copy, for all copies. The clients and the load are the same for all (`+"`internal/swarm`"+`); each speaks its protocol's JSON over
WebSocket. All loads but the one of the embedded broker use the same Redis.

**Settings**: chat with `+"`--rate 0`"+`; it keeps each message in the room's log, removes repeats, and announces presence. Centrifugo with its Redis engine, history of 10,000, positioning and recovery, without presence. Socket.IO with its Redis adapter and a server of
twenty lines (`+"`bench/compare/socketio/server.mjs`"+`); it keeps no messages. The floor is one process without Redis that writes the same bytes to each member in a loop (epoll and write(2), in Go): it promises nothing, and runs as one node in all loads.

`, t.each, t.rounds)
	b.WriteString("**Commands**, each with a port and a folder of its own: `redis-server " + redisFlags + " --save \"\"`")
	for _, s := range t.systems {
		if s.commands != "" {
			b.WriteString("; " + s.name + ": " + s.commands)
		}
	}
	b.WriteString(".\n\n")
}

// writeTable writes the medians with their ranges.
func (t *table) writeTable(b *strings.Builder) {
	b.WriteString("| load |")
	for _, s := range t.systems {
		b.WriteString(" " + s.name + " |")
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(t.systems)) + "\n")
	for _, r := range t.rows {
		for i, l := range r.lines {
			about := l.about
			if i == 0 {
				about = r.about + ": " + about
			}
			fmt.Fprintf(b, "| %s |", about)
			for _, s := range t.systems {
				list := t.values(r.key, s.name, l.metric)
				if len(list) == 0 {
					b.WriteString(" – |")
					continue
				}
				fmt.Fprintf(b, " %s (%s–%s) |", number(median(list), l.digits), number(list[0], l.digits), number(list[len(list)-1], l.digits))
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("\n")
}

// writeRatios writes what the first system needs of what the others need.
func (t *table) writeRatios(b *strings.Builder) {
	if len(t.systems) < 2 {
		return
	}
	first := t.systems[0].name
	fmt.Fprintf(b, "Ratios of the medians, %s to the others; below 1 %s is better, except for deliveries a second:\n\n| load |", first, first)
	for _, s := range t.systems[1:] {
		b.WriteString(" " + first + " : " + s.name + " |")
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(t.systems)-1) + "\n")
	for _, r := range t.rows {
		for _, l := range r.lines {
			fmt.Fprintf(b, "| %s: %s |", r.key, strings.TrimPrefix(l.about, "– "))
			for _, s := range t.systems[1:] {
				own, other := t.values(r.key, first, l.metric), t.values(r.key, s.name, l.metric)
				if len(own) == 0 || len(other) == 0 || median(other) == 0 {
					b.WriteString(" – |")
					continue
				}
				fmt.Fprintf(b, " %.2f |", median(own)/median(other))
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("\n")
}

// writeNotes writes what the clients cost, and what was noticed in single runs.
func (t *table) writeNotes(b *strings.Builder) {
	b.WriteString("What the clients cost, medians: µs of CPU a delivery, the share of the time in which their loop worked, and how late messages were sent (p99).\n\n| load |")
	for _, s := range t.systems {
		b.WriteString(" " + s.name + " |")
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(t.systems)) + "\n")
	for _, r := range t.rows {
		if r.idle {
			continue
		}
		fmt.Fprintf(b, "| %s |", r.key)
		for _, s := range t.systems {
			if len(t.samples[cell{r.key, s.name}]) == 0 {
				b.WriteString(" – |")
				continue
			}
			fmt.Fprintf(b, " %.1f µs, %.0f %%, %.1f ms |", median(t.values(r.key, s.name, generator)), median(t.values(r.key, s.name, busy)), median(t.values(r.key, s.name, late)))
		}
		b.WriteString("\n")
	}
	var notes []string
	for _, r := range t.rows {
		for _, s := range t.systems {
			for round, one := range t.samples[cell{r.key, s.name}] {
				if one.note != "" {
					notes = append(notes, fmt.Sprintf("- %s, %s, round %d: %s.\n", r.key, s.name, round+1, one.note))
				}
			}
		}
	}
	if len(notes) > 0 {
		b.WriteString("\nNoticed:\n\n" + strings.Join(notes, ""))
	}
}
