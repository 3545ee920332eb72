package node

import (
	"math"
	"sync"
	"time"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/httpapi"
	"example.com/chat/internal/protocol"
)

// meter computes the rate of a growing number: its mean over the last heartbeats.
type meter struct {
	mu     sync.Mutex // guards the fields below
	points []point    // the oldest first
}

// point is the number at a time.
type point struct {
	at time.Time
	n  int64
}

const (
	// meterBeats is the number of heartbeats of the mean.
	meterBeats = 5
	// meterApart is the least time between two of its points: immediate heartbeats
	// would make the time too short for a rate.
	meterApart = 500 * time.Millisecond
)

// note adds the number at a heartbeat.
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

// rate returns the mean a second up to now, with one decimal.
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

// heartbeatStatus returns the node's status for a heartbeat, and logs new warnings.
func (n *Node) heartbeatStatus() cluster.Status {
	n.rate.note(time.Now(), n.broker.Entries())
	n.warner.log(n.log, n.clusterWarnings(), n.members.self)
	return n.currentStatus()
}

// currentStatus returns the node's status now.
func (n *Node) currentStatus() cluster.Status {
	users, rooms := n.hub.Size()
	v := cluster.Status{
		State: cluster.StateReady, Users: users, Connections: n.connections(), Rooms: rooms,
		Rate: n.rate.rate(time.Now(), n.broker.Entries()),
	}
	if n.stopping.Load() || n.draining.Load() {
		v.State = cluster.StateDraining
	} else if n.Ready() != nil {
		v.State = cluster.StateAway
	}
	if p := n.broker.Probe(); p.Heard {
		age, rtt := p.Age.Milliseconds(), httpapi.Milliseconds(p.RTT)
		v.Age, v.RTT = &age, &rtt
	}
	return v
}

// Probe returns the state of the node's own probe through Redis (httpapi.Node).
func (n *Node) Probe() cluster.Probe { return n.broker.Probe() }

// Reports returns the status of the live nodes, this one first: its own now, the
// others' of their last heartbeat (httpapi.Node).
func (n *Node) Reports(origin string) []httpapi.NodeReport {
	others := n.broker.Statuses()
	list := n.members.list(origin)
	reports := make([]httpapi.NodeReport, len(list))
	for i, of := range list {
		reports[i] = n.report(of, others)
	}
	return reports
}

func (n *Node) report(of protocol.Node, others map[string]cluster.Seen) httpapi.NodeReport {
	report := httpapi.NodeReport{ID: of.ID, URL: of.URL}
	var ago int64
	if of.ID == n.cfg.ID {
		own := n.currentStatus()
		report.Status = &own
	} else if seen, ok := others[of.ID]; ok {
		report.Status, ago = &seen.Status, seen.Ago.Milliseconds()
	} else {
		return report
	}
	report.Seen = &ago
	return report
}
