package main

import (
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"

	"example.com/chat/internal/chattest/redistest"
)

func TestHelloFromNode1ToNode2(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n1, n2 := startNode(t, b.URL()), startNode(t, b.URL())
	ann, bob := enter(t, n1.url, "Ann", "lobby"), enter(t, n2.url, "Bob", "lobby")
	sent := ann.say("lobby", "Hello!", "k1")
	for _, p := range []*peer{ann, bob} {
		m := p.message("Hello!")
		if m.ID != sent.ID || m.User != ann.me || m.Key != "k1" || m.Room != "lobby" || m.Node != n1.peers.self.ID || m.Time != sent.Time {
			t.Errorf("%s got %s", p.me.Name, m.raw)
		}
	}
	if sent.Duplicate || sent.seq() != 1 {
		t.Errorf("sent: %s", sent.raw)
	}
}

func TestOrderAndExactlyOnceOnThreeNodes(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	const perSender, senders = 60, 6
	var nodes []*testNode
	for range 3 {
		nodes = append(nodes, startNode(t, b.URL(), "--rate=0"))
	}
	var all []*peer
	for i := range senders {
		all = append(all, enter(t, nodes[i%3].url, fmt.Sprintf("sender-%d", i), "busy"))
	}
	var work sync.WaitGroup
	for i, p := range all {
		work.Go(func() {
			for n := range perSender {
				p.send("send", "room", "busy", "text", fmt.Sprintf("%d/%d", i, n), "key", strconv.Itoa(n))
			}
		})
	}
	work.Wait()
	for _, p := range all {
		seen := make([]int, senders) // how many of each sender's, in its order
		for want := 1; want <= senders*perSender; want++ {
			m := p.next("message")
			if m.seq() != want {
				t.Fatalf("%s: want seq %d, got %s", p.me.Name, want, m.raw)
			}
			var sender, n int
			if _, err := fmt.Sscanf(m.Text, "%d/%d", &sender, &n); err != nil || seen[sender] != n {
				t.Fatalf("%s: out of the sender's order: %s, want %d", p.me.Name, m.Text, seen[sender])
			}
			seen[sender]++
		}
	}
}

func TestResendOnAnotherNodeIsDuplicate(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n1, n2 := startNode(t, b.URL()), startNode(t, b.URL())
	ann := enter(t, n1.url, "Ann", "lobby")
	first := ann.say("lobby", "once", "k1")
	again := dial(t, n2.url)
	again.hello("token", ann.token)
	if again.me != ann.me {
		t.Fatalf("the token made %v of %v", again.me, ann.me)
	}
	again.join("lobby")
	second := again.say("lobby", "once", "k1")
	if !second.Duplicate || second.ID != first.ID || second.Time != first.Time {
		t.Errorf("first %s, then %s", first.raw, second.raw)
	}
	// Another user's same key is another thing.
	bob := enter(t, n2.url, "Bob", "lobby")
	if f := bob.say("lobby", "mine", "k1"); f.Duplicate {
		t.Errorf("another's key: %s", f.raw)
	}
	if m := ann.message("mine"); m.seq() != 2 {
		t.Errorf("want seq 2: %s", m.raw)
	}
}

func TestAfterOnAnotherNodeRecoversAll(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n1, n2 := startNode(t, b.URL(), "--rate=0"), startNode(t, b.URL(), "--rate=0")
	ann := enter(t, n1.url, "Ann", "lobby")
	var cursor string
	const n = 300
	for i := 1; i <= n; i++ {
		f := ann.say("lobby", strconv.Itoa(i), strconv.Itoa(i))
		if i == 10 {
			cursor = f.ID
		}
	}
	bob := dial(t, n2.url)
	bob.hello()
	j := bob.join("lobby", "after", cursor)
	if !j.Recovered || len(j.Messages) != n-10 {
		t.Fatalf("recovered %v, %d messages", j.Recovered, len(j.Messages))
	}
	for i, m := range j.Messages {
		if m.seq() != 11+i {
			t.Fatalf("message %d has seq %d", i, m.seq())
		}
	}
	if j.Head != j.Messages[len(j.Messages)-1].ID {
		t.Errorf("head %s", j.Head)
	}
}

// startNodes starts n nodes as processes of their own, joined by the Redis.
func startNodes(t *testing.T, n int, redisURL string, args ...string) []*process {
	t.Helper()
	var list []*process
	for i := range n {
		list = append(list, startProgram(t, []string{"CHAT_REDIS=" + redisURL},
			append([]string{"--addr=127.0.0.1:0", "--node-id=" + fmt.Sprintf("n%d", i+1)}, args...)...))
	}
	return list
}

func TestUsersOfAKilledNodeComeBackElsewhereAndMissNothing(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, redisURL string) {
		nodes := startNodes(t, 3, redisURL, "--rate=0")
		ann, bob := enter(t, nodes[0].url(1), "Ann", "lobby"), enter(t, nodes[1].url(1), "Bob", "lobby")
		const before, after = 20, 40
		var last frame
		for i := range before {
			bob.say("lobby", strconv.Itoa(i), strconv.Itoa(i))
			last = ann.next("message")
		}
		nodes[0].signal(syscall.SIGKILL)
		for i := before; i < after; i++ {
			bob.say("lobby", strconv.Itoa(i), strconv.Itoa(i))
		}
		for range ann.frames { // until she sees that the connection is gone
		}
		again := dial(t, nodes[2].url(1))
		if w := again.hello("token", ann.token); w.User != ann.me {
			t.Fatalf("she was %v and is %v", ann.me, w.User)
		}
		j := again.join("lobby", "after", last.ID)
		got := j.Messages
		bob.say("lobby", "last", "last")
		for got == nil || got[len(got)-1].Text != "last" {
			got = append(got, again.next("message"))
		}
		if !j.Recovered {
			t.Error("not recovered")
		}
		for i, m := range got {
			if m.seq() != last.seq()+1+i {
				t.Fatalf("after %s came %v", last.ID, got)
			}
		}
	})
}

func TestANameIsHeldOnce(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, redisURL string) {
		n1, n2 := startNode(t, redisURL), startNode(t, redisURL)
		ann := dial(t, n1.url)
		ann.hello("name", "Ann Ｓtraße")
		bob := dial(t, n2.url)
		for _, same := range []string{"Ann Ｓtraße", "aNN STRASSE", " ann ｓTRAßE "} {
			bob.send("hello", "name", same)
			bob.error("name_taken")
		}
		bob.hello("name", "Bob")
		bob.send("rename", "name", "ANN STRASSE")
		bob.error("name_taken")
		ann.send("rename", "name", "Ännchen")
		if f := ann.next("renamed"); f.User.Name != "Ännchen" || f.User.ID != ann.me.ID {
			t.Fatalf("renamed: %s", f.raw)
		}
		bob.send("rename", "name", "Ann Strasse") // it is free now
		bob.next("renamed")
		// The name is free once its user is gone.
		_ = ann.ws.Close()
		chattest.Eventually(t, "the name to be free", func() bool {
			p := dial(t, n2.url)
			defer p.ws.Close()
			p.send("hello", "name", "ännchen")
			return p.next("welcome", "error").Type == "welcome"
		})
	})
}

func TestPresenceOfAKilledNodesUsersEnds(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, redisURL string) {
		nodes := startNodes(t, 2, redisURL)
		bob := enter(t, nodes[1].url(1), "Bob", "lobby")
		ann := enter(t, nodes[0].url(1), "Ann", "lobby")
		for !seen(bob.next("presence").Joined, ann.me.ID) {
		}
		nodes[0].signal(syscall.SIGKILL)
		killed := time.Now()
		p := bob.next("presence")
		for !seen(p.Left, ann.me.ID) {
			p = bob.next("presence")
		}
		t.Logf("her presence ended %s after the kill", time.Since(killed).Round(100*time.Millisecond))
		if p.Count != 1 || p.Left[0].Name != "Ann" {
			t.Errorf("presence: %s", p.raw)
		}
		for f := bob.next("nodes"); len(f.Nodes) != 1; f = bob.next("nodes") {
		}
		// Her name is free again, too.
		carl := dial(t, nodes[1].url(1))
		carl.hello("name", "Ann")
	})
}

// eachRedis runs a test on the embedded broker and on a real redis-server.
func eachRedis(t *testing.T, test func(t *testing.T, redisURL string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, startTestBroker(t).URL())
	})
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		test(t, redistest.Start(t).URL)
	})
}
