package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"example.com/chat/embed"
	"example.com/chat/internal/cli"
	"example.com/chat/internal/demo"
	"example.com/chat/internal/node"
	"example.com/chat/internal/redisopen"
)

// quickStop is the longest that a stop by Ctrl-C may take.
const quickStop = 300 * time.Millisecond

// firstNode is the id of the first node of --nodes. It alone logs how it was set up,
// since all are alike.
const firstNode = "node-1"

// runNode runs one node until a signal, the end of its parent or that of ctx.
func runNode(ctx context.Context, opts cli.NodeOptions, signals <-chan os.Signal, parent *demo.Parent, stdout io.Writer, log *slog.Logger) error {
	listener, err := listen("--addr", opts.Addr)
	if err != nil {
		return err
	}
	var embedded *embed.Broker
	if opts.Redis == "" {
		if embedded, err = startBroker(opts, stdout, log); err != nil {
			_ = listener.Close()
			return err
		}
		defer embedded.Close()
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
		case <-parent.Gone():
			cancel()
		case <-started:
		}
	}()
	n, err := startNode(starting, opts, listener, embedded, parent.Controls(), log)
	close(started)
	<-watch
	if err != nil {
		if stopped != nil {
			return nil // the signal came before it had started
		}
		return err
	}
	if parent == nil || opts.NodeID == firstNode {
		logStart(log, opts, n.ID())
	}
	if err := announce(ctx, n, opts, parent, stdout); err != nil {
		n.Close(0)
		return err
	}
	if starting.Err() == nil {
		select {
		case stopped = <-signals:
		case <-parent.Gone():
		case <-ctx.Done():
		case err := <-n.Ended():
			n.Close(0)
			return fmt.Errorf("serve: %w", err)
		}
	}
	stopNode(n, opts, stopped, signals, parent.Gone())
	return nil
}

// announce reports that a node is ready: to its parent, or in a line for people.
func announce(ctx context.Context, n *node.Node, opts cli.NodeOptions, parent *demo.Parent, stdout io.Writer) error {
	host, _, _ := net.SplitHostPort(opts.Addr) // cli has checked it
	if parent != nil {
		return parent.ReportReady(ctx, n.URL(host))
	}
	_, err := fmt.Fprintf(stdout, "node 1  %s\n", n.URL(host))
	return err
}

// stopNode ends a node: after a SIGTERM it drains it, after anything else it closes
// it at once.
func stopNode(n *node.Node, opts cli.NodeOptions, stopped os.Signal, signals <-chan os.Signal, gone <-chan struct{}) {
	if stopped == syscall.SIGTERM && opts.DrainDelay > 0 {
		// The node accepts users meanwhile, so that load balancers notice before it
		// refuses the first request.
		n.AnnounceStop(opts.DrainDelay)
		timer := time.NewTimer(opts.DrainDelay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case stopped = <-signals:
		case <-gone:
			stopped = nil
		case <-n.Ended():
			stopped = nil
		}
	}
	if stopped == syscall.SIGTERM {
		n.Drain(opts.Drain)
		return
	}
	n.Close(quickStop)
}

// startNode starts a node on the listener, which it owns, with the embedded broker, or
// with the Redis of --redis if that is nil. controls are those of a local cluster, nil for none.
func startNode(ctx context.Context, opts cli.NodeOptions, listener net.Listener, embedded *embed.Broker, controls *demo.Remote, log *slog.Logger) (*node.Node, error) {
	listeners := cli.Listeners{HTTP: listener}
	cfg, err := func() (node.Config, error) {
		var err error
		if listeners.Debug, err = listenDebug(opts.DebugAddr, log); err != nil {
			return node.Config{}, err
		}
		redis, err := awaitRedis(ctx, opts, embedded, log)
		if err != nil {
			return node.Config{}, err
		}
		return opts.Config(ctx, redis, listeners, log)
	}()
	if err != nil {
		_ = listener.Close()
		if listeners.Debug != nil {
			_ = listeners.Debug.Close()
		}
		return nil, err
	}
	if controls != nil {
		cfg.Demo = demo.NewPages(controls, listener.Addr())
	}
	return node.Start(ctx, cfg)
}

// listen opens the listener of a flag. Its error says what to do.
func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("can't listen on %s: another program does already: choose another %s", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("can't listen on %s: not allowed: choose a port above 1023 for %s", addr, flag)
	case err != nil:
		return nil, fmt.Errorf("can't listen on %s: %w: choose another %s", addr, err, flag)
	}
	return l, nil
}

// listenDebug opens the listener of --debug-addr; nil if addr is empty. It warns of an
// address that other machines can reach, because pprof shows memory and costs time.
func listenDebug(addr string, log *slog.Logger) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := listen("--debug-addr", addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		log.Warn("other machines can reach the debug listener: give --debug-addr an address of 127.0.0.1, or guard it", "addr", l.Addr().String())
	}
	log.Info("debug listener", "metrics", "http://"+l.Addr().String()+"/metrics", "pprof", "http://"+l.Addr().String()+"/debug/pprof/")
	return l, nil
}

// logStart logs, in one line, the version and the setup of a node that has started.
// Nothing in it is a secret.
func logStart(log *slog.Logger, opts cli.NodeOptions, id string) {
	release, commit := build()
	joined := "embedded"
	if target, err := redisopen.Parse(opts.Redis); opts.Redis != "" && err == nil {
		joined = target.String()
	}
	users := "guests"
	if opts.JWTSecret != "" || opts.JWTKeyFile != "" {
		users = "with a JWT"
	}
	networks := make([]string, len(opts.TrustProxy))
	for i, n := range opts.TrustProxy {
		networks[i] = n.String()
		if n.Bits() == 0 {
			log.Warn("--trust-proxy names every address: any client can make up its own, and its scheme and host", "network", networks[i])
		}
	}
	listed := func(values []string) string { return cmp.Or(strings.Join(values, ","), "none") }
	log.Info("started", "version", release, "commit", commit, "node", id, "redis", joined, "namespace", opts.Namespace,
		"advertise", cmp.Or(opts.Advertise, "from the request"), "users", users, "ui", opts.UI,
		"text_limit", opts.TextLimit, "max_rooms", opts.MaxRooms, "max_conns", opts.MaxConns, "rate", opts.Rate, "burst", opts.Burst, "history", opts.History,
		"origins", listed(opts.Origins), "hosts", listed(opts.Hosts), "trust_proxy", listed(networks))
	for _, name := range opts.EmptyKeys {
		log.Warn(name+" is set and empty, which counts as not set: users need no JWT", "variable", name)
	}
}
