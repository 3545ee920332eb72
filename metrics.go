package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/chat/internal/conn"
	"example.com/chat/internal/door"
	"example.com/chat/internal/ingress"
	"example.com/chat/internal/redisbroker"
	"example.com/chat/internal/relay"
	"example.com/chat/internal/room"
	"example.com/chat/internal/session"
	"example.com/chat/internal/socketio"
	"example.com/chat/internal/tally"
)

// What the parts of a node count, they count by themselves; here it gets names,
// and Prometheus's text format. No user and no room is ever a label: whoever
// may name a room could make as many series as it likes.

// scrapesAtOnce bounds how many are answered at a time, each within
// scrapeWithin.
const (
	scrapesAtOnce = 4
	scrapeWithin  = 5 * time.Second
)

// counted is all that the parts of a node had counted at some moment.
type counted struct {
	ready  bool
	up     bool
	probe  redisbroker.Probe
	broker redisbroker.Stats
	room   room.Stats
	conn   conn.Stats
	door   door.Stats
	io     socketio.Stats
	relay  relay.Stats
	node   session.Stats
	// refused are requests by the reason of their refusal.
	refused func(ingress.Reason) int64
}

// metric is one number of counted.
type metric struct {
	kind  prometheus.ValueType
	name  string
	help  string
	label string // its name and value, as "why=probe"; "" for none
	value func(*counted) int64
}

func (m metric) labelled() (name, value string) {
	name, value, _ = strings.Cut(m.label, "=")
	return name, value
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// metrics are the numbers that a node shows beside those of the Go runtime and
// of its process. They are shown by name, so each help stands for itself.
var metrics = []metric{
	{gauge, "ready", "1 while this node takes users, as /readyz tells.", "", func(c *counted) int64 { return truth(c.ready) }},
	{gauge, "redis_up", "1 while Redis is within reach and every room has caught up, as users are told.", "", func(c *counted) int64 { return truth(c.up) }},
	{gauge, "rooms", "Rooms that this node follows.", "", func(c *counted) int64 { return int64(c.room.Rooms) }},
	{gauge, "users", "Users with a connection to this node.", "", func(c *counted) int64 { return int64(c.room.Users) }},

	{gauge, "connections", "Connections that are open.", "", func(c *counted) int64 { return int64(c.conn.Open + c.io.Engine.Open) }},
	{counter, "connections_opened_total", "Connections opened.", "", func(c *counted) int64 { return int64(c.conn.Opened + c.io.Engine.Opened) }},
	{counter, "connections_closed_total", "Connections that have ended.", "", func(c *counted) int64 {
		return int64(c.conn.Opened - c.conn.Open + c.io.Engine.Opened - c.io.Engine.Open)
	}},
	{counter, "connections_slow_total", "Connections closed (4008) because their client read too slowly.", "", func(c *counted) int64 { return int64(c.conn.Slow + c.io.Engine.Slow) }},
	{counter, "connections_abusive_total", "Connections closed (4009) because their client kept on past rate_limited.", "", func(c *counted) int64 { return c.node.Abuse }},
	{gauge, "arrivals", "Visitors on their way in, who have not been welcomed yet.", "", func(c *counted) int64 { return int64(c.door.UnderWay) }},
	{counter, "arrivals_refused_total", "Visitors told (503) to come again later, because too many were on their way in.", "", func(c *counted) int64 { return int64(c.door.Refused) }},
	{counter, "arrivals_evicted_total", "Visitors that had to go before others because they did not say hello.", "", func(c *counted) int64 { return int64(c.door.Evicted) }},
	{counter, "requests_refused_total", refusedHelp, "reason=origin", func(c *counted) int64 { return c.refused(ingress.ReasonOrigin) }},
	{counter, "requests_refused_total", refusedHelp, "reason=host", func(c *counted) int64 { return c.refused(ingress.ReasonHost) }},
	{counter, "requests_refused_total", refusedHelp, "reason=upgrade", func(c *counted) int64 { return c.refused(ingress.ReasonUpgrade) }},
	{counter, "connection_panics_total", "Connections that ended by a panic: a bug of this program, whose log tells more.", "", func(c *counted) int64 { return int64(c.conn.Panics + c.io.Engine.Panics) }},
	{gauge, "socketio_sessions", "Connections of Socket.IO that are open.", "over=polling", func(c *counted) int64 { return int64(max(0, c.io.Engine.Open-c.io.Engine.WebSockets)) }},
	{gauge, "socketio_sessions", "Connections of Socket.IO that are open.", "over=websocket", func(c *counted) int64 { return int64(c.io.Engine.WebSockets) }},
	{counter, "socketio_broken_total", "Connections of Socket.IO closed because they broke the protocol.", "", func(c *counted) int64 { return int64(c.io.Broken) }},
	{gauge, "passing_on", "Requests that are being passed on to the nodes that hold their sessions.", "", func(c *counted) int64 { return int64(c.relay.Open) }},
	{counter, "passed_on_total", "Requests passed on to the nodes that hold their sessions.", "", func(c *counted) int64 { return c.relay.Passed }},
	{counter, "passed_on_failed_total", "Requests passed on that the other node did not answer.", "", func(c *counted) int64 { return c.relay.Failed }},
	{counter, "passed_on_refused_total", "Requests that came as if passed on by another node, and were not.", "", func(c *counted) int64 { return c.relay.Refused }},
	{counter, "rate_limited_total", "Commands refused because their user was too fast.", "", func(c *counted) int64 { return c.node.Limited }},
	{counter, "delivered_events_total", "Events handed to members' connections.", "", func(c *counted) int64 { return c.room.Frames }},
	{counter, "delivered_bytes_total", "Bytes of the events handed to members' connections.", "", func(c *counted) int64 { return c.room.Bytes }},

	{counter, "caught_up_total", "Readings of a room's log that found entries which had not come live.", "", func(c *counted) int64 { return c.room.CaughtUp }},
	{counter, "missed_entries_total", "Entries that had not come live and were read from a room's log.", "", func(c *counted) int64 { return c.room.Missed }},
	{counter, "holes_total", "Live entries that came although one before them had not.", "", func(c *counted) int64 { return c.room.Holes }},
	{counter, "room_resets_total", "Rooms whose log had become another one: wiped, rolled back, or trimmed past what was followed.", "", func(c *counted) int64 { return c.room.Resets }},
	{counter, "resets_told_total", "Members that were told such a reset.", "", func(c *counted) int64 { return c.room.ResetsTold }},
	{counter, "duplicates_total", "Messages sent again whose key had been accepted before.", "", func(c *counted) int64 { return c.room.Duplicates }},
	{counter, "joins_recovered_total", "Joins that brought all after the client's cursor.", "from=memory", func(c *counted) int64 { return c.room.FromMemory }},
	{counter, "joins_recovered_total", "Joins that brought all after the client's cursor.", "from=log", func(c *counted) int64 { return c.room.FromLog }},
	{counter, "joins_gap_total", "Joins with a cursor that could not be recovered from: the client was told of a gap.", "", func(c *counted) int64 { return c.room.Gaps }},
	{counter, "subscriptions_remade_total", "Subscriptions to Redis that were made anew, because no probe came back or because of an error.", "why=probe", func(c *counted) int64 { return c.broker.Silent }},
	{counter, "subscriptions_remade_total", "Subscriptions to Redis that were made anew, because no probe came back or because of an error.", "why=error", func(c *counted) int64 { return c.broker.Remade }},
	{counter, "leases_lost_total", "Leases of this node that ended before they were renewed.", "", func(c *counted) int64 { return c.broker.LeasesLost }},
	{counter, "skipped_entries_total", "Entries of logs that are not the chat's, at each reading.", "", func(c *counted) int64 { return c.broker.Skipped }},

	{counter, "append_batches_total", "Calls to Redis that put messages into a log.", "", func(c *counted) int64 { return c.broker.Batches }},
	{counter, "append_entries_total", "Messages put into a log.", "", func(c *counted) int64 { return c.broker.Entries }},
	{counter, "append_retries_total", "Calls to Redis that put messages into a log and were tried again, under the same keys, because no answer came.", "", func(c *counted) int64 { return c.room.Retried }},
	{counter, "sends_unavailable_total", "Messages whose senders were told unavailable.", "", func(c *counted) int64 { return c.room.Unavailable }},
}

const refusedHelp = "Requests refused: a page's origin that may not connect, a Host that is not this node's, or a WebSocket whose Upgrade line a proxy did not pass on."

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// The others have more than one number, or none at times.
var (
	failedDesc  = describe("append_failures_total", "Calls to put messages into a log that failed, by what Redis or the network said.", "kind")
	appendDesc  = describe("append_seconds", "What a call that put messages into a log took.")
	tripDesc    = describe("probe_rtt_seconds", "Round trips of the node's own probe through Redis.")
	probeDesc   = describe("probe_age_seconds", "How long ago the node's own probe came back last; absent before the first.")
	metricDescs = describeAll()
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("chat_"+name, help, labels, nil)
}

func describeAll() []*prometheus.Desc {
	list := make([]*prometheus.Desc, len(metrics))
	for i, m := range metrics {
		var labels []string
		if name, _ := m.labelled(); name != "" {
			labels = []string{name}
		}
		list[i] = describe(m.name, m.help, labels...)
	}
	return list
}

// collector reads a node's counts when they are asked for.
type collector struct{ s *server }

// Describe names the metrics (prometheus.Collector).
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range metricDescs {
		to <- d
	}
	for _, d := range []*prometheus.Desc{failedDesc, appendDesc, tripDesc, probeDesc} {
		to <- d
	}
}

// Collect reads them (prometheus.Collector).
func (c collector) Collect(to chan<- prometheus.Metric) {
	n := &counted{
		ready: c.s.ready() == nil, up: c.s.hub.Up(), probe: c.s.broker.Probe(),
		broker: c.s.broker.Stats(), room: c.s.hub.Stats(), conn: c.s.sockets.Stats(), door: c.s.door.Stats(), node: c.s.node.Stats(),
		io: c.s.io.Stats(), relay: c.s.relay.Stats(), refused: c.s.ingress.Count,
	}
	for i, m := range metrics {
		var values []string
		if name, value := m.labelled(); name != "" {
			values = []string{value}
		}
		to <- prometheus.MustNewConstMetric(metricDescs[i], m.kind, float64(m.value(n)), values...)
	}
	for kind, count := range n.broker.Failed {
		to <- prometheus.MustNewConstMetric(failedDesc, counter, float64(count), kind)
	}
	to <- histogram(appendDesc, n.broker.Appends)
	to <- histogram(tripDesc, n.broker.Probes)
	if n.probe.Heard {
		to <- prometheus.MustNewConstMetric(probeDesc, gauge, n.probe.Age.Seconds())
	}
}

func histogram(d *prometheus.Desc, s tally.Snapshot) prometheus.Metric {
	buckets := make(map[float64]uint64, len(s.UpTo))
	for bound, n := range s.UpTo {
		buckets[bound.Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(d, s.Count, s.Sum.Seconds(), buckets)
}

// metricsHandler answers with all that a node counts.
func (s *server) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{s},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeWithin})
}
