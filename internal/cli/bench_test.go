package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"example.com/chat/internal/check"
	"example.com/chat/internal/load"
)

func TestBenchRefusesWhatCantBe(t *testing.T) {
	t.Setenv("CHAT_NAME", "which bench does not know")
	for args, want := range map[string]string{
		"lobby":                            `takes no "lobby"`,
		"--clients=0":                      "--clients 0 is outside",
		"--clients=9999":                   "--clients 9999 is outside",
		"--rooms=31":                       "--rooms 31 is outside 1 to 30",
		"--rate=0":                         "--rate 0 is not above 0",
		"--rate=NaN":                       "--rate NaN is not above 0",
		"--rate=1501":                      "give more --clients",
		"--for=1ms":                        "--for 1ms is outside",
		"--for=25h":                        "--for 25h0m0s is outside",
		"--churn=-1s":                      "--churn -1s is below",
		"--url=ftp://x":                    "--url",
		"--name=Ann":                       "unknown flag",
		"--for=1h --rate=100":              "have to remember 4680000 events",
		"--scenario=x":                     `no --scenario "x"`,
		"--scenario=":                      "--scenario is given as empty",
		"--scenario=fanout --rooms=2":      "takes no --rooms",
		"--scenario=storm --for=2s":        "takes no --for",
		"--scenario=idle --rate=2":         "takes no --rate",
		"--scenario=rooms --churn=2s":      "takes no --churn",
		"--scenario=rooms --out=/tmp/x":    "takes no --out",
		"--scenario=rooms --clients=20001": "--clients 20001 is outside 1 to 20000",
		"--scenario=rooms --clients=2 --rate=101":    "give more --clients",
		"--scenario=rooms --clients=2 --rooms=3":     "--rooms 3 is outside 1 to 2",
		"--scenario=max --for=25h --rate=1 --json=x": "invalid argument",
	} {
		var stdout, stderr bytes.Buffer
		err := Bench(t.Context(), strings.Fields(args), &stdout, &stderr)
		var bad *UsageError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || stdout.Len()+stderr.Len() > 0 {
			t.Errorf("chat bench %s: %v, printed %q", args, err, stdout.String()+stderr.String())
		}
	}
}

func TestBenchTellsWhatItsResultComesTo(t *testing.T) {
	t.Parallel()
	kept := check.Report{Sent: 9, Acknowledged: 9}
	for _, c := range []struct {
		name   string
		result load.Result
		prints []string
		ends   string // "" for a success
	}{
		{"a success", load.Result{Report: &kept, Clients: 3}, []string{"every promise was kept: nothing lost"}, ""},
		{"nothing was taken", load.Result{Report: &check.Report{Sent: 120, Unknown: 120}, Talked: 3 * time.Second},
			[]string{"120 messages in 3s\n", "0, 0.0 a second; 120 left", "none: nothing was acknowledged"}, "no message was acknowledged"},
		{"a full cluster", load.Result{Report: &kept, Clients: 30, Outside: 25, WhyOutside: errors.New("the node is full")},
			[]string{"25 of 30 clients were never let in: the node is full\n", "for those who were let in"},
			"25 of 30 clients were never let in: the node is full"},
		{"a Redis that lost", load.Result{Verdict: check.RedisLost, Outside: 1, Clients: 2, Report: &check.Report{
			Sent: 9, Acknowledged: 9, Found: map[check.Rule]int{check.RuleLost: 4, check.RuleEnd: 2}, Violations: []check.Violation{{Rule: check.RuleLost}},
		}}, []string{"Redis lost what it had acknowledged (4 messages), and everybody in the rooms was told\n", "What is not promised"},
			"acknowledged messages were lost, by Redis and not by the chat: "},
		{"a Redis that lost what was not acknowledged", load.Result{Verdict: check.RedisLost, Clients: 2, Report: &check.Report{
			Sent: 9, Acknowledged: 9, Found: map[check.Rule]int{check.RuleDiffers: 2}, Violations: []check.Violation{{Rule: check.RuleDiffers}},
		}}, []string{"Redis lost the end of a log, but no message that it had acknowledged, and everybody in the rooms was told\n", "What is not promised"},
			"the end of a log was lost, by Redis and not by the chat: "},
		{"a Redis that lost what was sent again", load.Result{Verdict: check.RedisLost, Clients: 2, Report: &check.Report{
			Sent: 9, Acknowledged: 9, Found: map[check.Rule]int{check.RuleID: 2}, Violations: []check.Violation{{Rule: check.RuleID}},
		}}, []string{"was sent again and has other ids, and everybody in the rooms was told\n"}, "the end of a log was lost, by Redis"},
		{"a broken promise", load.Result{Verdict: check.Broken, Outside: 1, Clients: 2, Report: &check.Report{
			Sent: 9, Acknowledged: 9, Found: map[check.Rule]int{check.RuleLost: 4}, Violations: []check.Violation{{Rule: check.RuleLost, Room: "r", Text: "gone"}},
		}}, []string{"BROKEN PROMISES\n  lost: room \"r\": gone\n  and 3 more\n"}, "promises were broken, 4 times"},
	} {
		var w strings.Builder
		printResult(&w, &c.result)
		for _, want := range c.prints {
			if !strings.Contains(w.String(), want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, w.String())
			}
		}
		if got := strings.Contains(w.String(), "every promise was kept"); got != (c.ends == "") {
			t.Errorf("%s prints\n%s", c.name, w.String())
		}
		if got := strings.Contains(w.String(), "lost: "); got != (c.result.Verdict == check.Broken) {
			t.Errorf("%s prints\n%s", c.name, w.String())
		}
		if err := judge(&c.result); (err == nil) != (c.ends == "") || err != nil && !strings.HasPrefix(err.Error(), c.ends) {
			t.Errorf("%s ends with %v", c.name, err)
		}
	}
}

func TestBenchHelpTellsItsDefaults(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := Bench(t.Context(), []string{"--help"}, &stdout, &stderr); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v %q", err, stderr.String())
	}
	for _, want := range []string{"--clients int", "(default 30)", "--rooms", "--rate", "--for", "--churn", "--out FILE", "--scenario", "--json", "  fanout  all clients in one room (500 clients, 100 messages a second)\n", "CHAT_URL in the environment",
		"waits up to " + strings.Replace(load.SettleWithin.String(), "s", " s", 1)} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the help lacks %q:\n%s", want, stdout.String())
		}
	}
	if strings.Contains(stdout.String(), "CHAT_NAME") {
		t.Error("the help lists a flag that bench does not have")
	}
	var b benchFlags
	b.add(pflag.NewFlagSet("chat bench", pflag.ContinueOnError))
	if err := b.check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if each := b.bench.Rate / float64(b.bench.Clients); each > 10 {
		t.Errorf("by default a user sends %v messages a second, more than nodes accept by default", each)
	}
}
