package main

import (
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/cli"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
	"example.com/chat/internal/room"
)

// meter makes a rate of a number that only grows: its mean over the last beats.
type meter struct {
	mu     sync.Mutex // guards the fields below
	points []point    // the oldest first
}

// point is what the number was at a time.
type point struct {
	at time.Time
	n  int64
}

const (
	// meterBeats is over how many beats the mean is taken.
	meterBeats = 5
	// meterApart is what lies between two of its points at least: beats that
	// were hurried would make the time too short to tell a rate by.
	meterApart = 500 * time.Millisecond
)

// note takes what the number is at a beat.
func (m *meter) note(now time.Time, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := len(m.points) - 1; last >= 0 && now.Sub(m.points[last].at) < meterApart {
		return
	}
	m.points = append(m.points, point{now, n})
	if len(m.points) > meterBeats+1 {
		m.points = append(m.points[:0], m.points[1:]...)
	}
}

// rate is the mean a second up to now, to one decimal.
func (m *meter) rate(now time.Time, n int64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.points) == 0 {
		return 0
	}
	first := m.points[0]
	took := now.Sub(first.at)
	if took < meterApart {
		return 0
	}
	return math.Round(10*float64(n-first.n)/took.Seconds()) / 10
}

// beatVitals tells the broker at a beat how this node is.
func (s *server) beatVitals() redisbroker.Vitals {
	s.meter.note(time.Now(), s.broker.Entries())
	s.warnOfCluster()
	return s.vitals()
}

// vitals is how this node is now.
func (s *server) vitals() redisbroker.Vitals {
	users, rooms := s.hub.Size()
	v := redisbroker.Vitals{
		State: redisbroker.StateReady, Users: users, Connections: s.connections(), Rooms: rooms,
		Rate: s.meter.rate(time.Now(), s.broker.Entries()),
	}
	if s.stopping.Load() || s.draining.Load() {
		v.State = redisbroker.StateDraining
	} else if s.ready() != nil {
		v.State = redisbroker.StateAway
	}
	if p := s.broker.Probe(); p.Heard {
		age, rtt := p.Age.Milliseconds(), inMS(p.RTT)
		v.Age, v.RTT = &age, &rtt
	}
	return v
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// nodeReport is one node in the answer of /api/nodes: id and URL alone where it
// does not write how it is.
type nodeReport struct {
	ID  string `json:"id"`
	URL string `json:"url"`
	*redisbroker.Vitals
	// Seen is how long ago that was so, in ms.
	Seen *int64 `json:"seen_ms,omitzero"`
}

// serveNodes lists the live nodes. How they are is for operators, or for all where
// this is a demo.
func (s *server) serveNodes(w http.ResponseWriter, r *http.Request) {
	if s.opts.UI == cli.UIPlain && !fromThisMachine(r) {
		writeJSON(w, http.StatusOK, map[string][]protocol.Node{"nodes": s.NodesFor(admission.Origin(r))})
		return
	}
	s.serveNodeReports(w, r)
}

// fromThisMachine reports whether a request was made on this machine, for an address
// of its loopback, and not passed on by a proxy.
func fromThisMachine(r *http.Request) bool {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !at.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, name := range forwarding {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	host := (&url.URL{Host: r.Host}).Hostname()
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// serveNodeReports lists the live nodes and how they are: this one now, the others
// at their last beat. It asks nobody for it.
func (s *server) serveNodeReports(w http.ResponseWriter, r *http.Request) {
	var answer struct {
		Nodes []nodeReport `json:"nodes"`
	}
	others := s.broker.Vitals()
	for _, n := range s.NodesFor(admission.Origin(r)) {
		answer.Nodes = append(answer.Nodes, s.report(n, others))
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *server) report(n protocol.Node, others map[string]redisbroker.Seen) nodeReport {
	report := nodeReport{ID: n.ID, URL: n.URL}
	var ago int64
	if n.ID == s.peers.self.ID {
		own := s.vitals()
		report.Vitals = &own
	} else if seen, ok := others[n.ID]; ok {
		report.Vitals, ago = &seen.Vitals, seen.Ago.Milliseconds()
	} else {
		return report
	}
	report.Seen = &ago
	return report
}

// traceReport is the way of one entry through this node, in microseconds of its
// clock; steps that were not taken are left out.
type traceReport struct {
	Node        string `json:"node"`
	Now         int64  `json:"now"`
	Received    int64  `json:"received,omitzero"`
	AppendBegan int64  `json:"append_began,omitzero"`
	AppendEnded int64  `json:"append_ended,omitzero"`
	Heard       int64  `json:"heard,omitzero"`
	Handed      int64  `json:"handed,omitzero"`
}

// serveTrace tells when what was said under a key took which step here. It tells
// nothing of what was said, nor by whom.
func (s *server) serveTrace(w http.ResponseWriter, r *http.Request) {
	trace, ok := s.hub.Trace(r.URL.Query().Get("key"))
	if !ok {
		writeError(w, protocol.Errorf(protocol.CodeNotFound, "nothing is known here of this key: those that begin with trace- are traced, the newest"))
		return
	}
	at := func(step room.Step) int64 {
		if trace[step].IsZero() {
			return 0
		}
		return trace[step].UnixMicro()
	}
	writeJSON(w, http.StatusOK, traceReport{
		Node: s.peers.self.ID, Now: time.Now().UnixMicro(),
		Received: at(room.Received), AppendBegan: at(room.AppendBegan), AppendEnded: at(room.AppendEnded),
		Heard: at(room.Heard), Handed: at(room.Handed),
	})
}
