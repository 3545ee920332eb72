// Command chat is a chat across any number of servers, joined by Redis: what a
// user of one says, the users of all see, and any of them may die at any moment.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/chat/embed"
	"example.com/chat/internal/cli"
	"example.com/chat/internal/redisopen"
)

// The exit status of the program.
const (
	exitFailed = 1
	exitUsage  = 2
)

// quickStop is the longest that a stop by Ctrl-C may take.
const quickStop = 300 * time.Millisecond

func main() {
	ctx := context.Background()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "chat: "+strings.ReplaceAll(err.Error(), "\n", " "))
	var usage *cli.UsageError
	if errors.As(err, &usage) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

// run carries out one call of the program. It returns a *cli.UsageError for a
// command line that can't be obeyed.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	command := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	switch command {
	case "send", "tail":
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		if command == "send" {
			return cli.Send(ctx, args, stdin, stdout, stderr)
		}
		signal.Ignore(syscall.SIGPIPE) // tail ends by itself when its reader has
		return cli.Tail(ctx, args, stdin, stdout, stderr)
	case "bench":
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program as it does others
		return cli.Bench(ctx, args, stdout, stderr)
	case "verify":
		return cli.Verify(args, stdin, stdout)
	case "version":
		if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
			_, err := fmt.Fprintln(stdout, "chat version: print version, commit, Go version and platform.")
			return err
		}
		return version(stdout)
	case "help":
		return help(ctx, args, stdin, stdout, stderr)
	case "":
		if slices.Contains(args, "--version") {
			return version(stdout)
		}
		return runNodes(ctx, args, stdin, stdout, stderr)
	}
	return cli.UnknownCommand(command)
}

// help prints the help of a command, or of all.
func help(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	switch {
	case len(args) > 1:
		return &cli.UsageError{Message: "chat help takes one command", Hint: "chat help lists them"}
	case len(args) == 0, args[0] == "help", strings.HasPrefix(args[0], "-"):
		return run(ctx, []string{"--help"}, stdin, stdout, stderr)
	}
	return run(ctx, []string{args[0], "--help"}, stdin, stdout, stderr)
}

// version prints what this program is, from what the Go tool put into it.
func version(w io.Writer) error {
	release, commit := build()
	_, err := fmt.Fprintf(w, "chat %s\ncommit %s\n%s %s/%s\n", release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// runNodes starts one node, or the processes of many.
func runNodes(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	opts, help, err := cli.ParseNode(args, os.LookupEnv, stdout)
	if err != nil || help {
		return err
	}
	if opts.Redis != "" {
		if _, err := redisopen.Parse(opts.Redis); err != nil {
			return &cli.UsageError{Message: err.Error()}
		}
	}
	if _, err := newVerifier(opts); err != nil { // before any node of a cluster starts
		return err
	}
	signals := make(chan os.Signal, 4)
	child := os.Getenv(embed.ChildEnv) != ""
	if child {
		// A child ends with its parent, which alone hears of Ctrl-C for all.
		signal.Ignore(os.Interrupt)
		signal.Notify(signals, syscall.SIGTERM)
	} else {
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	}
	defer signal.Stop(signals)
	log := newLog(opts, stderr)
	if opts.Nodes > 1 {
		return runCluster(ctx, opts, signals, stdout, stderr, log)
	}
	var from parent
	if child {
		from = parent{embed.ParentGone(stdin), embed.Controls(os.LookupEnv)}
	}
	return runNode(ctx, opts, signals, from, stdout, log)
}

func newLog(opts cli.NodeOptions, w io.Writer) *slog.Logger {
	handler := &slog.HandlerOptions{Level: opts.LogLevel}
	if opts.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, handler))
	}
	return slog.New(slog.NewTextHandler(w, handler))
}

// parent is what a node of --nodes has of the process that started it; its zero
// value is none.
type parent struct {
	gone     <-chan struct{}
	controls *embed.Remote
}

// firstNode is the id of the first node of --nodes. It alone logs how it was set up,
// for all are alike.
const firstNode = "node-1"

// runNode runs one node until a signal, the parent's end or ctx stops it.
func runNode(ctx context.Context, opts cli.NodeOptions, signals <-chan os.Signal, from parent, stdout io.Writer, log *slog.Logger) error {
	listener, err := listen("--addr", opts.Addr)
	if err != nil {
		return err
	}
	redisURL := opts.Redis
	if redisURL == "" {
		b, err := startBroker(opts, stdout, log)
		if err != nil {
			_ = listener.Close()
			return err
		}
		defer b.Close()
		redisURL = b.URL()
	}
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	started := make(chan struct{})
	var stopped os.Signal
	watch := make(chan struct{})
	go func() { // ends when the node has started, which waits for it
		defer close(watch)
		select {
		case stopped = <-signals:
			cancel()
		case <-from.gone:
			cancel()
		case <-started:
		}
	}()
	s, err := startServer(starting, opts, listener, redisURL, from.controls, log)
	close(started)
	<-watch
	if err != nil {
		if stopped != nil {
			return nil // it was told to stop before it had begun
		}
		return err
	}
	if from.gone == nil || opts.NodeID == firstNode {
		logStart(log, opts, s.self().ID)
	}
	fmt.Fprintf(stdout, "node 1  %s\n", s.shownURL())
	if starting.Err() == nil {
		select {
		case stopped = <-signals:
		case <-from.gone:
		case <-ctx.Done():
		case err := <-s.httpEnded:
			s.Close(0)
			return fmt.Errorf("serve: %w", err)
		}
	}
	if stopped == syscall.SIGTERM {
		stopped = s.delayDrain(opts.DrainDelay, signals, from.gone)
	}
	if stopped == syscall.SIGTERM {
		s.Drain(opts.Drain)
		return nil
	}
	s.Close(quickStop)
	return nil
}

// startBroker starts the embedded broker, and tells where others can join it
// if that was asked for.
func startBroker(opts cli.NodeOptions, stdout io.Writer, log *slog.Logger) (*embed.Broker, error) {
	b, err := embed.StartBroker(embed.BrokerConfig{Addr: opts.BrokerAddr, Log: log})
	if err != nil {
		return nil, err
	}
	if opts.BrokerAddr != "" {
		fmt.Fprintf(stdout, "broker  %s\n", b.URL())
	}
	return b, nil
}

// runCluster starts the processes of --nodes and their broker.
func runCluster(ctx context.Context, opts cli.NodeOptions, signals <-chan os.Signal, stdout, stderr io.Writer, log *slog.Logger) error {
	redisURL := opts.Redis
	var b *embed.Broker
	if redisURL == "" {
		var err error
		if b, err = startBroker(opts, stdout, log); err != nil {
			return err
		}
		defer b.Close()
		redisURL = b.URL()
	} else if stopped, err := awaitForAll(ctx, opts, signals, log); stopped || err != nil {
		return err
	}
	return embed.RunCluster(ctx, embed.ClusterConfig{
		Nodes:  opts.Nodes,
		Addr:   opts.Addr,
		Redis:  redisURL,
		Broker: b,
		Args:   childArgs(opts),
		Env:    childEnv(opts),
		Drain:  opts.DrainDelay + opts.Drain,
		Stdout: stdout,
		Stderr: stderr,
	}, signals)
}

// awaitForAll waits for the Redis of a cluster's nodes, so that this is said once
// and not by each of them. A signal ends the wait.
func awaitForAll(ctx context.Context, opts cli.NodeOptions, signals <-chan os.Signal, log *slog.Logger) (stopped bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { // ends with the wait, which ends with ctx
		target, err := redisopen.Parse(opts.Redis)
		if err == nil {
			err = target.Await(ctx, opts.Namespace, opts.WaitRedis, log)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return false, err
	case <-signals:
		cancel()
		<-done
		return true, nil
	}
}

// childArgs are the flags that the nodes of a cluster get as they were given,
// but for those that are the cluster's own and those that hold a secret, which
// go by the environment.
func childArgs(opts cli.NodeOptions) []string {
	own := []string{"addr", "nodes", "redis", "broker-addr", "node-id", "secret", "jwt-secret", "ui"}
	args := []string{"--ui=" + opts.UI} // whose default depends on --nodes
	for name, values := range opts.Given {
		if slices.Contains(own, name) {
			continue
		}
		for _, v := range values {
			args = append(args, "--"+name+"="+v)
		}
	}
	slices.Sort(args)
	return args
}

// childEnv is this process's environment, with the secrets that were given as
// flags.
func childEnv(opts cli.NodeOptions) []string {
	env := os.Environ()
	if opts.Secret != "" {
		env = append(env, cli.EnvName("secret")+"="+opts.Secret)
	}
	if opts.JWTSecret != "" {
		env = append(env, cli.EnvName("jwt-secret")+"="+opts.JWTSecret)
	}
	return env
}
