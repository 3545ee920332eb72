// Package metrics gives names and Prometheus's text format to the counts of a node's
// parts. No user and no room is ever a label: a client that may name a room could
// make as many series as it likes.
package metrics

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/conn"
	"example.com/chat/internal/histogram"
	"example.com/chat/internal/relay"
	"example.com/chat/internal/room"
	"example.com/chat/internal/session"
	"example.com/chat/internal/socketio"
)

// maxScrapes bounds the scrapes that are answered at a time, each within
// scrapeTimeout.
const (
	maxScrapes    = 4
	scrapeTimeout = 5 * time.Second
)

// Counts are the counts of a node's parts at one moment.
type Counts struct {
	// Ready is whether the node accepts users, Up whether Redis is reachable and
	// every room has caught up.
	Ready, Up  bool
	Probe      cluster.Probe
	Broker     cluster.BrokerStats
	Room       room.Stats
	WebSocket  conn.Stats
	SocketIO   socketio.Stats
	Handshakes admission.LimiterStats
	Relay      relay.Stats
	Session    session.Stats
	// Refused returns the number of requests that were refused for a reason.
	Refused func(admission.Reason) int64
}

// metric is one number of Counts.
type metric struct {
	kind  prometheus.ValueType
	name  string
	help  string
	label string // its name and value, as "reason=probe"; "" for none
	value func(*Counts) int64
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
	{gauge, "ready", "1 while this node accepts users; the state that /readyz reports.", "", func(c *Counts) int64 { return truth(c.Ready) }},
	{gauge, "redis_up", "1 while Redis is reachable and every room has caught up; the state that the status event reports.", "", func(c *Counts) int64 { return truth(c.Up) }},
	{gauge, "rooms", "Rooms that this node follows.", "", func(c *Counts) int64 { return int64(c.Room.Rooms) }},
	{gauge, "users", "Users with a connection to this node.", "", func(c *Counts) int64 { return int64(c.Room.Users) }},

	{gauge, "connections", "Open connections, on all transports.", "", func(c *Counts) int64 { return int64(c.WebSocket.Open + c.SocketIO.Engine.Open) }},
	{counter, "connections_opened_total", "Connections opened.", "", func(c *Counts) int64 { return int64(c.WebSocket.Opened + c.SocketIO.Engine.Opened) }},
	{counter, "connections_closed_total", "Connections closed.", "", func(c *Counts) int64 {
		return int64(c.WebSocket.Opened - c.WebSocket.Open + c.SocketIO.Engine.Opened - c.SocketIO.Engine.Open)
	}},
	{counter, "connections_closed_slow_total", "Connections closed with 4008 because the client read too slowly.", "", func(c *Counts) int64 { return int64(c.WebSocket.Slow + c.SocketIO.Engine.Slow) }},
	{counter, "connections_closed_abusive_total", "Connections closed with 4009 because the client ignored rate_limited.", "", func(c *Counts) int64 { return c.Session.Abuse }},
	{gauge, "handshakes_in_flight", "Handshakes in flight: from the request to the welcome.", "", func(c *Counts) int64 { return int64(c.Handshakes.InFlight) }},
	{counter, "handshakes_refused_total", "Handshakes refused with 503 because too many were in flight.", "", func(c *Counts) int64 { return int64(c.Handshakes.Refused) }},
	{counter, "handshakes_evicted_total", "Silent handshakes closed to make room for new ones.", "", func(c *Counts) int64 { return int64(c.Handshakes.Evicted) }},
	{counter, "requests_refused_total", refusedHelp, "reason=origin", func(c *Counts) int64 { return c.Refused(admission.ReasonOrigin) }},
	{counter, "requests_refused_total", refusedHelp, "reason=host", func(c *Counts) int64 { return c.Refused(admission.ReasonHost) }},
	{counter, "requests_refused_total", refusedHelp, "reason=upgrade", func(c *Counts) int64 { return c.Refused(admission.ReasonUpgrade) }},
	{counter, "connection_panics_total", "Connections closed by a panic, which is a bug in this program; its log has the stack.", "", func(c *Counts) int64 { return int64(c.WebSocket.Panics + c.SocketIO.Engine.Panics) }},
	{gauge, "socketio_sessions", "Open Socket.IO sessions by their current transport.", "transport=polling", func(c *Counts) int64 { return int64(max(0, c.SocketIO.Engine.Open-c.SocketIO.Engine.WebSockets)) }},
	{gauge, "socketio_sessions", "Open Socket.IO sessions by their current transport.", "transport=websocket", func(c *Counts) int64 { return int64(c.SocketIO.Engine.WebSockets) }},
	{counter, "socketio_protocol_errors_total", "Socket.IO sessions closed because of a protocol error.", "", func(c *Counts) int64 { return int64(c.SocketIO.Broken) }},
	{gauge, "relay_requests_in_flight", "Requests in flight to the nodes that own their Socket.IO sessions.", "", func(c *Counts) int64 { return int64(c.Relay.Open) }},
	{counter, "relay_requests_total", "Requests relayed to the nodes that own their Socket.IO sessions.", "", func(c *Counts) int64 { return c.Relay.Passed }},
	{counter, "relay_requests_failed_total", "Relayed requests that the owning node did not answer.", "", func(c *Counts) int64 { return c.Relay.Failed }},
	{counter, "relay_requests_refused_total", "Requests on the relay route that carried no valid seal of another node.", "", func(c *Counts) int64 { return c.Relay.Refused }},
	{counter, "rate_limited_total", "Commands refused with rate_limited.", "", func(c *Counts) int64 { return c.Session.Limited }},
	{counter, "delivered_events_total", "Events written to the outboxes of members.", "", func(c *Counts) int64 { return c.Room.Frames }},
	{counter, "delivered_bytes_total", "Bytes of the events written to the outboxes of members.", "", func(c *Counts) int64 { return c.Room.Bytes }},

	{counter, "catch_ups_total", "Catch-ups: reads of a room's log that found entries which did not arrive on the live channel.", "", func(c *Counts) int64 { return c.Room.CaughtUp }},
	{counter, "catch_up_entries_total", "Entries that did not arrive on the live channel and were read from a room's log.", "", func(c *Counts) int64 { return c.Room.Missed }},
	{counter, "log_gaps_total", "Gaps in the live channel: entries that arrived before one of their predecessors.", "", func(c *Counts) int64 { return c.Room.LogGaps }},
	{counter, "room_resets_total", "Rooms reset because their log was wiped, rolled back, or trimmed past the head.", "", func(c *Counts) int64 { return c.Room.Resets }},
	{counter, "member_resets_total", "Reset events sent to members.", "", func(c *Counts) int64 { return c.Room.ResetsSent }},
	{counter, "duplicate_sends_total", "Sends acknowledged as duplicates because their key had been accepted before.", "", func(c *Counts) int64 { return c.Room.Duplicates }},
	{counter, "joins_recovered_total", "Joins that recovered every entry after the client's cursor.", "source=memory", func(c *Counts) int64 { return c.Room.FromMemory }},
	{counter, "joins_recovered_total", "Joins that recovered every entry after the client's cursor.", "source=log", func(c *Counts) int64 { return c.Room.FromLog }},
	{counter, "joins_not_recovered_total", "Joins whose cursor could not be recovered from (recovered: false).", "", func(c *Counts) int64 { return c.Room.NotRecovered }},
	{counter, "subscription_reconnects_total", "Subscriptions to Redis that were reopened, by reason: a missing probe or an error.", "reason=probe", func(c *Counts) int64 { return c.Broker.Silent }},
	{counter, "subscription_reconnects_total", "Subscriptions to Redis that were reopened, by reason: a missing probe or an error.", "reason=error", func(c *Counts) int64 { return c.Broker.Remade }},
	{counter, "leases_lost_total", "Leases of this node that expired before they were renewed.", "", func(c *Counts) int64 { return c.Broker.LeasesLost }},
	{counter, "foreign_entries_skipped_total", "Entries skipped while reading a log because chat did not write them; counted at each read.", "", func(c *Counts) int64 { return c.Broker.Skipped }},

	{counter, "append_batches_total", "Append calls to Redis.", "", func(c *Counts) int64 { return c.Broker.Batches }},
	{counter, "append_entries_total", "Entries appended to logs.", "", func(c *Counts) int64 { return c.Broker.Entries }},
	{counter, "append_retries_total", "Append calls that were retried under the same keys because Redis did not answer.", "", func(c *Counts) int64 { return c.Room.Retried }},
	{counter, "sends_unavailable_total", "Sends answered with unavailable.", "", func(c *Counts) int64 { return c.Room.Unavailable }},
}

const refusedHelp = "Requests refused, by reason: an origin that may not connect, a Host that is not a name of this node, or a WebSocket request without an Upgrade header."

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// These have several values, or none at times.
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

// collector reads a node's counts when it is scraped.
type collector struct{ read func() Counts }

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
	counts := c.read()
	n := &counts
	for i, m := range metrics {
		var values []string
		if name, value := m.labelled(); name != "" {
			values = []string{value}
		}
		to <- prometheus.MustNewConstMetric(metricDescs[i], m.kind, float64(m.value(n)), values...)
	}
	for kind, count := range n.Broker.Failed {
		to <- prometheus.MustNewConstMetric(failedDesc, counter, float64(count), kind)
	}
	to <- histogramMetric(appendDesc, n.Broker.Appends)
	to <- histogramMetric(tripDesc, n.Broker.Probes)
	if n.Probe.Heard {
		to <- prometheus.MustNewConstMetric(probeDesc, gauge, n.Probe.Age.Seconds())
	}
}

func histogramMetric(d *prometheus.Desc, s histogram.Snapshot) prometheus.Metric {
	buckets := make(map[float64]uint64, len(s.UpTo))
	for bound, n := range s.UpTo {
		buckets[bound.Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(d, s.Count, s.Sum.Seconds(), buckets)
}

// Names returns the names of the metrics that a node always shows.
func Names() []string {
	names := make([]string, len(metrics))
	for i, m := range metrics {
		names[i] = "chat_" + m.name
	}
	return names
}

// Handler returns the handler of /metrics. It calls read for each scrape.
func Handler(read func() Counts) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{read},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout})
}
