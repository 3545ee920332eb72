package program_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/client"

	"example.com/chat/internal/chattest"
)

// checked is a load, each message of which is followed from its sender to every member.
type checked struct {
	t        *testing.T
	members  []*client.Session
	mu       sync.Mutex // guards the fields below
	got      [][]client.Entry
	odd      []string          // gaps and resets that members received
	accepted map[string]string // text to id
}

// startChecked has one member at each node, a client that reconnects by itself.
func startChecked(t *testing.T, urls []string) *checked {
	t.Helper()
	c := &checked{t: t, got: make([][]client.Entry, len(urls)), accepted: make(map[string]string)}
	for i, u := range urls {
		s, err := client.Open(t.Context(), client.Options{URL: u})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		c.members = append(c.members, s)
		err = s.Follow(t.Context(), "load", client.Follow{Handle: func(u client.Update) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if u.Kind == client.KindEntry {
				c.got[i] = append(c.got[i], u.Entry)
			} else {
				c.odd = append(c.odd, fmt.Sprintf("member %d: kind %v after %d entries", i, u.Kind, len(c.got[i])))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// run lets each member send n messages, while fault runs. fault is stopped when all are
// sent.
func (c *checked) run(n int, fault func(stop <-chan struct{})) {
	c.t.Helper()
	stop := make(chan struct{})
	var faults, senders sync.WaitGroup
	if fault != nil {
		faults.Go(func() { fault(stop) })
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 90*time.Second)
	defer cancel()
	for i, s := range c.members {
		senders.Go(func() {
			for k := range n {
				text := fmt.Sprintf("%d/%d", i, k)
				sent, err := s.Send(ctx, "load", text, strconv.Itoa(k))
				if err != nil {
					c.t.Errorf("%s: %v", text, err)
					return
				}
				c.mu.Lock()
				c.accepted[text] = sent.ID
				c.mu.Unlock()
			}
		})
	}
	senders.Wait()
	close(stop)
	faults.Wait()
}

// verify checks that every member has every accepted message once, under its id, in the
// order of the log, and nothing else.
func (c *checked) verify() {
	c.t.Helper()
	chattest.Eventually(c.t, "every member to have all", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, list := range c.got {
			if len(list) < len(c.accepted) {
				return false
			}
		}
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, list := range c.got {
		seen := make(map[string]bool)
		last := int64(0)
		for _, e := range list {
			id, text := e.ID, e.Text
			seq := chattest.Frame{ID: id}.Seq()
			if last != 0 && int64(seq) != last+1 {
				c.t.Errorf("member %d: %d follows %d", i, seq, last)
			}
			last = int64(seq)
			if seen[text] {
				c.t.Errorf("member %d has %q twice", i, text)
			}
			seen[text] = true
			if want := c.accepted[text]; want != "" && want != id {
				c.t.Errorf("%q was accepted as %s and delivered as %s", text, want, id)
			}
		}
		for text := range c.accepted {
			if !seen[text] {
				c.t.Errorf("member %d lacks %q", i, text)
			}
		}
	}
	if len(c.odd) > 0 {
		c.t.Errorf("gaps or resets without a loss: %v", c.odd)
	}
}

// Redis may close every connection at any time, and lose its scripts.
func TestNothingIsLostWhileRedisCutsConnections(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var urls []string
	for range 3 {
		urls = append(urls, startNode(t, server.URL, "--rate=0").url)
	}
	admin := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer admin.Close()
	c := startChecked(t, urls)
	c.run(150, func(stop <-chan struct{}) {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			switch i % 3 {
			case 0:
				admin.ClientKillByFilter(t.Context(), "TYPE", "pubsub")
			case 1:
				admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes")
			case 2:
				admin.ScriptFlush(t.Context())
			}
		}
	})
	c.verify()
}

// Redis is killed and restarts with its append-only file. Acknowledged messages are in
// it; others are sent again under their keys.
func TestNothingIsLostWhenRedisIsKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	var urls []string
	for range 3 {
		urls = append(urls, startNode(t, server.URL, "--rate=0").url)
	}
	c := startChecked(t, urls)
	c.run(40, nil)
	server.Kill()
	again := make(chan struct{})
	go func() { // ends with the load, which the test waits for
		defer close(again)
		c.run(40, nil) // with keys that were accepted: each is a duplicate
	}()
	chattest.Eventually(t, "the node to lose Redis", func() bool {
		var answer chattest.Frame
		return chattest.GetJSON(t, urls[0]+"/readyz", &answer) == 503
	})
	server.Restart()
	<-again
	c.verify()
}

// A node is killed under load; its member continues at another node.
func TestNothingIsLostWhenANodeIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	nodes := startNodes(t, 3, b.URL(), "--rate=0")
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.URL(1))
	}
	c := startChecked(t, urls)
	c.run(100, func(stop <-chan struct{}) {
		chattest.Eventually(t, "the load to start", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.accepted) > 60
		})
		nodes[0].Signal(syscall.SIGKILL)
		<-stop
	})
	c.verify()
}

// A node that was frozen for longer than its lease is thawed, gets a new lease, and
// catches up. Its members and their presence are as before.
func TestAFrozenNodeWakesUp(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	nodes := startNodes(t, 2, b.URL())
	bob := chattest.Enter(t, nodes[1].URL(1), "Bob", "lobby")
	ann := chattest.Enter(t, nodes[0].URL(1), "Ann", "lobby")
	for !chattest.Seen(bob.Next("presence").Joined, ann.Me.ID) {
	}
	nodes[0].Signal(syscall.SIGSTOP)
	for !chattest.Seen(bob.Next("presence").Left, ann.Me.ID) {
	}
	bob.Say("lobby", "said meanwhile", "1")
	nodes[0].Signal(syscall.SIGCONT)
	ann.Message("said meanwhile")
	for !chattest.Seen(bob.Next("presence").Joined, ann.Me.ID) {
	}
	ann.Say("lobby", "awake", "1")
	bob.Message("awake")
	bob.Send("members", "room", "lobby")
	if f := bob.Next("members"); f.Count != 2 || !chattest.Seen(f.Members, ann.Me.ID) {
		t.Errorf("members: %s", f.Raw)
	}
}

// Nodes are replaced one after the other under load, as in a rolling restart: each
// drains, and ends with status 0.
func TestNothingIsLostWhileNodesAreReplaced(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	nodes := startNodes(t, 2, b.URL(), "--rate=0")
	c := startChecked(t, []string{nodes[0].URL(1), nodes[1].URL(1)})
	c.run(200, func(<-chan struct{}) {
		for round, old := range nodes {
			chattest.Eventually(t, "the load to start", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return len(c.accepted) > 100*(round+1)
			})
			fresh := startProgram(t, []string{"CHAT_REDIS=" + b.URL()}, "--addr=127.0.0.1:0", "--rate=0", "--node-id="+fmt.Sprintf("new%d", round))
			fresh.URL(1)
			old.Signal(syscall.SIGTERM)
			if status := old.Wait(); status != 0 {
				t.Errorf("a drained node ended with %d: %s", status, old.Errs())
			}
		}
	})
	c.verify()
}
