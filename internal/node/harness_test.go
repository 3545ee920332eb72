package node_test

import (
	"log/slog"
	"os"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/nodetest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/node"
)

func TestMain(m *testing.M) {
	atOnce := 8
	if chattest.Race {
		atOnce = 4
	}
	chattest.RunAtOnce(atOnce)
	status := m.Run()
	chattest.RemoveBuilds()
	os.Exit(status)
}

// testNode is a node inside the test's process.
type testNode struct {
	*node.Node
	url string
}

// startNode starts a node inside the test's process.
func startNode(t *testing.T, redisURL string, args ...string) *testNode {
	t.Helper()
	return startNodeLogging(t, redisURL, nil, args...)
}

// startNodeLogging is startNode with another log.
func startNodeLogging(t *testing.T, redisURL string, log *slog.Logger, args ...string) *testNode {
	t.Helper()
	n, err := nodetest.Try(t, redisURL, log, args...)
	if err != nil {
		t.Fatal(err)
	}
	return &testNode{n.Node, n.URL}
}

// startProgram starts the program as a process, with args and further environment
// variables.
func startProgram(t *testing.T, env []string, args ...string) *chattest.Process {
	t.Helper()
	return chattest.Start(t, chattest.Command{Path: chattest.Build(t), Args: args, Env: env})
}

// eachRedis runs a test with the embedded broker and with a real redis-server.
func eachRedis(t *testing.T, test func(t *testing.T, redisURL string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, redistest.Embedded(t).URL())
	})
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		test(t, redistest.Start(t).URL)
	})
}
