// Package nodetest starts nodes inside the process of a test, configured by the flags
// of the command line.
package nodetest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"example.com/chat/internal/cli"
	"example.com/chat/internal/node"
	"example.com/chat/internal/redisopen"
)

// Node is a node that the end of the test closes.
type Node struct {
	*node.Node
	// URL is its own URL, as "http://127.0.0.1:8080".
	URL string
	// Options are its flags.
	Options cli.NodeOptions
}

// Options parses flags as the program does. The address is a free port of the loopback.
func Options(t testing.TB, args ...string) cli.NodeOptions {
	t.Helper()
	none := func(string) (string, bool) { return "", false }
	opts, _, err := cli.ParseNode(append([]string{"--addr=127.0.0.1:0"}, args...), none, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

// Start starts a node that uses the Redis at a URL, and fails the test if it does not
// start. It logs to the test's log if CHAT_TEST_LOG is set.
func Start(t testing.TB, redisURL string, args ...string) *Node {
	t.Helper()
	return StartLogging(t, redisURL, slog.New(slog.NewTextHandler(testLog{t}, nil)), args...)
}

// StartLogging is Start with another log.
func StartLogging(t testing.TB, redisURL string, log *slog.Logger, args ...string) *Node {
	t.Helper()
	n, err := Try(t, redisURL, log, args...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Try is StartLogging that returns the error of the start. A nil log is that of Start.
func Try(t testing.TB, redisURL string, log *slog.Logger, args ...string) (*Node, error) {
	t.Helper()
	if log == nil {
		log = slog.New(slog.NewTextHandler(testLog{t}, nil))
	}
	opts := Options(t, args...)
	listeners := cli.Listeners{HTTP: listen(t, opts.Addr)}
	if opts.DebugAddr != "" {
		listeners.Debug = listen(t, opts.DebugAddr)
		log.Info("debug listener", "metrics", "http://"+listeners.Debug.Addr().String()+"/metrics")
	}
	redis, err := redisopen.Parse(redisURL)
	if err == nil {
		err = redis.Await(context.Background(), opts.Namespace, opts.WaitRedis, log)
	}
	var cfg node.Config
	if err == nil {
		cfg, err = opts.Config(context.Background(), redis, listeners, log)
	}
	if err != nil {
		_ = listeners.HTTP.Close()
		return nil, err
	}
	n, err := node.Start(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { n.Close(time.Second) })
	return &Node{Node: n, URL: "http://" + listeners.HTTP.Addr().String(), Options: opts}, nil
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// testLog shows the log of a node on standard error if CHAT_TEST_LOG is set.
type testLog struct{ t testing.TB }

// Write writes one line (io.Writer).
func (l testLog) Write(b []byte) (int, error) {
	if os.Getenv("CHAT_TEST_LOG") != "" {
		fmt.Fprint(os.Stderr, l.t.Name(), ": ", string(b))
	}
	return len(b), nil
}
