package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/chat/internal/chattest/fakenode"
	"example.com/chat/internal/protocol"

	"example.com/chat/internal/chattest"
)

func TestFollowGoesOnAtAnotherNode(t *testing.T) {
	t.Parallel()
	ends := map[string]func(n *fakenode.Node){
		"killed":   (*fakenode.Node).Kill,
		"frozen":   (*fakenode.Node).Freeze,
		"cut":      (*fakenode.Node).Cut,
		"draining": func(n *fakenode.Node) { n.Close(1012, "restart") },
		"full":     func(n *fakenode.Node) { n.Close(1013, "") },
		"slow":     func(n *fakenode.Node) { n.Close(4008, "") },
		"abuse":    func(n *fakenode.Node) { n.Close(4009, "") },
		"garbage":  func(n *fakenode.Node) { n.Push(`{"type":`) },
		"no type":  func(n *fakenode.Node) { n.Push(`{"room":"lobby"}`) },
		"no id":    func(n *fakenode.Node) { n.Push(`{"type":"message","room":"lobby","id":"x"}`) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fakenode.New()
			n1 := c.Start(t)
			c.Start(t)
			f := open(t, Options{URL: n1.URL})
			f.follow(t, "lobby", 50)
			for i := 1; i <= 5; i++ {
				c.Say("lobby", fmt.Sprint(i))
			}
			f.wants(t, numbers(1, 5)...)
			me := f.User()
			end(n1)
			for i := 6; i <= 70; i++ {
				c.Say("lobby", fmt.Sprint(i))
			}
			f.wants(t, numbers(1, 70)...)
			if name != "slow" && f.Node().ID != "n2" {
				t.Errorf("continued at %s", f.Node().ID)
			}
			if f.User() != me {
				t.Errorf("was %v, is %v", me, f.User())
			}
			c.Say("lobby", "71")
			f.wants(t, numbers(1, 71)...)
		})
	}
}

func TestWhatIsFinal(t *testing.T) {
	t.Parallel()
	for _, code := range []int{4001, 4003, 1009} {
		c := fakenode.New()
		n := c.Start(t)
		f := open(t, Options{URL: n.URL})
		f.follow(t, "lobby", 50)
		n.Close(code, "because")
		<-f.Done()
		var closed *ClosedError
		if err := f.Err(); !errors.As(err, &closed) || closed.Code != code || !strings.Contains(err.Error(), "because") {
			t.Errorf("%d: %v", code, err)
		}
		if _, err := f.Send(t.Context(), "lobby", "text", "k"); !errors.As(err, &closed) {
			t.Errorf("send after %d: %v", code, err)
		}
	}
	c := fakenode.New()
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	f.follow(t, "lobby", 50)
	for text, code := range map[string]protocol.Code{
		strings.Repeat("x", 4001): protocol.CodeTooLong,
		strings.Repeat("x", 1e6):  protocol.CodeTooLong, // which would be closed with 1009
		"":                        protocol.CodeBadField,
	} {
		_, err := f.Send(t.Context(), "lobby", text, NewKey())
		var refused *protocol.Error
		if !errors.As(err, &refused) || refused.Code != code || errors.Is(err, ErrUnknown) {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type == "join" {
			return &fakenode.Fault{Code: "forbidden"}
		}
		return nil
	})
	if err := f.Follow(t.Context(), "private", Follow{Handle: f.update}); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("follow: %v", err)
	}
	n.Cut() // the rejoin is refused too
	f.wants(t, "ended", "ended")
}

func TestSlowHandlerIsNoSilence(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	resume := make(chan struct{})
	pings := func() int { return len(n.Heard("ping")) }
	err := f.Follow(t.Context(), "lobby", Follow{Handle: func(u Update) {
		if u.Entry.Text == "1" {
			<-resume
		}
		f.update(u)
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.Say("lobby", "1")
	before := pings()
	chattest.Eventually(t, "more silence than is allowed", func() bool {
		return pings() > before+int(quick.Gone/quick.Ping)+1
	})
	c.Say("lobby", "2")
	close(resume)
	f.wants(t, "1", "2")
	if l := f.losses(); l != "" {
		t.Errorf("lost: %s", l)
	}
}

func TestCloseWhileLookingForANode(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	f.follow(t, "lobby", 50)
	n.Kill()
	chattest.Eventually(t, "a failed try", func() bool { return strings.Contains(f.losses(), "refused") })
	waiting := make(chan error)
	go func() { // ends with the Session, and is waited for below
		_, err := f.Send(context.Background(), "lobby", "text", "k")
		waiting <- err
	}()
	f.Close()
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("send: %v", err)
	}
	f.Close()
}
