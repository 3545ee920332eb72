package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/chat/internal/chattest/fakenode"
)

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

// A key belongs to its user, so a Session that has become another user can't repeat a
// message under it. A message that was accepted is found in the room.
func TestLostIdentity(t *testing.T) {
	t.Parallel()
	for _, renews := range []bool{false, true} { // if false the node refuses the token
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
			t.Errorf("a message that was accepted: %+v, %v", sent, err)
		}
		if now := f.User(); now.Name != "Ann" || now.ID == me.ID {
			t.Errorf("was %v, is %v", me, now)
		}
		if notice := f.last(); !notice.Renewed || !notice.Again {
			t.Errorf("notice %+v", notice)
		}
		obey = false
		c.Forget()
		if _, err := f.Send(t.Context(), "lobby", "never", "k2"); !errors.Is(err, ErrUnknown) {
			t.Errorf("a message that was not accepted: %v", err)
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
