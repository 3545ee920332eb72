package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/conn"
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
	slots  admission.LimiterStats
	io     socketio.Stats
	relay  relay.Stats
	node   session.Stats
	// refused are requests by the reason of their refusal.
	refused func(admission.Reason) int64
}

// metric is one number of counted.
type metric struct {
	kind  prometheus.ValueType
	name  string
	help  string
	label string // its name and value, as "reason=probe"; "" for none
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
	{gauge, "ready", "1 while this node accepts users; the state that /readyz reports.", "", func(c *counted) int64 { return truth(c.ready) }},
	{gauge, "redis_up", "1 while Redis is reachable and every room has caught up; the state that the status event reports.", "", func(c *counted) int64 { return truth(c.up) }},
	{gauge, "rooms", "Rooms that this node follows.", "", func(c *counted) int64 { return int64(c.room.Rooms) }},
	{gauge, "users", "Users with a connection to this node.", "", func(c *counted) int64 { return int64(c.room.Users) }},

	{gauge, "connections", "Open connections, on all transports.", "", func(c *counted) int64 { return int64(c.conn.Open + c.io.Engine.Open) }},
	{counter, "connections_opened_total", "Connections opened.", "", func(c *counted) int64 { return int64(c.conn.Opened + c.io.Engine.Opened) }},
	{counter, "connections_closed_total", "Connections closed.", "", func(c *counted) int64 {
		return int64(c.conn.Opened - c.conn.Open + c.io.Engine.Opened - c.io.Engine.Open)
	}},
	{counter, "connections_closed_slow_total", "Connections closed with 4008 because the client read too slowly.", "", func(c *counted) int64 { return int64(c.conn.Slow + c.io.Engine.Slow) }},
	{counter, "connections_closed_abusive_total", "Connections closed with 4009 because the client ignored rate_limited.", "", func(c *counted) int64 { return c.node.Abuse }},
	{gauge, "handshakes_in_flight", "Handshakes in flight: from the request to the welcome.", "", func(c *counted) int64 { return int64(c.slots.InFlight) }},
	{counter, "handshakes_refused_total", "Handshakes refused with 503 because too many were in flight.", "", func(c *counted) int64 { return int64(c.slots.Refused) }},
	{counter, "handshakes_evicted_total", "Silent handshakes closed to make room for new ones.", "", func(c *counted) int64 { return int64(c.slots.Evicted) }},
	{counter, "requests_refused_total", refusedHelp, "reason=origin", func(c *counted) int64 { return c.refused(admission.ReasonOrigin) }},
	{counter, "requests_refused_total", refusedHelp, "reason=host", func(c *counted) int64 { return c.refused(admission.ReasonHost) }},
	{counter, "requests_refused_total", refusedHelp, "reason=upgrade", func(c *counted) int64 { return c.refused(admission.ReasonUpgrade) }},
	{counter, "connection_panics_total", "Connections closed by a panic, which is a bug in this program; its log has the stack.", "", func(c *counted) int64 { return int64(c.conn.Panics + c.io.Engine.Panics) }},
	{gauge, "socketio_sessions", "Open Socket.IO sessions by their current transport.", "transport=polling", func(c *counted) int64 { return int64(max(0, c.io.Engine.Open-c.io.Engine.WebSockets)) }},
	{gauge, "socketio_sessions", "Open Socket.IO sessions by their current transport.", "transport=websocket", func(c *counted) int64 { return int64(c.io.Engine.WebSockets) }},
	{counter, "socketio_protocol_errors_total", "Socket.IO sessions closed because of a protocol error.", "", func(c *counted) int64 { return int64(c.io.Broken) }},
	{gauge, "relay_requests_in_flight", "Requests in flight to the nodes that own their Socket.IO sessions.", "", func(c *counted) int64 { return int64(c.relay.Open) }},
	{counter, "relay_requests_total", "Requests relayed to the nodes that own their Socket.IO sessions.", "", func(c *counted) int64 { return c.relay.Passed }},
	{counter, "relay_requests_failed_total", "Relayed requests that the owning node did not answer.", "", func(c *counted) int64 { return c.relay.Failed }},
	{counter, "relay_requests_refused_total", "Requests on the relay route that carried no valid seal of another node.", "", func(c *counted) int64 { return c.relay.Refused }},
	{counter, "rate_limited_total", "Commands refused with rate_limited.", "", func(c *counted) int64 { return c.node.Limited }},
	{counter, "delivered_events_total", "Events written to the outboxes of members.", "", func(c *counted) int64 { return c.room.Frames }},
	{counter, "delivered_bytes_total", "Bytes of the events written to the outboxes of members.", "", func(c *counted) int64 { return c.room.Bytes }},

	{counter, "catch_ups_total", "Catch-ups: reads of a room's log that found entries which did not arrive on the live channel.", "", func(c *counted) int64 { return c.room.CaughtUp }},
	{counter, "catch_up_entries_total", "Entries that did not arrive on the live channel and were read from a room's log.", "", func(c *counted) int64 { return c.room.Missed }},
	{counter, "log_gaps_total", "Gaps in the live channel: entries that arrived before one of their predecessors.", "", func(c *counted) int64 { return c.room.Holes }},
	{counter, "room_resets_total", "Rooms reset because their log was wiped, rolled back, or trimmed past the head.", "", func(c *counted) int64 { return c.room.Resets }},
	{counter, "member_resets_total", "Reset events sent to members.", "", func(c *counted) int64 { return c.room.ResetsTold }},
	{counter, "duplicate_sends_total", "Sends acknowledged as duplicates because their key had been accepted before.", "", func(c *counted) int64 { return c.room.Duplicates }},
	{counter, "joins_recovered_total", "Joins that recovered every entry after the client's cursor.", "source=memory", func(c *counted) int64 { return c.room.FromMemory }},
	{counter, "joins_recovered_total", "Joins that recovered every entry after the client's cursor.", "source=log", func(c *counted) int64 { return c.room.FromLog }},
	{counter, "joins_not_recovered_total", "Joins whose cursor could not be recovered from (recovered: false).", "", func(c *counted) int64 { return c.room.Gaps }},
	{counter, "subscription_reconnects_total", "Subscriptions to Redis that were reopened, by reason: a missing probe or an error.", "reason=probe", func(c *counted) int64 { return c.broker.Silent }},
	{counter, "subscription_reconnects_total", "Subscriptions to Redis that were reopened, by reason: a missing probe or an error.", "reason=error", func(c *counted) int64 { return c.broker.Remade }},
	{counter, "leases_lost_total", "Leases of this node that expired before they were renewed.", "", func(c *counted) int64 { return c.broker.LeasesLost }},
	{counter, "foreign_entries_skipped_total", "Entries skipped while reading a log because chat did not write them; counted at each read.", "", func(c *counted) int64 { return c.broker.Skipped }},

	{counter, "append_batches_total", "Append calls to Redis.", "", func(c *counted) int64 { return c.broker.Batches }},
	{counter, "append_entries_total", "Entries appended to logs.", "", func(c *counted) int64 { return c.broker.Entries }},
	{counter, "append_retries_total", "Append calls that were retried under the same keys because Redis did not answer.", "", func(c *counted) int64 { return c.room.Retried }},
	{counter, "sends_unavailable_total", "Sends answered with unavailable.", "", func(c *counted) int64 { return c.room.Unavailable }},
}

const refusedHelp = "Requests refused, by reason: an origin that may not connect, a Host that is not a name of this node, or a WebSocket request without an Upgrade header."

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// The others have more than one number, or none at times.
var (
	failedDesc  = describe("append_failures_total", "Append calls that failed, by kind of error.", "kind")
	appendDesc  = describe("append_duration_seconds", "Duration of append calls to Redis.")
	tripDesc    = describe("probe_rtt_seconds", "Round-trip times of the node's probe through Redis.")
	probeDesc   = describe("probe_age_seconds", "Time since the node last received its own probe; absent before the first.")
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
		broker: c.s.broker.Stats(), room: c.s.hub.Stats(), conn: c.s.sockets.Stats(), slots: c.s.limiter.Stats(), node: c.s.node.Stats(),
		io: c.s.io.Stats(), relay: c.s.relay.Stats(), refused: c.s.policy.Count,
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
