package load_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/nodetest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/client"
	"example.com/chat/internal/load"
	"example.com/chat/internal/protocol"
)

// TestEachScenarioMeasuresTheNodes runs each scenario in small on two nodes, and leaves
// nothing in the rooms.
func TestEachScenarioMeasuresTheNodes(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	url := nodetest.Start(t, b.URL(), "--rate=0").URL
	nodetest.Start(t, b.URL(), "--rate=0")
	chattest.Eventually(t, "two nodes", func() bool {
		c, err := client.Dial(t.Context(), client.Options{URL: url})
		if err != nil {
			return false
		}
		defer c.Close()
		return len(c.Welcome().Nodes) == 2
	})
	for _, m := range []load.Measure{
		{Scenario: load.ScenarioFanout, Clients: 6, Rooms: 1, Rate: 20, For: time.Second},
		{Scenario: load.ScenarioRooms, Clients: 6, Rooms: 3, Rate: 20, For: time.Second},
		{Scenario: load.ScenarioIdle, Clients: 6, Rooms: 3, Rate: 1, For: time.Second / 2},
		{Scenario: load.ScenarioStorm, Clients: 6, Rooms: 3, Rate: 1, For: time.Second},
	} {
		m.URL, m.Drain = url, chattest.Patience
		found, started := 0, 0
		m.Started = func(protocol.WelcomeEvent) { started++ }
		m.Found = func(r *load.Measurement) { found = r.Left }
		r, err := m.Run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", m.Scenario, err)
		}
		last := &r.Steps[len(r.Steps)-1]
		if started != 1 || r.Logins.Count != 6 || len(last.Nodes) != 2 || last.Lost+last.Doubled+last.Refused > 0 || r.Left > 0 {
			t.Errorf("%s: %+v", m.Scenario, r)
		}
		if load.CountsUse() && (last.Own.PID != os.Getpid() || last.Own.Resident == 0 || last.Nodes[0].PID != os.Getpid() || r.Steps[0].Nodes[1].CPU <= 0) {
			t.Errorf("%s: use of processes: %+v", m.Scenario, last)
		}
		if sends := m.Scenario == load.ScenarioFanout || m.Scenario == load.ScenarioRooms; sends {
			if last.Sent != 20 || found != last.Acknowledged || last.Delivered+last.Missing != 20*6/m.Rooms || last.Delivering.Count != last.Delivered {
				t.Errorf("%s: %d were found, %+v", m.Scenario, found, last)
			}
		}
		if text, err := json.Marshal(r); err != nil || !strings.Contains(string(text), `"scenario":"`+m.Scenario+`"`) {
			t.Errorf("%s as JSON: %s, %v", m.Scenario, text, err)
		}
	}
}

// TestTheSearchStopsAtTheLimitOfUsers has nodes that take two messages a second of each
// of four users.
func TestTheSearchStopsAtTheLimitOfUsers(t *testing.T) {
	t.Parallel()
	url := nodetest.Start(t, redistest.Embedded(t).URL(), "--rate=2").URL
	r, err := load.Measure{Scenario: load.ScenarioMax, URL: url, Clients: 4, Rooms: 2, Rate: 5, For: time.Second}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// On a machine that is busy the nodes may not keep up with 8 a second either.
	if r.MaxRate > 8 || r.MaxRate == 8 && !strings.Contains(r.Limit, "no more than 8") || r.Limit == "" || len(r.Steps) < 2 {
		t.Errorf("%+v", r)
	}
}

// TestAnInterruptedMeasureHasAResult ends one that would idle for an hour.
func TestAnInterruptedMeasureHasAResult(t *testing.T) {
	t.Parallel()
	url := nodetest.Start(t, redistest.Embedded(t).URL()).URL
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m := load.Measure{Scenario: load.ScenarioRooms, URL: url, Clients: 2, Rooms: 1, Rate: 10, For: time.Hour}
	m.Started = func(protocol.WelcomeEvent) { time.AfterFunc(2*time.Second, cancel) }
	r, err := m.Run(ctx)
	if err != nil {
		// It was interrupted before its clients were in, on a machine that is busy.
		if ctx.Err() == nil {
			t.Fatal(err)
		}
		return
	}
	if !r.Interrupted || len(r.Steps) != 2 || r.Left > r.Steps[1].Acknowledged {
		t.Errorf("%+v", r)
	}
}
