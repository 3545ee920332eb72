package cli_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"example.com/chat/internal/chattest/nodetest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cli"
	"example.com/chat/internal/load"
)

// TestBenchMeasuresAScenario runs one, for people and as JSON, and the check as JSON.
func TestBenchMeasuresAScenario(t *testing.T) {
	t.Parallel()
	url := nodetest.Start(t, redistest.Embedded(t).URL(), "--rate=0").URL
	bench := func(args ...string) (stdout, stderr string) {
		var out, errs bytes.Buffer
		// A busy machine may not keep up, which is a result as well.
		if err := cli.Bench(t.Context(), append(args, "--url="+url), &out, &errs); err != nil && !strings.Contains(err.Error(), "did not keep up") {
			t.Errorf("%q: %v", args, err)
		}
		return out.String(), errs.String()
	}
	stdout, stderr := bench("--scenario=rooms", "--clients=4", "--rooms=2", "--rate=10", "--for=1s")
	for _, want := range []string{"connected     4 clients in 2 rooms in ", "sent          10 messages, 10.0 a second; ", "heard         ", "delivering    p50 ", "node  "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "4 clients in 2 rooms connect") || !strings.Contains(stderr, "deleting its ") {
		t.Errorf("standard error:\n%s", stderr)
	}
	stdout, _ = bench("--scenario=idle", "--clients=4", "--rooms=2", "--for=1s", "--json")
	var m load.Measurement
	if err := json.Unmarshal([]byte(stdout), &m); err != nil || m.Scenario != load.ScenarioIdle || m.Logins.Count != 4 || len(m.Steps) != 2 {
		t.Errorf("%s: %v", stdout, err)
	}
	stdout, _ = bench("--clients=4", "--rooms=2", "--rate=10", "--for=3s", "--json")
	var c struct {
		Verdict            string
		Sent, Acknowledged int
	}
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || strings.Count(stdout, "\n") != 1 || c.Verdict != "kept" || c.Acknowledged == 0 {
		t.Errorf("%s: %v", stdout, err)
	}
}
