package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestBenchRefusesWhatCantBe(t *testing.T) {
	t.Setenv("CHAT_NAME", "which bench does not know")
	for args, want := range map[string]string{
		"lobby":               `takes no "lobby"`,
		"--clients=0":         "--clients 0 is outside",
		"--clients=9999":      "--clients 9999 is outside",
		"--rooms=31":          "--rooms 31 is outside 1 to 30",
		"--rate=0":            "--rate 0 is not above 0",
		"--rate=NaN":          "--rate NaN is not above 0",
		"--rate=1501":         "give more --clients",
		"--for=1ms":           "--for 1ms is outside",
		"--for=25h":           "--for 25h0m0s is outside",
		"--churn=-1s":         "--churn -1s is below",
		"--url=ftp://x":       "--url",
		"--name=Ann":          "unknown flag",
		"--for=1h --rate=100": "have to remember 4680000 events",
	} {
		var stdout, stderr bytes.Buffer
		err := Bench(t.Context(), strings.Fields(args), &stdout, &stderr)
		var bad *UsageError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || stdout.Len()+stderr.Len() > 0 {
			t.Errorf("chat bench %s: %v, printed %q", args, err, stdout.String()+stderr.String())
		}
	}
}

func TestBenchHelpTellsItsDefaults(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := Bench(t.Context(), []string{"--help"}, &stdout, &stderr); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v %q", err, stderr.String())
	}
	for _, want := range []string{"--clients int", "(default 30)", "--rooms", "--rate", "--for", "--churn", "--out FILE", "CHAT_URL in the environment"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the help lacks %q:\n%s", want, stdout.String())
		}
	}
	if strings.Contains(stdout.String(), "CHAT_NAME") {
		t.Error("the help names what bench does not read")
	}
	var b benchFlags
	b.add(pflag.NewFlagSet("chat bench", pflag.ContinueOnError))
	if err := b.check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if each := b.bench.Rate / float64(b.bench.Clients); each > 10 {
		t.Errorf("by default a user says %v a second, more than nodes take by default", each)
	}
}
