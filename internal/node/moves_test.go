package node_test

import (
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/client"
)

// The Go client moves from a node that is cut off from Redis to one that is not, and
// misses nothing.
func TestAClientLeavesANodeWithoutRedis(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	u, err := url.Parse(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := lay(t, u.Host)
	u.Host = c.listener.Addr().String()
	one, two := startNode(t, u.String(), "--node-id=one"), startNode(t, b.URL(), "--node-id=two")
	chattest.Eventually(t, "the nodes to know each other", func() bool {
		one.Broker().Hurry()
		return one.Broker().Statuses()["two"].State == "ready"
	})
	s, err := client.Open(t.Context(), client.Options{URL: one.url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var heard, odd atomic.Int64
	err = s.Follow(t.Context(), "lobby", client.Follow{Handle: func(u client.Update) {
		if u.Kind == client.KindEntry {
			heard.Add(1)
		} else {
			odd.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	me := s.User()
	ann := chattest.Enter(t, two.url, "Ann", "lobby")
	c.set(true)
	for i := range 20 {
		ann.Say("lobby", fmt.Sprint(i), fmt.Sprint(i))
	}
	sent, err := s.Send(t.Context(), "lobby", "here I am", "k") // node one can't append the message
	if err != nil || sent.ID == "" {
		t.Errorf("sent %+v, %v", sent, err)
	}
	chattest.Eventually(t, "all messages", func() bool { return heard.Load() == 21 })
	if s.Node().ID != "two" || s.User() != me || odd.Load() > 0 {
		t.Errorf("at %s as %v, before as %v, with %d gaps", s.Node().ID, s.User(), me, odd.Load())
	}
}
