package node_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/node"
	"example.com/chat/test/socketio/wiretest"
)

// warningsOf returns the warnings in a node's /readyz, which must be 200.
func warningsOf(t *testing.T, url string) string {
	t.Helper()
	var answer struct{ Warnings []string }
	if status := chattest.GetJSON(t, url+"/readyz", &answer); status != http.StatusOK {
		t.Errorf("/readyz: %d", status)
	}
	return strings.Join(answer.Warnings, "\n")
}

// Two nodes with one id work, and warn. Containers and cloned machines may have the same
// host name, and so the same id.
func TestTwoNodesWithOneID(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, three := startNode(t, b.URL(), "--node-id=a"), startNode(t, b.URL())
	if got := warningsOf(t, one.url); got != "" {
		t.Errorf("before: %s", got)
	}
	p := startProgram(t, []string{"CHAT_REDIS=" + b.URL()}, "--addr=127.0.0.1:0", "--node-id=a")
	two := p.URL(1)
	const same = "another node has the id of this one, a:"
	chattest.Eventually(t, "the second node to warn", func() bool { return strings.Contains(p.Errs(), same) })
	for _, url := range []string{one.url, two} {
		chattest.Eventually(t, "a warning", func() bool { return strings.Contains(warningsOf(t, url), same) })
	}
	if got := warningsOf(t, three.url); got != "" {
		t.Errorf("the third node warns: %s", got)
	}
	chattest.Eventually(t, "the nodes to know each other", func() bool { return len(three.Others()) == 2 && len(one.Others()) == 1 })
	for _, owner := range []string{one.url, two} {
		for _, at := range []string{one.url, two, three.url} {
			url := strings.Replace(wiretest.Open(t, ioBase(owner)), owner, at, 1)
			wiretest.Wants(t, "POST", url, "40", 200, "ok")
			pollsFor(t, url, "welcome")
		}
	}
	if n := strings.Count(p.Errs(), same); n != 1 {
		t.Errorf("the warning was logged %d times", n)
	}
	// Clients see each id once.
	var list struct{ Nodes []chattest.Node }
	if chattest.GetJSON(t, three.url+"/api/nodes", &list); len(list.Nodes) != 2 {
		t.Errorf("nodes: %+v", list.Nodes)
	}
}

// A node that announces a loopback address to nodes of other machines warns, since these
// can't reach it there.
func TestALoopbackAddressIsForOneMachine(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n, given := startNode(t, b.URL()), startNode(t, b.URL(), "--peer-addr=192.0.2.1:8080")
	knowEachOther(t, n, given) // these nodes are on this machine
	const loopback = "at a loopback address"
	if got := warningsOf(t, n.url); got != "" {
		t.Errorf("on one machine: %s", got)
	}
	opt, err := redis.ParseURL(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	defer rdb.Close()
	says := func(info string) {
		t.Helper()
		ends := float64(rdb.Time(t.Context()).Val().Add(time.Minute).UnixMilli()) // cut to a lease's length
		pipe := rdb.TxPipeline()
		pipe.HSet(t.Context(), "chat:{cluster}:info", "far~x", info)
		pipe.ZAdd(t.Context(), "chat:{cluster}:nodes", redis.Z{Score: ends, Member: "far~x"})
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for what, info := range map[string]string{
		"another machine":           `{"id":"far","tag":"t","peer":"10.0.0.9:8080","machine":"m"}`,
		"another one's loopback":    `{"id":"far","tag":"t","peer":"127.0.0.1:1","machine":"m"}`,
		"a machine that is unknown": `{"id":"far","tag":"t","peer":"10.0.0.9:8080"}`,
		"the same address":          `{"id":"far","tag":"t","peer":"` + n.Self().Peer + `"}`,
	} {
		says(info)
		chattest.Eventually(t, what, func() bool { return strings.Contains(warningsOf(t, n.url), loopback) })
		if got := warningsOf(t, given.url); got != "" {
			t.Errorf("%s: a node with an address warns: %s", what, got)
		}
		// A neighbour on this machine, and the lease of a process that this one replaced.
		for _, peer := range []string{"127.0.0.1:1", n.Self().Peer} {
			says(info)
			chattest.Eventually(t, what+" again", func() bool { return strings.Contains(warningsOf(t, n.url), loopback) })
			chattest.Eventually(t, "the end of the warning beside "+peer, func() bool {
				says(`{"id":"far","tag":"t","peer":"` + peer + `","machine":"` + node.Machine() + `"}`) // again, so that its lease does not end
				return warningsOf(t, n.url) == ""
			})
		}
	}
}
