package node_test

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// cable is a proxy of connections to an address, which can be cut.
type cable struct {
	listener net.Listener
	to       string

	mu    sync.Mutex // guards the fields below
	cut   bool
	conns []net.Conn
}

func lay(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: l, to: to}
	go c.serve() // ends with the listener
	t.Cleanup(func() {
		_ = l.Close()
		c.set(true)
	})
	return c
}

func (c *cable) serve() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.to)
		if err != nil || !c.keep(near, far) {
			_ = near.Close()
			continue
		}
		for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
			go func() { // ends with either side
				_, _ = io.Copy(ends[0], ends[1])
				_ = ends[0].Close()
			}()
		}
	}
}

func (c *cable) keep(near, far net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		_ = far.Close()
		return false
	}
	c.conns = append(c.conns, near, far)
	return true
}

// set connects the cable, or cuts it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut = cut; cut {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.conns = nil
	}
}

// A node that is cut off from Redis sends its users the list of ready nodes after some
// seconds. Before, its users stayed.
func TestANodeWithoutRedisTellsWhoIsReady(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	u, err := url.Parse(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := lay(t, u.Host)
	u.Host = c.listener.Addr().String()
	one := startNode(t, u.String(), "--node-id=one")
	two, three := startNode(t, b.URL(), "--node-id=two"), startNode(t, b.URL(), "--node-id=three")
	three.SetDraining()
	three.Broker().Hurry()
	chattest.Eventually(t, "the status of the other nodes to be known", func() bool {
		one.Broker().Hurry()
		all := one.Broker().Statuses()
		return all["two"].State == "ready" && all["three"].State == "draining"
	})
	ann, bob := chattest.Enter(t, one.url, "Ann", "lobby"), ioEnter(t, one.url, "Bob", "lobby")
	c.set(true)
	if f := ann.Next("status"); f.Broker != "down" || strings.Contains(f.Raw, "nodes") {
		t.Errorf("at once: %s", f.Raw)
	}
	if f := bob.next("status"); f.Broker != "down" || strings.Contains(f.Raw, "nodes") {
		t.Errorf("at once: %s", f.Raw)
	}
	for _, f := range []chattest.Frame{ann.Next("status"), bob.next("status")} {
		if f.Broker != "down" || len(f.Nodes) != 1 || f.Nodes[0] != (chattest.Node{ID: "two", URL: two.url}) {
			t.Errorf("after some time: %s", f.Raw)
		}
	}
	if e := one.Sessions().Cluster.Status(one.url); !strings.Contains(string(e.Body), `"nodes":[{"id":"two"`) {
		t.Errorf("a user who connects now: %s", e.Body)
	}
	c.set(false)
	if f := ann.Next("status"); f.Broker != "up" {
		t.Errorf("once Redis is back: %s", f.Raw)
	}
	if e := one.Sessions().Cluster.Status(one.url); strings.Contains(string(e.Body), "nodes") {
		t.Errorf("a hello once Redis is back: %s", e.Body)
	}
	// If Redis itself is down, no other node is ready.
	b.Close()
	chattest.Eventually(t, "the other node to lose Redis too", func() bool { return two.Ready() != nil })
	if ready := one.AskOthers(t.Context()); len(ready) != 0 {
		t.Errorf("without any Redis: %v", ready)
	}
}
