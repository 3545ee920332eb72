// Command chat is a chat across any number of nodes, joined by Redis: users of all
// nodes see what a user of one writes, and any node may die at any moment.
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
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"example.com/chat/internal/cli"
	"example.com/chat/internal/demo"
	"example.com/chat/internal/redisopen"
)

// The exit status of the program.
const (
	exitFailed = 1
	exitUsage  = 2
)

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

// run executes one call of the program. It returns a *cli.UsageError for a command line
// that is not valid.
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
		signal.Ignore(syscall.SIGPIPE) // tail ends by itself after its reader
		return cli.Tail(ctx, args, stdin, stdout, stderr)
	case "bench":
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
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

// version prints the version of this program, from its build information.
func version(w io.Writer) error {
	release, commit := build()
	_, err := fmt.Fprintf(w, "chat %s\ncommit %s\n%s %s/%s\n", release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// build returns the release and commit of this program, from its build information.
func build() (release, commit string) {
	release, commit = "devel", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release, commit
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		release = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value
		}
	}
	return release, commit
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
	if _, err := opts.Verifier(); err != nil { // before any node of a cluster starts
		return err
	}
	signals := make(chan os.Signal, 4)
	child := os.Getenv(demo.ChildEnv) != ""
	if child {
		// A child ends with its parent, which handles Ctrl-C for all.
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
	return runNode(ctx, opts, signals, demo.FindParent(os.LookupEnv, stdin), stdout, log)
}

func newLog(opts cli.NodeOptions, w io.Writer) *slog.Logger {
	handler := &slog.HandlerOptions{Level: opts.LogLevel}
	if opts.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, handler))
	}
	return slog.New(slog.NewTextHandler(w, handler))
}

// runCluster starts the processes of --nodes and their broker.
func runCluster(ctx context.Context, opts cli.NodeOptions, signals <-chan os.Signal, stdout, stderr io.Writer, log *slog.Logger) error {
	redisURL := opts.Redis
	var broker demo.Broker
	if redisURL == "" {
		b, err := startBroker(opts, stdout, log)
		if err != nil {
			return err
		}
		defer b.Close()
		broker, redisURL = b, b.URL()
	} else if stopped, err := awaitRedisForAll(ctx, opts, signals, log); stopped || err != nil {
		return err
	}
	return demo.Run(ctx, demo.Config{
		Nodes:  opts.Nodes,
		Addr:   opts.Addr,
		Redis:  redisURL,
		Broker: broker,
		Args:   childArgs(opts),
		Env:    childEnv(opts),
		Drain:  opts.DrainDelay + opts.Drain,
		Stdout: stdout,
		Stderr: stderr,
	}, signals)
}

// childArgs returns the flags of a cluster's nodes: those that were given, without
// those of the cluster itself and those that contain a secret, which the nodes get in
// their environment.
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

// childEnv returns this process's environment and the secrets that were given as flags.
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
