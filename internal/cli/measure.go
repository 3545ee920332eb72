package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"example.com/chat/internal/load"
	"example.com/chat/internal/protocol"
)

// scenario is a value of --scenario: what it means for flags that are not given, and
// which flags it does not take.
type scenario struct {
	name, about    string
	clients, rooms int
	rate           float64
	lasts          time.Duration
	without        []string
}

// scenarios are the values of --scenario.
var scenarios = []scenario{
	{load.ScenarioFanout, "all clients in one room", 500, 1, 100, 10 * time.Second, []string{"rooms"}},
	{load.ScenarioRooms, "clients in many rooms", 500, 50, 200, 10 * time.Second, nil},
	{load.ScenarioIdle, "clients that send nothing", 1000, 50, 1, 10 * time.Second, []string{"rate"}},
	{load.ScenarioStorm, "all clients connect at the same time", 500, 50, 1, time.Second, []string{"rate", "for"}},
	{load.ScenarioMax, "the highest rate that the nodes keep up with", 300, 30, 100, 3 * time.Second, nil},
}

// maxMeasured bounds the clients of a scenario, whose history is not kept.
const maxMeasured = 20_000

// scenarioNames returns the names, for the help and for errors.
func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// scenarioHelp describes the scenarios in the help.
func scenarioHelp() string {
	var b strings.Builder
	for _, s := range scenarios {
		size := fmt.Sprintf("%d clients, %d rooms", s.clients, s.rooms)
		if s.rooms == 1 {
			size = fmt.Sprintf("%d clients", s.clients)
		}
		if !slices.Contains(s.without, "rate") {
			size += fmt.Sprintf(", %v messages a second", s.rate)
		}
		if s.name == load.ScenarioMax {
			size += " at first, each rate for " + s.lasts.String()
		}
		fmt.Fprintf(&b, "  %-7s %s (%s)\n", s.name, s.about, size)
	}
	return b.String()
}

// measurement returns what --scenario asks for.
func (b *benchFlags) measurement(flags *pflag.FlagSet) (*load.Measure, error) {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == b.scenario })
	if i < 0 {
		return nil, usage(fmt.Sprintf("there is no --scenario %q", clean(b.scenario)), "give one of "+scenarioNames())
	}
	s := scenarios[i]
	for _, name := range append([]string{"churn", "out"}, s.without...) {
		if flags.Changed(name) {
			return nil, usage(fmt.Sprintf("--scenario %s takes no --%s", s.name, name), "leave one of them out")
		}
	}
	m := &load.Measure{Scenario: s.name, URL: b.url, Clients: b.bench.Clients, Rooms: b.bench.Rooms, Rate: b.bench.Rate, For: b.bench.For}
	given := func(name string) bool { return flags.Changed(name) }
	if !given("clients") {
		m.Clients = s.clients
	}
	if !given("rooms") {
		m.Rooms = min(s.rooms, m.Clients)
	}
	if !given("rate") {
		m.Rate = min(s.rate, float64(m.Clients)*maxEachRate)
	}
	if !given("for") {
		m.For = s.lasts
	}
	// The check of a bench bounds what it remembers, and a scenario remembers little.
	bounded := benchFlags{clientFlags: b.clientFlags, most: maxMeasured, bench: load.Bench{Clients: m.Clients, Rooms: m.Rooms, Rate: m.Rate, For: m.For}}
	return m, bounded.check()
}

// measure runs a scenario, and prints the result.
func (b *benchFlags) measure(ctx context.Context, m *load.Measure, stdout, stderr io.Writer) error {
	m.Started = func(w protocol.WelcomeEvent) {
		fmt.Fprintf(stderr, "%d clients in %d rooms connect; Ctrl-C ends it early\n", m.Clients, m.Rooms)
		b.warnOfLimit(stderr, w.Limits.Rate, m.Rate, m.Clients)
	}
	if !b.json {
		m.Found = func(r *load.Measurement) { printMeasurement(stdout, r) }
	}
	m.Cleaning = func(n int) { fmt.Fprintf(stderr, "deleting its %d messages; Ctrl-C leaves the rest\n", n) }
	result, err := m.Run(ctx)
	if err != nil {
		return explainBench(err)
	}
	if b.json {
		if err := printJSON(stdout, result); err != nil {
			return err
		}
	} else if result.Left > 0 {
		fmt.Fprintf(stdout, "%-14s%d messages in the rooms of this bench\n", "left", result.Left)
	}
	return judgeMeasurement(result)
}

// printJSON prints a value as one line of JSON.
func printJSON(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", text)
	}
	return err
}

// judgeMeasurement explains why a scenario failed.
func judgeMeasurement(r *load.Measurement) error {
	last := &r.Steps[len(r.Steps)-1]
	switch {
	case r.Scenario == load.ScenarioMax && r.MaxRate == 0 && !r.Interrupted:
		return errors.New("no rate was found that the nodes keep up with: " + clean(r.Limit))
	case r.Scenario == load.ScenarioMax || r.Interrupted:
		return nil
	case last.Lost > 0:
		return fmt.Errorf("%d connections were lost: see the nodes' logs", last.Lost)
	case last.Refused > 0:
		return fmt.Errorf("%d of %d messages were refused: give more --clients, or nodes with --rate 0", last.Refused, last.Sent)
	case last.Missing > 0:
		return fmt.Errorf("the nodes did not keep up: %d of %d copies had not arrived 5 s after the last message", last.Missing, last.Missing+last.Delivered)
	case last.Doubled > 0:
		return fmt.Errorf("%d copies arrived twice", last.Doubled)
	}
	return nil
}

// printMeasurement prints a result for people.
func printMeasurement(w io.Writer, r *load.Measurement) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-14s"+format+"\n", append([]any{name}, args...)...)
	}
	if r.Interrupted {
		line("interrupted", "this is what was found until then")
	}
	logins := &r.Steps[0]
	line("connected", "%d clients in %d rooms in %s; %d handshakes were refused at first", r.Clients, r.Rooms, seconds(logins.Seconds), r.LoginsRefused)
	line("connecting", "%s", spread(r.Logins))
	if r.Scenario == load.ScenarioStorm || r.Scenario == load.ScenarioIdle {
		printUse(line, logins, float64(r.Clients), "client")
	}
	for i := range r.Steps[1:] {
		s := &r.Steps[i+1]
		if r.Scenario == load.ScenarioMax {
			kept := "kept up"
			if !s.KeptUp() {
				kept = "did not keep up"
			}
			line("", "%.0f a second: %s; delivering %s", s.Rate, kept, spread(s.Delivering))
			continue
		}
		printStep(line, s)
	}
	if r.Scenario == load.ScenarioMax {
		line("most", "%.0f messages a second; %s", r.MaxRate, clean(r.Limit))
		if best := bestStep(r); best != nil {
			printStep(line, best)
		}
	}
}

// bestStep returns the step with the highest rate that the nodes kept up with; nil for
// none.
func bestStep(r *load.Measurement) *load.Step {
	for i := range r.Steps {
		if r.MaxRate > 0 && r.Steps[i].Rate == r.MaxRate {
			return &r.Steps[i]
		}
	}
	return nil
}

// printStep prints what one load did.
func printStep(line func(name, format string, args ...any), s *load.Step) {
	if s.Name == "idle" {
		line("idle", "for %s; %d connections were lost", seconds(s.Seconds), s.Lost)
		printUse(line, s, 0, "")
		return
	}
	line("sent", "%d messages, %.1f a second; %d acknowledged, %d refused", s.Sent, s.Rate, s.Acknowledged, s.Refused)
	line("heard", "%d copies, %.1f a second; %d missing, %d doubled", s.Delivered, float64(s.Delivered)/max(s.Seconds, 1e-3), s.Missing, s.Doubled)
	line("acknowledging", "%s", spread(s.Acknowledging))
	line("delivering", "%s", spread(s.Delivering))
	printUse(line, s, float64(s.Delivered), "copy")
	if s.Bottleneck != "" {
		line("note", "%s; the nodes may do better", s.Bottleneck)
	}
}

// printUse prints what processes used in a step, also for each of n things.
func printUse(line func(name, format string, args ...any), s *load.Step, n float64, thing string) {
	use := func(u load.NodeUse) string {
		text := fmt.Sprintf("%.1f %% of a core, %.1f MiB (%+.1f)", 100*u.CPU/max(s.Seconds, 1e-3), float64(u.Resident)/(1<<20), float64(u.Grown)/(1<<20))
		if n > 0 {
			text += fmt.Sprintf("; %.1f µs a %s", u.CPU*1e6/n, thing)
		}
		return text
	}
	for _, u := range s.Nodes {
		if u.PID == 0 {
			line("node", "%s is not a process that can be measured here", clean(u.URL))
		} else {
			line("node", "%s  %s", clean(u.URL), use(u))
		}
	}
	if load.CountsUse() {
		line("this process", "%s; its loop worked %.0f %% of the time", use(s.Own), 100*s.Busy)
	}
}

// spread writes durations.
func spread(s load.Spread) string {
	ms := func(v float64) time.Duration { return shown(time.Duration(v * float64(time.Millisecond))) }
	return fmt.Sprintf("p50 %s, p99 %s, longest %s", ms(s.P50), ms(s.P99), ms(s.Max))
}

// seconds writes a number of seconds as a duration.
func seconds(s float64) time.Duration { return shown(time.Duration(s * float64(time.Second))) }
