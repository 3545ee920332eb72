package load

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"runtime"
	"time"

	"example.com/chat/internal/client"
	"example.com/chat/internal/procstat"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/swarm"
)

// The scenarios of a Measure.
const (
	// ScenarioFanout is one room with all clients.
	ScenarioFanout = "fanout"
	// ScenarioRooms spreads the clients over many rooms.
	ScenarioRooms = "rooms"
	// ScenarioIdle has clients that send nothing.
	ScenarioIdle = "idle"
	// ScenarioStorm lets all clients connect at the same time.
	ScenarioStorm = "storm"
	// ScenarioMax looks for the highest rate that the nodes keep up with.
	ScenarioMax = "max"
)

// Measure measures what nodes do and need under one kind of load. Unlike Bench it checks
// no order: its clients cost as little as they can.
type Measure struct {
	// Scenario is one of the scenarios above, URL the URL of any node, which lists the
	// others.
	Scenario, URL string
	// Clients are spread over Rooms, each of which is on all nodes.
	Clients, Rooms int
	// Rate is the number of messages a second of all clients together, sent at times
	// that are fixed beforehand; the first one of ScenarioMax.
	Rate float64
	// For is the duration of the load, of each step of ScenarioMax.
	For time.Duration
	// Drain is how long the last copies may take to arrive; 0 means 5 s.
	Drain time.Duration
	// Started is called with the welcome of the node at URL before the clients connect,
	// Found with the result before the messages are deleted, Cleaning with their number.
	// Each may be nil.
	Started  func(protocol.WelcomeEvent)
	Found    func(*Measurement)
	Cleaning func(messages int)
}

// Measurement is the result of a Measure.
type Measurement struct {
	Scenario string `json:"scenario"`
	Clients  int    `json:"clients"`
	Rooms    int    `json:"rooms"`
	// Interrupted reports that it was ended early.
	Interrupted bool `json:"interrupted"`
	// Logins are the times from dialing to the room; LoginsRefused counts handshakes
	// that were answered with 503 and tried again.
	Logins        Spread `json:"logins"`
	LoginsRefused int    `json:"logins_refused"`
	// Steps are the loads: the logins, then idling or messages. ScenarioMax has several
	// of the latter.
	Steps []Step `json:"steps"`
	// MaxRate is the highest rate that the nodes kept up with (ScenarioMax), Limit why
	// no higher one was tried.
	MaxRate float64 `json:"max_rate,omitempty"`
	Limit   string  `json:"limit,omitempty"`
	// Left is the number of messages that are still in the rooms.
	Left int `json:"left"`
}

// Step is one load.
type Step struct {
	// Name is "logins", "idle" or "messages".
	Name string `json:"name"`
	// Rate is that of messages, in all.
	Rate float64 `json:"rate,omitempty"`
	// Sent, Acknowledged and Refused count messages, Delivered, Missing and Doubled
	// their copies, Lost the connections that were lost meanwhile.
	Sent         int `json:"sent"`
	Acknowledged int `json:"acknowledged"`
	Refused      int `json:"refused"`
	Delivered    int `json:"delivered"`
	Missing      int `json:"missing"`
	Doubled      int `json:"doubled"`
	Lost         int `json:"lost"`
	// Seconds is the duration.
	Seconds float64 `json:"seconds"`
	// Acknowledging and Delivering count from when a message was due to its
	// acknowledgement and to each copy; Late to its sending.
	Acknowledging Spread `json:"acknowledging"`
	Delivering    Spread `json:"delivering"`
	Late          Spread `json:"late"`
	// Nodes are what the nodes used, Own what this process did.
	Nodes []NodeUse `json:"nodes"`
	Own   NodeUse   `json:"own"`
	// Busy is the share of the time in which the clients' loop worked.
	Busy float64 `json:"busy"`
	// Bottleneck says why the result tells of this process and not of the nodes; "" if
	// it does not.
	Bottleneck string `json:"bottleneck,omitempty"`
}

// Spread describes durations, in milliseconds.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// NodeUse is what a process used during a load.
type NodeUse struct {
	URL string `json:"url,omitempty"`
	// PID is the process, 0 if it is not on this machine or belongs to somebody else.
	PID int `json:"pid"`
	// CPU is its processor time, in the kernel and outside, in seconds.
	CPU float64 `json:"cpu_seconds"`
	// Resident is its resident memory at the end, Grown how much of it is new, in bytes.
	Resident int `json:"resident_bytes"`
	Grown    int `json:"grown_bytes"`
}

// spreadOf describes times.
func spreadOf(t *swarm.Times) Spread {
	return Times{Count: t.Count(), P50: t.At(50), P99: t.At(99), Max: t.Max()}.Spread()
}

// measuring is a Measure under way.
type measuring struct {
	Measure
	result Measurement
	limits protocol.Limits
	nodes  []NodeUse // the URLs and processes
	swarm  *swarm.Swarm
}

// Run runs the measurement. When ctx is done it ends early, with the result so far. The
// error is that of the first connection, or of a client that can't get in.
func (m Measure) Run(ctx context.Context) (*Measurement, error) {
	first, err := client.Dial(ctx, client.Options{URL: m.URL})
	if err != nil {
		return nil, err
	}
	welcome := first.Welcome()
	first.Close()
	if m.Started != nil {
		m.Started(welcome)
	}
	r := &measuring{Measure: m, limits: welcome.Limits,
		result: Measurement{Scenario: m.Scenario, Clients: m.Clients, Rooms: m.Rooms}}
	urls := client.Candidates(m.URL, welcome.Nodes)
	if len(urls) == 0 {
		urls = []string{m.URL}
	}
	for _, u := range urls {
		r.nodes = append(r.nodes, NodeUse{URL: u, PID: processAt(u)})
	}
	if err := r.connect(ctx, urls); err != nil {
		return nil, err
	}
	defer r.swarm.Close()
	switch m.Scenario {
	case ScenarioIdle:
		r.idle(ctx)
	case ScenarioMax:
		r.max(ctx)
	case ScenarioFanout, ScenarioRooms:
		r.send(ctx, m.Rate)
	}
	r.result.Interrupted = ctx.Err() != nil
	r.result.Left = r.swarm.Remembered()
	if m.Found != nil {
		m.Found(&r.result)
	}
	r.clean(ctx)
	return &r.result, nil
}

// processAt returns the id of the process that listens at a URL, 0 if it can't be known.
func processAt(address string) int {
	u, err := url.Parse(address)
	if err != nil {
		return 0
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "ws": "80", "https": "443", "wss": "443"}[u.Scheme]
	}
	pid, _ := procstat.ListenerAt(net.JoinHostPort(u.Hostname(), port)) // 0 at an error
	return pid
}

// connect connects the clients, all at once in a storm.
func (r *measuring) connect(ctx context.Context, urls []string) error {
	cfg := swarm.Config{Dialect: swarm.Chat{}, URLs: urls, Clients: r.Clients, Drain: r.Drain, Remember: true}
	if r.Scenario == ScenarioStorm {
		cfg.Parallel = r.Clients
	}
	tag := randomTag()
	for i := range r.Rooms {
		cfg.Rooms = append(cfg.Rooms, fmt.Sprintf("bench-%s-%d", tag, i+1))
	}
	var err error
	step := r.step("logins", func(*Step) { r.swarm, err = swarm.Connect(ctx, cfg) })
	if err != nil {
		return err
	}
	took, refused := r.swarm.Logins()
	r.result.Logins, r.result.LoginsRefused = spreadOf(took), refused
	r.result.Steps = append(r.result.Steps, step)
	return nil
}

// step carries out a load, and measures what processes use meanwhile.
func (r *measuring) step(name string, load func(*Step)) Step {
	s := Step{Name: name, Nodes: append([]NodeUse(nil), r.nodes...), Own: NodeUse{PID: os.Getpid()}}
	all := []*NodeUse{&s.Own}
	for i := range s.Nodes {
		all = append(all, &s.Nodes[i])
	}
	before := make([]procstat.Usage, len(all))
	for i, n := range all {
		before[i] = usage(n.PID)
	}
	began := time.Now()
	load(&s)
	s.Seconds = time.Since(began).Seconds()
	for i, n := range all {
		after := usage(n.PID)
		n.CPU, n.Resident, n.Grown = (after.CPU - before[i].CPU).Seconds(), after.Resident, after.Resident-before[i].Resident
	}
	return s
}

// usage returns what a process uses; nothing if that can't be known.
func usage(pid int) procstat.Usage {
	if pid == 0 {
		return procstat.Usage{}
	}
	u, err := procstat.Of(pid)
	if err != nil {
		return procstat.Usage{}
	}
	return u
}

// idle waits.
func (r *measuring) idle(ctx context.Context) {
	step := r.step("idle", func(s *Step) {
		pause(ctx, r.For)
		s.Lost, _ = r.swarm.Lost()
	})
	r.result.Steps = append(r.result.Steps, step)
}

// send sends messages at a rate.
func (r *measuring) send(ctx context.Context, rate float64) *Step {
	step := r.step("messages", func(s *Step) {
		result := r.swarm.Open(ctx, rate, r.For)
		s.Rate, s.Sent, s.Acknowledged, s.Refused = rate, result.Sent, result.Acknowledged, result.Refused
		s.Delivered, s.Missing, s.Doubled, s.Lost = result.Delivered, result.Missing, result.Doubled, result.Lost
		s.Acknowledging, s.Delivering, s.Late = spreadOf(result.Acks), spreadOf(result.Deliveries), spreadOf(result.Late)
		s.Busy, s.Bottleneck = result.Busy, result.Bottleneck()
	})
	r.result.Steps = append(r.result.Steps, step)
	return &r.result.Steps[len(r.result.Steps)-1]
}

// Bounds of the search for the highest rate.
const (
	// KeepsUpWithin is the longest 99th percentile of the latency with which nodes keep
	// up.
	KeepsUpWithin = 250 * time.Millisecond
	maxSteps      = 16
	closeEnough   = 1.1 // of a rate that is too high to one that is not
)

// KeptUp reports whether the nodes kept up with a load.
func (s *Step) KeptUp() bool {
	return s.Missing+s.Refused+s.Lost == 0 && s.Delivered > 0 &&
		s.Delivering.P99 <= float64(KeepsUpWithin)/float64(time.Millisecond)
}

// search looks for the highest rate that the nodes keep up with.
type search struct {
	// limit is the highest rate that the nodes accept of all clients; 0 for none.
	limit float64
	// best is the highest rate so far that they kept up with, tooMuch the lowest one
	// that they did not; 0 for none.
	best, tooMuch float64
}

// next returns the rate to try after one that was kept up with or not, or why the search
// is over: it doubles the rate until it is too high, and then halves the distance.
func (s *search) next(rate float64, kept bool) (next float64, over string) {
	if kept {
		s.best = max(s.best, rate)
	} else {
		s.tooMuch = rate
	}
	switch {
	case s.limit > 0 && s.best >= s.limit:
		return 0, fmt.Sprintf("the nodes' limit of one user allows no more than %.0f a second: give more clients, or nodes with --rate 0", s.limit)
	case s.tooMuch == 0:
		return s.allowed(2 * s.best), ""
	case s.best == 0 && s.tooMuch < 2:
		return 0, "the nodes do not keep up with any rate"
	case s.best == 0:
		return s.tooMuch / 2, ""
	case s.tooMuch <= s.best*closeEnough:
		return 0, fmt.Sprintf("the nodes did not keep up with %.0f a second", s.tooMuch)
	}
	return (s.best + s.tooMuch) / 2, ""
}

// allowed returns the rate that the nodes' limit leaves of a rate.
func (s *search) allowed(rate float64) float64 {
	if s.limit > 0 {
		return min(rate, s.limit)
	}
	return rate
}

// max looks for the highest rate.
func (r *measuring) max(ctx context.Context) {
	s := search{limit: r.limits.Rate * float64(r.Clients)}
	rate := s.allowed(r.Rate)
	for range maxSteps {
		step := r.send(ctx, rate)
		kept := step.KeptUp()
		if ctx.Err() != nil {
			r.result.Limit = "it was interrupted"
			return
		}
		rate, r.result.Limit = s.next(rate, kept)
		r.result.MaxRate = s.best
		switch {
		// Nodes that kept up in spite of a late generator may be loaded more.
		case step.Bottleneck != "" && (!kept || step.Busy > swarm.MostBusy):
			r.result.Limit = step.Bottleneck
		case step.Lost > 0:
			r.result.Limit = fmt.Sprintf("at %.0f a second %d connections were lost", step.Rate, step.Lost)
		}
		if r.result.Limit != "" {
			return
		}
	}
	r.result.Limit = "it took too many steps"
}

// clean deletes the messages, at the highest rate that the nodes kept up with.
func (r *measuring) clean(ctx context.Context) {
	if r.result.Left == 0 {
		return
	}
	if r.Cleaning != nil {
		r.Cleaning(r.result.Left)
	}
	rate := r.Rate
	if r.result.MaxRate > 0 {
		rate = r.result.MaxRate
	}
	if allowed := r.limits.Rate * float64(r.Clients); allowed > 0 {
		rate = min(rate, cleanShare*allowed)
	}
	patience := cleanMargin + r.Drain + time.Duration(2*float64(r.result.Left)/rate*float64(time.Second))
	if ctx.Err() != nil {
		ctx, patience = context.WithoutCancel(ctx), min(patience, cleanSoon)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.result.Left = r.swarm.Remove(ctx, rate)
}

// cleanShare is the share of a user's rate limit that deletions use.
const cleanShare = 0.8

// CountsUse reports whether this system tells what processes use.
func CountsUse() bool { return runtime.GOOS == "linux" }
