package main

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
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
