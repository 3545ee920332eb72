package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/load"
	"example.com/chat/internal/protocol"
)

const benchAbout = `chat bench: load a cluster, and check that nothing is lost, doubled or out of order.
Its clients send messages in rooms of their own, on all nodes, and move between nodes.
After --for, or at Ctrl-C, it waits up to ` + settleWords + ` for acknowledgements and prints the result.
Then it deletes its messages, so that no rooms remain; after a broken promise it keeps
them. Status 1 if a promise was broken, if Redis lost what it had acknowledged, or if
clients could not join.

With --scenario it measures instead, with clients that cost little: messages are sent at
fixed times, and latency counts from these, whether or not earlier ones were answered. It
reports processor time and memory of the nodes that run on this machine, and whether it
is itself the bottleneck. Status 1 if copies were missing or arrived twice, messages were
refused or connections lost; for max only if it found no rate that the nodes keep up with.
Scenarios, with their defaults:
`

// settleWords is load.SettleWithin in words.
const settleWords = "30 s"

// Bounds of a bench: what one process can run, and check in memory.
const (
	maxClients    = 2000
	maxBenchTime  = 24 * time.Hour
	minBenchTime  = time.Second
	minChurn      = 100 * time.Millisecond
	maxEachRate   = 50 // messages a second of one client
	maxRemembered = 1_000_000
)

// benchFlags are the flags of chat bench.
type benchFlags struct {
	clientFlags
	bench    load.Bench
	out      string
	scenario string
	json     bool
	most     int // bounds the clients; 0 means maxClients, and that the check remembers all
}

func (b *benchFlags) add(flags *pflag.FlagSet) {
	b.addURL(flags)
	flags.IntVar(&b.bench.Clients, "clients", 30, "number of clients")
	flags.IntVar(&b.bench.Rooms, "rooms", 3, "number of rooms")
	flags.Float64Var(&b.bench.Rate, "rate", 60, "messages a second, of all clients together")
	flags.DurationVar(&b.bench.For, "for", 10*time.Second, "how long they send messages")
	flags.DurationVar(&b.bench.Churn, "churn", 5*time.Second, "mean time after which a client moves to another node; 0 for never")
	flags.StringVar(&b.scenario, "scenario", "", "measure one of "+scenarioNames()+" (see above)")
	flags.BoolVar(&b.json, "json", false, "print the result as one JSON object")
	flags.StringVar(&b.out, "out", "", "write what each client sent and received to this `FILE`, for chat verify")
}

// check refuses invalid values before anything connects.
func (b *benchFlags) check() error {
	n := &b.bench
	if _, err := client.Endpoint(b.url); err != nil {
		return usage("--url "+clean(err.Error()), "give one as http://localhost:8080")
	}
	n.URL = b.url
	most := cmp.Or(b.most, maxClients)
	switch {
	case n.Clients < 1 || n.Clients > most:
		return usage(fmt.Sprintf("--clients %d is outside 1 to %d", n.Clients, most), "run more than one chat bench for more")
	case n.Rooms < 1 || n.Rooms > n.Clients:
		return usage(fmt.Sprintf("--rooms %d is outside 1 to %d", n.Rooms, n.Clients), "each needs a client at least: give more --clients")
	case !(n.Rate > 0 && n.Rate <= float64(n.Clients)*maxEachRate):
		return usage(fmt.Sprintf("--rate %v is not above 0 and up to %d", n.Rate, n.Clients*maxEachRate),
			fmt.Sprintf("one client says %d messages a second at most: give more --clients", maxEachRate))
	case n.For < minBenchTime || n.For > maxBenchTime:
		return usage(fmt.Sprintf("--for %s is outside %s to %s", n.For, minBenchTime, maxBenchTime), "give a time as 30s")
	case n.Churn != 0 && n.Churn < minChurn:
		return usage(fmt.Sprintf("--churn %s is below %s", n.Churn, minChurn), "give a time as 5s, or 0 for never")
	}
	if b.most > 0 {
		return nil
	}
	// Each message is sent, acknowledged, logged, and received by all members.
	members := float64(n.Clients)/float64(n.Rooms) + 3
	if expected := n.Rate * n.For.Seconds() * members; expected > maxRemembered {
		return usage(fmt.Sprintf("the check would have to remember %.0f events, more than %d", expected, maxRemembered),
			"lower --rate or --for, or spread the clients over more --rooms")
	}
	return nil
}

// Bench runs `chat bench`: it prints the measurements and the broken promises. It returns
// an error if there was one, or if there is no result; a *UsageError if the command line
// is wrong.
func Bench(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var b benchFlags
	flags := pflag.NewFlagSet("chat bench", pflag.ContinueOnError)
	b.add(flags)
	help, err := parseClient("bench", benchAbout+scenarioHelp(), flags, args, stdout)
	if err != nil || help {
		return err
	}
	if flags.NArg() > 0 {
		return usage(fmt.Sprintf("chat bench takes no %q", clean(flags.Arg(0))), "chat bench --help lists the flags")
	}
	if flags.Changed("scenario") {
		m, err := b.measurement(flags)
		if err != nil {
			return err
		}
		return b.measure(ctx, m, stdout, stderr)
	}
	if err := b.check(); err != nil {
		return err
	}
	return b.run(ctx, stdout, stderr)
}

// run runs the check, and prints and writes its result.
func (b *benchFlags) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	var file *os.File
	if b.out != "" {
		if file, err = os.Create(b.out); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		defer file.Close()
	}
	b.bench.Notice = func(text string) { fmt.Fprintln(stderr, clean(text)) }
	b.bench.Started = func(w protocol.WelcomeEvent) { b.announce(stderr, w) }
	if !b.json {
		b.bench.Found = func(r *load.Result) { printResult(stdout, r) }
	}
	b.bench.Cleaning = func(n int) { fmt.Fprintf(stderr, "deleting its %d messages; Ctrl-C leaves the rest\n", n) }
	result, err := b.bench.Run(ctx)
	if err != nil {
		return explainBench(err)
	}
	if b.json {
		if err := printJSON(stdout, summarize(result)); err != nil {
			return err
		}
	} else if result.Left > 0 {
		fmt.Fprintf(stdout, "%-14s%d messages in the rooms of this bench\n", "left", result.Left)
	}
	if file != nil {
		err = check.Write(file, result.Records)
		if closed := file.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	return judge(result)
}

// announce prints what begins, and which part of it the nodes' limits do not allow.
func (b *benchFlags) announce(w io.Writer, welcome protocol.WelcomeEvent) {
	n := &b.bench
	fmt.Fprintf(w, "%d clients in %d rooms say %v messages a second for %s; Ctrl-C ends it early\n", n.Clients, n.Rooms, n.Rate, n.For)
	b.warnOfLimit(w, welcome.Limits.Rate, n.Rate, n.Clients)
}

// warnOfLimit warns if the nodes' rate limit of one user refuses a part of a rate.
func (b *benchFlags) warnOfLimit(w io.Writer, most, rate float64, clients int) {
	if each := rate / float64(clients); most > 0 && each > most {
		fmt.Fprintf(w, "the nodes take %v messages a second of one user, and each shall say %.3g: give more --clients, or nodes with --rate 0\n", most, each)
	}
}

// benchSummary is the result of a check as --json prints it.
type benchSummary struct {
	Verdict      string      `json:"verdict"` // "kept", "redis_lost" or "broken"
	Interrupted  bool        `json:"interrupted"`
	Nodes        int         `json:"nodes"`
	Clients      int         `json:"clients"`
	Outside      int         `json:"outside"`
	Sent         int         `json:"sent"`
	Acknowledged int         `json:"acknowledged"`
	Unknown      int         `json:"unknown"`
	Refused      int         `json:"refused"`
	Heard        int         `json:"heard"`
	Opened       int         `json:"connections_opened"`
	Lost         int         `json:"connections_lost"`
	Seconds      float64     `json:"seconds"`
	Acks         load.Spread `json:"acknowledging"`
	Deliveries   load.Spread `json:"delivering"`
	Violations   int         `json:"violations"`
	Left         int         `json:"left"`
}

// summarize returns a result in that form.
func summarize(r *load.Result) benchSummary {
	p := r.Report
	s := benchSummary{
		Verdict:     map[check.Verdict]string{check.Kept: "kept", check.RedisLost: "redis_lost", check.Broken: "broken"}[r.Verdict],
		Interrupted: r.Interrupted, Nodes: r.Nodes, Clients: r.Clients, Outside: r.Outside,
		Sent: p.Sent, Acknowledged: p.Acknowledged, Unknown: p.Unknown, Refused: r.Refused, Heard: p.Heard,
		Opened: r.Opened, Lost: p.Lost, Seconds: r.Took.Seconds(), Acks: r.Acknowledged.Spread(), Deliveries: r.Delivered.Spread(), Left: r.Left,
	}
	for _, n := range p.Found {
		s.Violations += n
	}
	return s
}

// explainBench explains why there is no result.
func explainBench(err error) error {
	var refused *protocol.Error
	var closed *client.ClosedError
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before it began")
	}
	if errors.As(err, &refused) && refused.Code == protocol.CodeUnauthorized || errors.As(err, &closed) && closed.Code == protocol.CloseNoHello {
		return errors.New("the nodes let only users with a JWT in, and those of chat bench are guests: try nodes without --jwt-secret and --jwt-key-file")
	}
	if errors.Is(err, load.ErrNoLogs) {
		return errors.New(clean(err.Error()))
	}
	return explain(err)
}

// judge explains why a bench failed.
func judge(r *load.Result) error {
	switch {
	case r.Verdict == check.Broken:
		broken := 0
		for _, n := range r.Report.Found {
			broken += n
		}
		return fmt.Errorf("promises were broken, %d times: see above; --out FILE keeps the history", broken)
	case r.Verdict == check.RedisLost:
		if r.Report.Found[check.RuleLost] == 0 {
			return errors.New("the end of a log was lost, by Redis and not by the chat: " + whereLosses)
		}
		return errors.New("acknowledged messages were lost, by Redis and not by the chat: " + whereLosses)
	case r.Outside > 0:
		return errors.New(outside(r))
	case r.Report.Acknowledged == 0:
		return errors.New("no message was acknowledged, so there is nothing to judge: see the nodes' logs")
	}
	return nil
}

// outside reports how many clients never joined a room, and why.
func outside(r *load.Result) string {
	text := fmt.Sprintf("%d of %d clients were never let in", r.Outside, r.Clients)
	if r.WhyOutside != nil {
		text += ": " + clean(r.WhyOutside.Error())
	}
	return text
}

func printResult(w io.Writer, r *load.Result) {
	p := r.Report
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-14s"+format+"\n", append([]any{name}, args...)...)
	}
	each := func(n int) float64 {
		if r.Took <= 0 {
			return 0
		}
		return float64(n) / r.Took.Seconds()
	}
	if r.Interrupted {
		line("interrupted", "this is what was found until then")
	}
	line("nodes", "%d", r.Nodes)
	line("sent", "%d messages in %s", p.Sent, shown(r.Talked))
	line("acknowledged", "%d, %.1f a second; %d left without an answer", p.Acknowledged, each(p.Acknowledged), p.Unknown)
	line("heard", "%d, %.1f a second", p.Heard, each(p.Heard))
	if r.Refused > 0 {
		line("refused", "%d times, and sent again", r.Refused)
	}
	line("connections", "%d opened, %d lost or left for another node", r.Opened, p.Lost)
	line("told", "%d duplicates, %d gaps, %d resets", p.Duplicates, p.Gaps, p.Resets)
	line("acknowledging", "p50 %s, p99 %s, longest %s", shown(r.Acknowledged.P50), shown(r.Acknowledged.P99), shown(r.Acknowledged.Max))
	line("delivering", "p50 %s, p99 %s, longest %s", shown(r.Delivered.P50), shown(r.Delivered.P99), shown(r.Delivered.Max))
	if r.Away > 0 {
		line("away", "%d clients could not get back into their rooms before the end", r.Away)
	}
	if r.Outside > 0 {
		line("outside", "%s", outside(r))
	}
	switch words := verdict(r.Verdict, p); {
	case r.Verdict == check.Broken:
		line("verdict", "%s", words)
		printViolations(w, p)
	case r.Verdict == check.RedisLost:
		line("verdict", "%s", words)
		line("", "%s", whereLosses)
	case p.Acknowledged == 0:
		line("verdict", "none: nothing was acknowledged")
	case r.Outside > 0:
		line("verdict", "nothing lost, doubled or out of order for those who were let in")
	default:
		line("verdict", "%s: nothing lost, doubled or out of order", words)
	}
}

// shown rounds a duration for display.
func shown(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}
