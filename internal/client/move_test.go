package client

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/fakenode"
)

// A node that still sends events but answers no command is left after Timing.Stall,
// and not only after Timing.Reply.
func TestAStalledCommandFindsAnotherConnection(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n1 := c.Start(t)
	c.Start(t)
	f := open(t, Options{URL: n1.URL})
	f.follow(t, "lobby", 0)
	n1.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type == "send" {
			return &fakenode.Fault{Silent: true, Obey: cmd.Text == "entered"}
		}
		return nil
	})
	began := time.Now()
	for _, text := range []string{"entered", "not entered"} {
		f.say(t, "lobby", text)
	}
	if took := time.Since(began); took < quick.Stall || took > quick.Reply+quick.Stall {
		t.Errorf("took %s", took)
	}
	if got := c.Texts("lobby"); !slices.Equal(got, []string{"entered", "not entered"}) {
		t.Errorf("the log holds %q", got)
	}
	f.wants(t, "entered", "not entered")
	if f.Node().ID != "n2" || !strings.Contains(f.losses(), "does not answer") {
		t.Errorf("at %s: %s", f.Node().ID, f.losses())
	}
	chattest.Eventually(t, "the end of the old connection", func() bool { return n1.Peers() == 0 })
}

// If the search finds no better connection the old one stays in use, and its late
// answer counts.
func TestAStalledCommandIsAnsweredLate(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	f.follow(t, "lobby", 0)
	ref, hellos := "", 0
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		switch cmd.Type {
		case "send":
			ref = string(cmd.Ref)
			return &fakenode.Fault{Silent: true}
		case "hello":
			if hellos++; hellos == 1 {
				answer := fmt.Sprintf(`{"type":"sent","ref":%s,"room":"lobby","key":"k","id":"5-1"}`, ref)
				go n.Push(answer) // once this call has returned
			}
			return &fakenode.Fault{Code: "unavailable"}
		}
		return nil
	})
	if sent, err := f.Send(t.Context(), "lobby", "text", "k"); err != nil || sent.ID != "5-1" {
		t.Errorf("%+v, %v", sent, err)
	}
	if l := f.losses(); l != "" {
		t.Errorf("lost: %s", l)
	}
}

// A client leaves a node that has lost Redis for another that has not.
func TestANodeCutOffFromRedisIsLeft(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n1, n2, n3 := c.Start(t), c.Start(t), c.Start(t)
	f := open(t, Options{URL: n1.URL})
	f.follow(t, "lobby", 0)
	down := func(nodes ...*fakenode.Node) string {
		var list []string
		for _, n := range nodes {
			list = append(list, fmt.Sprintf(`{"id":%q,"url":%q}`, n.ID, n.URL))
		}
		return `{"type":"status","broker":"down","nodes":[` + strings.Join(list, ",") + `]}`
	}
	n1.Push(`{"type":"status","broker":"down"}`) // without others to move to
	c.Say("lobby", "1")
	f.wants(t, "1")
	n1.Push(down(n1, n2)) // the node that lost Redis is not a candidate
	c.Say("lobby", "2")
	chattest.Eventually(t, "the move", func() bool { return f.Node().ID == "n2" && n2.Peers() == 1 && n1.Peers() == 0 })
	f.wants(t, "1", "2")

	// If all nodes lose Redis, each is tried once.
	n2.Push(down(n1, n3))
	chattest.Eventually(t, "the second move", func() bool { return f.Node().ID == "n3" && n3.Peers() == 1 })
	n3.Push(down(n1, n2))
	c.Say("lobby", "3")
	f.wants(t, "1", "2", "3")
	if f.Node().ID != "n3" || len(n1.Heard("hello"))+len(n2.Heard("hello"))+len(n3.Heard("hello")) != 3 {
		t.Errorf("at %s", f.Node().ID)
	}
	// A node that reaches Redis again is a candidate again.
	n3.Push(`{"type":"status","broker":"up"}`)
	n3.Push(`{"type":"status","broker":"down"}`)
	n4 := c.Start(t)
	n3.Push(down(n4))
	chattest.Eventually(t, "the third move", func() bool { return f.Node().ID == "n4" })
}
