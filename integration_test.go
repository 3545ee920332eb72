package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

func TestMain(m *testing.M) {
	status := m.Run()
	chattest.RemoveBuilds()
	os.Exit(status)
}

func TestUsersOfAKilledNodeComeBackElsewhereAndMissNothing(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, redisURL string) {
		nodes := startNodes(t, 3, redisURL, "--rate=0")
		ann, bob := chattest.Enter(t, nodes[0].URL(1), "Ann", "lobby"), chattest.Enter(t, nodes[1].URL(1), "Bob", "lobby")
		const before, after = 20, 40
		var last chattest.Frame
		for i := range before {
			bob.Say("lobby", strconv.Itoa(i), strconv.Itoa(i))
			last = ann.Next("message")
		}
		nodes[0].Signal(syscall.SIGKILL)
		for i := before; i < after; i++ {
			bob.Say("lobby", strconv.Itoa(i), strconv.Itoa(i))
		}
		for range ann.Frames { // until she sees that the connection is gone
		}
		again := chattest.Dial(t, nodes[2].URL(1))
		if w := again.Hello("token", ann.Token); w.User != ann.Me {
			t.Fatalf("she was %v and is %v", ann.Me, w.User)
		}
		j := again.Join("lobby", "after", last.ID)
		got := j.Messages
		bob.Say("lobby", "last", "last")
		for got == nil || got[len(got)-1].Text != "last" {
			got = append(got, again.Next("message"))
		}
		if !j.Recovered {
			t.Error("not recovered")
		}
		for i, m := range got {
			if m.Seq() != last.Seq()+1+i {
				t.Fatalf("after %s came %v", last.ID, got)
			}
		}
	})
}

func TestPresenceOfAKilledNodesUsersEnds(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, redisURL string) {
		nodes := startNodes(t, 2, redisURL)
		bob := chattest.Enter(t, nodes[1].URL(1), "Bob", "lobby")
		ann := chattest.Enter(t, nodes[0].URL(1), "Ann", "lobby")
		for !chattest.Seen(bob.Next("presence").Joined, ann.Me.ID) {
		}
		nodes[0].Signal(syscall.SIGKILL)
		killed := time.Now()
		p := bob.Next("presence")
		for !chattest.Seen(p.Left, ann.Me.ID) {
			p = bob.Next("presence")
		}
		t.Logf("her presence ended %s after the kill", time.Since(killed).Round(100*time.Millisecond))
		if p.Count != 1 || p.Left[0].Name != "Ann" {
			t.Errorf("presence: %s", p.Raw)
		}
		for f := bob.Next("nodes"); len(f.Nodes) != 1; f = bob.Next("nodes") {
		}
		// Her name is free again, too.
		carl := chattest.Dial(t, nodes[1].URL(1))
		carl.Hello("name", "Ann")
	})
}

// startNodes starts n nodes as processes of their own, joined by the Redis.
func startNodes(t *testing.T, n int, redisURL string, args ...string) []*chattest.Process {
	t.Helper()
	var list []*chattest.Process
	for i := range n {
		list = append(list, chattest.Start(t, chattest.Command{
			Path: chattest.Build(t), Env: []string{"CHAT_REDIS=" + redisURL},
			Args: append([]string{"--addr=127.0.0.1:0", "--node-id=" + fmt.Sprintf("n%d", i+1)}, args...),
		}))
	}
	return list
}

// eachRedis runs a test on the embedded broker and on a real redis-server.
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
