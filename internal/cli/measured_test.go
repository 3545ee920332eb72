package cli

import (
	"strings"
	"testing"

	"example.com/chat/internal/load"
)

// TestAMeasurementIsPrintedWithItsBottleneck checks what is printed, and how it ends.
func TestAMeasurementIsPrintedWithItsBottleneck(t *testing.T) {
	t.Parallel()
	logins := load.Step{Name: "logins", Seconds: 1, Nodes: []load.NodeUse{{URL: "http://a:1", PID: 7, CPU: 0.5, Resident: 20 << 20, Grown: 4 << 20}, {URL: "http://b:1"}}}
	good := load.Step{Name: "messages", Rate: 10, Sent: 10, Acknowledged: 10, Delivered: 100, Seconds: 1, Delivering: load.Spread{Count: 100, P50: 1, P99: 2, Max: 3},
		Nodes: logins.Nodes}
	bad := good
	bad.Rate, bad.Missing, bad.Bottleneck = 20, 7, "the generator was the bottleneck: so"
	for _, c := range []struct {
		name   string
		result load.Measurement
		prints []string
		ends   string // "" for a success
	}{
		{"a storm", load.Measurement{Scenario: load.ScenarioStorm, Clients: 100, Rooms: 2, LoginsRefused: 3, Steps: []load.Step{logins}},
			[]string{"100 clients in 2 rooms in 1s; 3 handshakes", "http://a:1  50.0 % of a core, 20.0 MiB (+4.0); 5000.0 µs a client\n", "http://b:1 is not a process that can be measured here\n"}, ""},
		{"messages", load.Measurement{Scenario: load.ScenarioRooms, Steps: []load.Step{logins, good}},
			[]string{"10 messages, 10.0 a second; 10 acknowledged, 0 refused\n", "100 copies, 100.0 a second; 0 missing", "delivering    p50 1ms, p99 2ms, longest 3ms\n", "; 5000.0 µs a copy\n"}, ""},
		{"too many messages", load.Measurement{Scenario: load.ScenarioFanout, Steps: []load.Step{logins, bad}},
			[]string{"7 missing", "note          the generator was the bottleneck: so; the nodes may do better\n"}, "the nodes did not keep up: 7 of 107 copies"},
		{"a search", load.Measurement{Scenario: load.ScenarioMax, MaxRate: 10, Limit: "why", Steps: []load.Step{logins, good, bad}},
			[]string{"10 a second: kept up; delivering p50 1ms", "20 a second: did not keep up;", "most          10 messages a second; why\nsent          10 messages"}, ""},
		{"a search for nothing", load.Measurement{Scenario: load.ScenarioMax, Limit: "why", Steps: []load.Step{logins, bad}},
			[]string{"most          0 messages a second; why\n"}, "no rate was found that the nodes keep up with: why"},
	} {
		var w strings.Builder
		printMeasurement(&w, &c.result)
		for _, want := range c.prints {
			if !strings.Contains(w.String(), want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, w.String())
			}
		}
		if err := judgeMeasurement(&c.result); (err == nil) != (c.ends == "") || err != nil && !strings.HasPrefix(err.Error(), c.ends) {
			t.Errorf("%s ends with %v", c.name, err)
		}
	}
}
