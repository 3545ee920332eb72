package node_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

func TestHelloFromNode1ToNode2(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n1, n2 := startNode(t, b.URL()), startNode(t, b.URL())
	ann, bob := chattest.Enter(t, n1.url, "Ann", "lobby"), chattest.Enter(t, n2.url, "Bob", "lobby")
	sent := ann.Say("lobby", "Hello!", "k1")
	for _, p := range []*chattest.Client{ann, bob} {
		m := p.Message("Hello!")
		if m.ID != sent.ID || m.User != ann.Me || m.Key != "k1" || m.Room != "lobby" || m.Node != n1.ID() || m.Time != sent.Time {
			t.Errorf("%s got %s", p.Me.Name, m.Raw)
		}
	}
	if sent.Duplicate || sent.Seq() != 1 {
		t.Errorf("sent: %s", sent.Raw)
	}
}

func TestOrderAndExactlyOnceOnThreeNodes(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	const perSender, senders = 60, 6
	var nodes []*testNode
	for range 3 {
		nodes = append(nodes, startNode(t, b.URL(), "--rate=0"))
	}
	var all []*chattest.Client
	for i := range senders {
		all = append(all, chattest.Enter(t, nodes[i%3].url, fmt.Sprintf("sender-%d", i), "busy"))
	}
	var work sync.WaitGroup
	for i, p := range all {
		work.Go(func() {
			for n := range perSender {
				p.Send("send", "room", "busy", "text", fmt.Sprintf("%d/%d", i, n), "key", strconv.Itoa(n))
			}
		})
	}
	work.Wait()
	for _, p := range all {
		seen := make([]int, senders) // number of each sender's messages, in its order
		for want := 1; want <= senders*perSender; want++ {
			m := p.Next("message")
			if m.Seq() != want {
				t.Fatalf("%s: want seq %d, got %s", p.Me.Name, want, m.Raw)
			}
			var sender, n int
			if _, err := fmt.Sscanf(m.Text, "%d/%d", &sender, &n); err != nil || seen[sender] != n {
				t.Fatalf("%s: out of the sender's order: %s, want %d", p.Me.Name, m.Text, seen[sender])
			}
			seen[sender]++
		}
	}
}

func TestResendOnAnotherNodeIsDuplicate(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n1, n2 := startNode(t, b.URL()), startNode(t, b.URL())
	ann := chattest.Enter(t, n1.url, "Ann", "lobby")
	first := ann.Say("lobby", "once", "k1")
	again := chattest.Dial(t, n2.url)
	again.Hello("token", ann.Token)
	if again.Me != ann.Me {
		t.Fatalf("the token of %[2]v belongs to %[1]v", again.Me, ann.Me)
	}
	again.Join("lobby")
	second := again.Say("lobby", "once", "k1")
	if !second.Duplicate || second.ID != first.ID || second.Time != first.Time {
		t.Errorf("first %s, then %s", first.Raw, second.Raw)
	}
	// The same key of another user is a different key.
	bob := chattest.Enter(t, n2.url, "Bob", "lobby")
	if f := bob.Say("lobby", "mine", "k1"); f.Duplicate {
		t.Errorf("the key of another user: %s", f.Raw)
	}
	if m := ann.Message("mine"); m.Seq() != 2 {
		t.Errorf("want seq 2: %s", m.Raw)
	}
}

func TestAfterOnAnotherNodeRecoversAll(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n1, n2 := startNode(t, b.URL(), "--rate=0"), startNode(t, b.URL(), "--rate=0")
	ann := chattest.Enter(t, n1.url, "Ann", "lobby")
	var cursor string
	const n = 300
	for i := 1; i <= n; i++ {
		f := ann.Say("lobby", strconv.Itoa(i), strconv.Itoa(i))
		if i == 10 {
			cursor = f.ID
		}
	}
	bob := chattest.Dial(t, n2.url)
	bob.Hello()
	j := bob.Join("lobby", "after", cursor)
	if !j.Recovered || len(j.Messages) != n-10 {
		t.Fatalf("recovered %v, %d messages", j.Recovered, len(j.Messages))
	}
	for i, m := range j.Messages {
		if m.Seq() != 11+i {
			t.Fatalf("message %d has seq %d", i, m.Seq())
		}
	}
	if j.Head != j.Messages[len(j.Messages)-1].ID {
		t.Errorf("head %s", j.Head)
	}
}

func TestANameIsHeldOnce(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, redisURL string) {
		n1, n2 := startNode(t, redisURL), startNode(t, redisURL)
		ann := chattest.Dial(t, n1.url)
		ann.Hello("name", "Ann Ｓtraße")
		bob := chattest.Dial(t, n2.url)
		for _, same := range []string{"Ann Ｓtraße", "aNN STRASSE", " ann ｓTRAßE "} {
			bob.Send("hello", "name", same)
			bob.Error("name_taken")
		}
		bob.Hello("name", "Bob")
		bob.Send("rename", "name", "ANN STRASSE")
		bob.Error("name_taken")
		ann.Send("rename", "name", "Ännchen")
		if f := ann.Next("renamed"); f.User.Name != "Ännchen" || f.User.ID != ann.Me.ID {
			t.Fatalf("renamed: %s", f.Raw)
		}
		bob.Send("rename", "name", "Ann Strasse") // the name is free now
		bob.Next("renamed")
		// The name is free once its user is gone.
		_ = ann.Conn.Close()
		chattest.Eventually(t, "the name to be free", func() bool {
			p := chattest.Dial(t, n2.url)
			defer p.Conn.Close()
			p.Send("hello", "name", "ännchen")
			return p.Next("welcome", "error").Type == "welcome"
		})
	})
}
