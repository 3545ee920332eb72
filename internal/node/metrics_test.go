package node_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/metrics"
)

// scrape reads the metrics at an address as Prometheus does.
func scrape(t *testing.T, url string) (map[string]*dto.MetricFamily, string) {
	t.Helper()
	res, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("/metrics: %d %s %v", res.StatusCode, res.Header.Get("Content-Type"), err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatalf("/metrics is not in the text format: %v\n%s", err, text)
	}
	return families, string(text)
}

// values returns the scraped numbers by name{label="value"}; for a histogram, its count.
func values(families map[string]*dto.MetricFamily) map[string]float64 {
	all := make(map[string]float64)
	for name, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.Counter != nil:
				all[key] = m.Counter.GetValue()
			case m.Gauge != nil:
				all[key] = m.Gauge.GetValue()
			case m.Histogram != nil:
				all[key] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return all
}

// shows polls until metrics have at least these values.
func shows(t *testing.T, n *testNode, want map[string]float64) {
	t.Helper()
	var got map[string]float64
	defer func() {
		if t.Failed() {
			for name, v := range got {
				if strings.HasPrefix(name, "chat_") {
					t.Logf("%s %v", name, v)
				}
			}
		}
	}()
	chattest.Eventually(t, fmt.Sprintf("metrics %v", want), func() bool {
		families, _ := scrape(t, n.url)
		got = values(families)
		for name, v := range want {
			if have, ok := got[name]; !ok || have < v {
				return false
			}
		}
		return true
	})
}

func TestMetricsShowWhatANodeDoes(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=5", "--burst=5")
	families, _ := scrape(t, n.url)
	for _, m := range metrics.Names() {
		f := families[m]
		if f == nil {
			t.Errorf("%s is missing at the start", m)
			continue
		}
		if f.GetHelp() == "" || strings.HasSuffix(m, "_total") != (f.GetType() == dto.MetricType_COUNTER) {
			t.Errorf("%s is a %s: %s", m, f.GetType(), f.GetHelp())
		}
		if v := f.Metric[0]; v.Counter != nil && v.Counter.GetValue() != 0 {
			t.Errorf("%s is %v before anything has happened", m, v.Counter.GetValue())
		}
	}
	for _, name := range []string{"go_goroutines", "process_open_fds", "go_build_info", "chat_append_failures_total", "chat_probe_age_seconds"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}

	const room, name = "room-secret-plans", "Anastasia"
	ann := chattest.Enter(t, n.url, name, room)
	bob := chattest.Enter(t, n.url, "Bob", room)
	first := ann.Say(room, "one", "k1")
	ann.Say(room, "one", "k1")
	bob.Message("one")
	again := chattest.Dial(t, n.url)
	again.Hello("token", bob.Token)
	if f := again.Join(room, "after", first.ID); !f.Recovered {
		t.Fatalf("not recovered: %s", f.Raw)
	}
	again.Join(room, "after", "77-1")
	for i := 0; ; i++ {
		bob.Send("send", "room", room, "text", "fast", "key", fmt.Sprint("f", i))
		if f := bob.Next("sent", "error"); f.Type == "error" {
			break
		}
	}
	gone := chattest.Dial(t, n.url)
	gone.Hello()
	_ = gone.Conn.Close()
	shows(t, n, map[string]float64{
		"chat_ready": 1, "chat_redis_up": 1, "chat_rooms": 1, "chat_users": 2, "chat_connections": 3,
		"chat_connections_opened_total": 4, "chat_connections_closed_total": 1, "chat_rate_limited_total": 1,
		"chat_delivered_events_total": 2, "chat_delivered_bytes_total": 100,
		"chat_duplicate_sends_total": 1, "chat_joins_recovered_total{source=memory}": 1, "chat_joins_not_recovered_total": 1,
		"chat_append_batches_total": 2, "chat_append_entries_total": 2, "chat_append_duration_seconds": 2, "chat_probe_rtt_seconds": 1,
	})
	_, text := scrape(t, n.url)
	for _, secret := range []string{room, name, "Bob", ann.Me.ID, n.ID() + "~"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the metrics", secret)
		}
	}
	res, err := http.Post(n.url+"/metrics", "text/plain", nil)
	must(t, err)
	_ = res.Body.Close()
	if res.StatusCode != 405 {
		t.Errorf("POST: %d", res.StatusCode)
	}
}

func TestMetricsShowRecoveries(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n, other := startNode(t, server.URL), startNode(t, server.URL)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1})
	defer rdb.Close()
	ann, bob := chattest.Enter(t, n.url, "Ann", "lobby"), chattest.Enter(t, other.url, "Bob", "lobby")
	ann.Say("lobby", "one", "1")
	bob.Message("one")

	// Messages that are sent while a subscription is down must be read from the log.
	must(t, rdb.Do(t.Context(), "ACL", "SETUSER", "default", "-subscribe").Err())
	must(t, rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err())
	chattest.Eventually(t, "the subscription to be down", func() bool { status, _ := readyz(t, n); return status == 503 })
	ann.Say("lobby", "two", "2")
	shows(t, n, map[string]float64{"chat_catch_ups_total": 1, "chat_catch_up_entries_total": 1, "chat_subscription_reconnects_total{reason=error}": 1})
	must(t, rdb.Do(t.Context(), "ACL", "SETUSER", "default", "+subscribe").Err())
	bob.Message("two")
	becomesReady(t, n)

	must(t, rdb.ConfigSet(t.Context(), "maxmemory", "1").Err())
	bob.Send("send", "room", "lobby", "text", "three", "key", "3")
	bob.Error("unavailable")
	shows(t, other, map[string]float64{"chat_append_failures_total{kind=oom}": 1, "chat_sends_unavailable_total": 1})
	becomesUnready(t, n, "OOM")
	families, _ := scrape(t, n.url)
	if v := values(families); v["chat_ready"] != 0 {
		t.Errorf("ready is %v while /readyz is 503", v["chat_ready"])
	}
	must(t, rdb.ConfigSet(t.Context(), "maxmemory", "0").Err())
	becomesReady(t, n)

	must(t, rdb.FlushAll(t.Context()).Err())
	for ann.Next("reset").Room != "lobby" {
	}
	shows(t, n, map[string]float64{"chat_room_resets_total": 1, "chat_member_resets_total": 1, "chat_leases_lost_total": 1})
}

func TestTheDebugListener(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	port := chattest.FreePorts(t, 1)[0]
	n := startNode(t, b.URL(), fmt.Sprintf("--debug-addr=127.0.0.1:%d", port))
	debug := fmt.Sprintf("http://127.0.0.1:%d", port)
	here, _ := scrape(t, n.url)
	there, _ := scrape(t, debug)
	for name := range maps.Keys(here) {
		if there[name] == nil {
			t.Errorf("the debug listener lacks %s", name)
		}
	}
	for path, want := range map[string]int{"/debug/pprof/": 200, "/debug/pprof/goroutine?debug=1": 200, "/debug/pprof/cmdline": 403, "/ws": 404, "/api/rooms": 404, "/api/nodes": 200, "/cluster": 200, "/assets/style.css": 200, "/r/lobby": 404} {
		res, err := http.Get(debug + path)
		must(t, err)
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s on the debug listener: %d, want %d", path, res.StatusCode, want)
		}
		if strings.HasPrefix(path, "/debug/") {
			res, err := http.Get(n.url + path)
			must(t, err)
			_ = res.Body.Close()
			if res.StatusCode != 404 {
				t.Errorf("%s on the node's own address: %d", path, res.StatusCode)
			}
		}
	}
	n.Close(0)
	if _, err := http.Get(debug + "/metrics"); err == nil {
		t.Error("the debug listener is open after its node ended")
	}
}

// TestThePageForOperatorsListsTheMetrics compares the table of docs/operations.md with
// what a node serves, in both directions: names, labels, types and meanings.
func TestThePageForOperatorsListsTheMetrics(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `(chat_[a-z_]+)(\\{[a-z]+\\})?` \\| ([a-z]+) \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = m[2] + " " + m[3] + " " + m[4]
	}
	families, _ := scrape(t, startNode(t, redistest.Embedded(t).URL()).url)
	served := make(map[string]string)
	for name, f := range families {
		if !strings.HasPrefix(name, "chat_") {
			continue
		}
		label := ""
		for _, l := range f.Metric[0].Label {
			label = "{" + l.GetName() + "}"
		}
		served[name] = label + " " + strings.ToLower(f.GetType().String()) + " " + f.GetHelp()
	}
	for name, want := range served {
		if got := documented[name]; got != want {
			t.Errorf("docs/operations.md has %s as %q, the node as %q", name, got, want)
		}
	}
	for name := range documented {
		if served[name] == "" {
			t.Errorf("docs/operations.md has %s, which no node serves", name)
		}
	}
}
