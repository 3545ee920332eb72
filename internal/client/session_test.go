package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
				t.Errorf("went on at %s", f.Node().ID)
			}
			if f.User() != me {
				t.Errorf("was %v, is %v", me, f.User())
			}
			c.Say("lobby", "71")
			f.wants(t, numbers(1, 71)...)
		})
	}
}

func TestNewestEntries(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	for i := 1; i <= 620; i++ {
		c.Say("long", fmt.Sprint(i))
	}
	c.Say("short", "1")
	for _, test := range []struct {
		room   string
		newest int
		from   int
	}{{"long", 0, 621}, {"long", 7, 614}, {"long", 50, 571}, {"long", 51, 570}, {"long", 300, 321}, {"long", 1000, 1}} {
		f := open(t, Options{URL: n.URL})
		f.follow(t, test.room, test.newest)
		f.wants(t, numbers(test.from, 620)...)
	}
	f := open(t, Options{URL: n.URL})
	f.follow(t, "short", 1000)
	f.wants(t, "1")
}

func TestLossWhileOlderEntriesAreFetched(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n1 := c.Start(t)
	c.Start(t)
	for i := 1; i <= 500; i++ {
		c.Say("long", fmt.Sprint(i))
	}
	pages := 0
	n1.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "history" {
			return nil
		}
		if pages++; pages == 2 {
			return &fakenode.Fault{Cut: true}
		}
		return nil
	})
	f := open(t, Options{URL: n1.URL})
	f.follow(t, "long", 400)
	c.Say("long", "501")
	f.wants(t, numbers(101, 501)...)
}

func TestGapAndReset(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n1 := c.Start(t)
	f := open(t, Options{URL: n1.URL})
	f.follow(t, "lobby", 50)
	c.Say("lobby", "1")
	f.wants(t, "1")
	n1.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type == "hello" {
			return &fakenode.Fault{Code: "unavailable"}
		}
		return nil
	})
	n1.Cut()
	chattest.Eventually(t, "a try to come back", func() bool { return len(n1.Heard("hello")) > 1 })
	for i := 2; i <= 100; i++ {
		c.Say("lobby", fmt.Sprint(i))
	}
	c.Trim("lobby", 3)
	n1.Faulty(nil)
	want := []string{"1", "gap", "98", "99", "100"}
	f.wants(t, want...)
	c.Wipe("lobby", true)
	c.Say("lobby", "a")
	c.Say("lobby", "b")
	want = append(want, "reset", "a", "b")
	f.wants(t, want...)
	// A log that was replaced while nobody was there to be told.
	n1.Cut()
	c.Wipe("lobby", false)
	c.Say("lobby", "c")
	want = append(want, "reset", "c")
	f.wants(t, want...)
}

// A room that was empty counted as never joined: what was said while the
// connection was away, and was gone when it came back, was no gap.
func TestEmptyRoomIsResumed(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	f.follow(t, "lobby", 50)
	n.Cut()
	c.Say("lobby", "1")
	f.wants(t, "1")
	if joins := n.Heard("join"); joins[len(joins)-1].After != "0-0" {
		t.Errorf("joined after %q", joins[len(joins)-1].After)
	}

	f = open(t, Options{URL: n.URL})
	f.follow(t, "busy", 50)
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type == "hello" {
			return &fakenode.Fault{Code: "unavailable"}
		}
		return nil
	})
	n.Cut()
	for i := 1; i <= 100; i++ {
		c.Say("busy", fmt.Sprint(i))
	}
	c.Trim("busy", 3)
	n.Faulty(nil)
	f.wants(t, "gap", "98", "99", "100")
}

func TestAfter(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	var ids []string
	for i := 1; i <= 80; i++ {
		ids = append(ids, c.Say("lobby", fmt.Sprint(i)))
	}
	after := func(id string) *follower {
		f := open(t, Options{URL: n.URL})
		if err := f.Follow(t.Context(), "lobby", Follow{After: id, Handle: f.update}); err != nil {
			t.Fatal(err)
		}
		return f
	}
	after(ids[9]).wants(t, numbers(11, 80)...)
	after("1-2").wants(t, append([]string{"gap"}, numbers(31, 80)...)...)
	after("1-2000").wants(t, append([]string{"gap"}, numbers(31, 80)...)...)
}

// The node promises no holes; if one comes nevertheless, the log decides.
func TestHoleIsFilledFromTheLog(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	f.follow(t, "lobby", 50)
	c.Say("lobby", "1")
	c.Publish("lobby", `{"type":"message","room":"lobby","id":"1764000000009-9","text":"from nowhere"}`)
	c.Publish("lobby", `{"type":"message","room":"lobby","id":"1764000000001-1","text":"old news"}`)
	c.Say("lobby", "2")
	f.wants(t, "1", "2")
	c.Say("lobby", "3")
	f.wants(t, "1", "2", "3")
}

func TestSendWhoseAnswerIsLostIsDuplicate(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fakenode.Fault{
		"cut":    {Obey: true, Cut: true},
		"1012":   {Obey: true, Close: 1012},
		"silent": {Obey: true, Silent: true},
		"wrong":  {Obey: true, Raw: `{"type":"sent","ref":"r3","room":"lobby","key":"other","id":"1-1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fakenode.New()
			n1 := c.Start(t)
			c.Start(t)
			f := open(t, Options{URL: n1.URL})
			f.say(t, "lobby", "first")
			n1.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
				if cmd.Type == "send" {
					return &fault
				}
				return nil
			})
			sent := f.say(t, "lobby", "once")
			if !sent.Duplicate || sent.ID == "" {
				t.Errorf("sent: %+v", sent)
			}
			if got := c.Texts("lobby"); !slices.Equal(got, []string{"first", "once"}) {
				t.Errorf("the log holds %q", got)
			}
		})
	}
}

func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"hello", "join", "send"} {
		for _, code := range []string{"unavailable", "rate_limited"} {
			t.Run(command+" "+code, func(t *testing.T) {
				t.Parallel()
				c := fakenode.New()
				c.Rate = 1000
				n := c.Start(t)
				refusals := 0
				n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
					if cmd.Type != command || refusals >= 3 {
						return nil
					}
					refusals++
					return &fakenode.Fault{Code: code, RetryAfter: 5}
				})
				f := open(t, Options{URL: n.URL})
				if sent := f.say(t, "lobby", "hello"); sent.Duplicate {
					t.Errorf("sent: %+v", sent)
				}
				if got := c.Texts("lobby"); !slices.Equal(got, []string{"hello"}) {
					t.Errorf("the log holds %q", got)
				}
				keys := make(map[string]bool)
				for _, cmd := range n.Heard("send") {
					keys[cmd.Key] = true
				}
				if len(keys) != 1 || len(n.Heard(command)) != 4 {
					t.Errorf("%d keys, heard %v", len(keys), n.Heard(command))
				}
			})
		}
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

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	f.say(t, "lobby", "first")
	ctx, cancel := context.WithCancel(t.Context())
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "send" {
			return nil
		}
		cancel()
		return &fakenode.Fault{Silent: true}
	})
	if _, err := f.Send(ctx, "lobby", "second", "k"); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	n.Kill()
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := f.Send(ctx, "lobby", "third", "k"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

// Keys count for their user alone: one who is another user after the connection was
// lost can't send again under the old key. What was entered is found in the room.
func TestLostIdentity(t *testing.T) {
	t.Parallel()
	for _, renews := range []bool{false, true} { // else the node refuses the token
		c := fakenode.New()
		c.Renew(renews)
		n := c.Start(t)
		f := open(t, Options{URL: n.URL, Name: "Ann"})
		f.follow(t, "lobby", 50)
		me := f.User()
		obey := true
		n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
			if cmd.Type == "send" && cmd.Text != "again" {
				return &fakenode.Fault{Obey: obey, Cut: true}
			}
			return nil
		})
		c.Forget()
		sent, err := f.Send(t.Context(), "lobby", "once", "k")
		if err != nil || sent.ID == "" || !sent.Duplicate {
			t.Errorf("a message that was entered: %+v, %v", sent, err)
		}
		if now := f.User(); now.Name != "Ann" || now.ID == me.ID {
			t.Errorf("was %v, is %v", me, now)
		}
		if notice := f.last(); !notice.Renewed || !notice.Again {
			t.Errorf("told %+v", notice)
		}
		obey = false
		c.Forget()
		if _, err := f.Send(t.Context(), "lobby", "never", "k2"); !errors.Is(err, ErrUnknown) {
			t.Errorf("a message that was not entered: %v", err)
		}
		f.say(t, "lobby", "again")
		f.wants(t, "once", "again")
	}
}

func TestSendsStayUnderTheRate(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	c.Rate, c.Burst = 200, 5
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	began := time.Now()
	for i := 1; i <= 25; i++ {
		f.say(t, "lobby", fmt.Sprint(i))
	}
	// 4 at once, and 21 at 190 a second.
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("25 messages took %s", took)
	}
	if got := c.Texts("lobby"); !slices.Equal(got, numbers(1, 25)) {
		t.Errorf("the log holds %q", got)
	}
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
