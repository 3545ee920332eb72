package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/cli"
)

// asProgram makes the test binary be the program itself, so that tests can
// start nodes as real processes, and kill them.
const asProgram = "CHAT_TEST_AS_PROGRAM"

// withFiles bounds the descriptors that a program started by tests may have.
const withFiles = "CHAT_TEST_WITH_FILES"

func TestMain(m *testing.M) {
	if files, err := strconv.ParseUint(os.Getenv(withFiles), 10, 32); err == nil {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: files})
	}
	if os.Getenv(asProgram) != "" && os.Getenv(asPulse) == "" {
		main()
		os.Exit(0)
	}
	if urls := os.Getenv(asPulse); urls != "" {
		if err := runPulse(strings.Fields(urls)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testNode is a node inside the test's process.
type testNode struct {
	*server
	url string
}

// nodeOptions parses flags as a call of the program does.
func nodeOptions(t *testing.T, args ...string) cli.NodeOptions {
	t.Helper()
	none := func(string) (string, bool) { return "", false }
	opts, _, err := cli.ParseNode(append([]string{"--addr=127.0.0.1:0"}, args...), none, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

// startNode starts a node inside the test's process.
func startNode(t *testing.T, redisURL string, args ...string) *testNode {
	t.Helper()
	n, err := tryNode(t, redisURL, args...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func tryNode(t *testing.T, redisURL string, args ...string) (*testNode, error) {
	t.Helper()
	return tryNodeLogging(t, redisURL, slog.New(slog.NewTextHandler(testLog{t}, nil)), args...)
}

// startNodeLogging starts a node that writes to another log than the test's.
func startNodeLogging(t *testing.T, redisURL string, log *slog.Logger, args ...string) *testNode {
	t.Helper()
	n, err := tryNodeLogging(t, redisURL, log, args...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func tryNodeLogging(t *testing.T, redisURL string, log *slog.Logger, args ...string) (*testNode, error) {
	t.Helper()
	opts := nodeOptions(t, args...)
	l, err := listen("--addr", opts.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := startServer(context.Background(), opts, l, redisURL, nil, log)
	if err != nil {
		return nil, err
	}
	n := &testNode{server: s, url: "http://" + l.Addr().String()}
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { s.Close(time.Second) }) })
	return n, nil
}

// testLog shows the log of a test that fails or is verbose.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	if os.Getenv("CHAT_TEST_LOG") != "" {
		fmt.Fprint(os.Stderr, l.t.Name(), ": ", string(b))
	}
	return len(b), nil
}

// startProgram starts the program with args and further environment variables.
func startProgram(t *testing.T, env []string, args ...string) *chattest.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return chattest.Start(t, chattest.Command{Path: self, Args: args, Env: append([]string{asProgram + "=1"}, env...)})
}
