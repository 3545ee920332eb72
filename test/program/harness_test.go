package program_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/nodetest"
)

func TestMain(m *testing.M) {
	if urls := os.Getenv(asPulse); urls != "" {
		if err := runPulse(strings.Fields(urls)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	chattest.RunAtOnce(6)
	status := m.Run()
	chattest.RemoveBuilds()
	os.Exit(status)
}

// testNode is a node inside the test's process.
type testNode struct {
	*nodetest.Node
	url string
}

// startNode starts a node inside the test's process.
func startNode(t *testing.T, redisURL string, args ...string) *testNode {
	t.Helper()
	n := nodetest.Start(t, redisURL, args...)
	return &testNode{n, n.URL}
}

// startProgram starts the program as a process, with args and further environment
// variables.
func startProgram(t *testing.T, env []string, args ...string) *chattest.Process {
	t.Helper()
	return chattest.Start(t, chattest.Command{Path: chattest.Build(t), Args: args, Env: env})
}

// startNodes starts n nodes as processes of their own, joined by the Redis.
func startNodes(t *testing.T, n int, redisURL string, args ...string) []*chattest.Process {
	t.Helper()
	var list []*chattest.Process
	for i := range n {
		list = append(list, startProgram(t, []string{"CHAT_REDIS=" + redisURL},
			append([]string{"--addr=127.0.0.1:0", "--node-id=" + fmt.Sprintf("n%d", i+1)}, args...)...))
	}
	return list
}

// must fails the test if there is an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
