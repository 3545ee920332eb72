package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.com/chat/internal/chattest/fakenode"
	"example.com/chat/internal/protocol"
)

// A message for which nodes close the connection must not be repeated without end, nor
// delay the others.
func TestAMessageThatEndsItsConnectionFailsAlone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault fakenode.Fault
		code  protocol.Code
	}{
		"1009":         {fakenode.Fault{Close: 1009}, protocol.CodeTooLong},
		"1007":         {fakenode.Fault{Close: 1007}, protocol.CodeBadField},
		"1003":         {fakenode.Fault{Close: 1003}, protocol.CodeBadField},
		"unnamed":      {fakenode.Fault{Raw: `{"type":"error","code":"bad_json","message":"send JSON"}`}, protocol.CodeBadJSON},
		"key only":     {fakenode.Fault{Raw: `{"type":"error","code":"bad_json","message":"send JSON","key":"bad"}`}, protocol.CodeBadJSON},
		"no such room": {fakenode.Fault{Raw: `{"type":"error","code":"bad_field","message":"no","room":"lobby","key":"bad"}`}, protocol.CodeBadField},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fakenode.New()
			n := c.Start(t)
			f := open(t, Options{URL: n.URL})
			f.follow(t, "lobby", 0)
			n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
				if cmd.Type == "send" && cmd.Key == "bad" {
					return &test.fault
				}
				return nil
			})
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					if _, err := f.Send(t.Context(), "lobby", fmt.Sprint(i), NewKey()); err != nil {
						t.Errorf("message %d: %v", i, err)
					}
				})
			}
			_, err := f.Send(t.Context(), "lobby", "bad", "bad")
			var refused *protocol.Error
			if !errors.As(err, &refused) || refused.Code != test.code || errors.Is(err, ErrUnknown) {
				t.Errorf("the bad message: %v", err)
			}
			all.Wait()
			f.say(t, "lobby", "last")
			texts := c.Texts("lobby")
			slices.Sort(texts)
			if len(texts) != 21 || len(slices.Compact(texts)) != 21 {
				t.Errorf("the log holds %d: %q", len(texts), texts)
			}
			tries := 0
			for _, cmd := range n.Heard("send") {
				if cmd.Key == "bad" {
					tries++
				}
			}
			if tries > 3 {
				t.Errorf("sent %d times", tries)
			}
		})
	}
}

func TestCommandsBeyondTheLimitsAreNotSent(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	f.follow(t, "lobby", 0)
	for name, do := range map[string]func() error{
		"a text": func() error {
			_, err := f.Send(t.Context(), "lobby", strings.Repeat("é", 2001), "k")
			return err
		},
		"a text that grows": func() error {
			_, err := f.Send(t.Context(), "lobby", strings.Repeat("x", 3998)+"\xff", "k")
			return err
		},
		"an edit": func() error {
			_, err := f.Do(t.Context(), protocol.EditCommand{Room: "lobby", Text: strings.Repeat("x", 4001), Key: "k"})
			return err
		},
		"a name": func() error {
			_, err := f.Do(t.Context(), protocol.RenameCommand{Name: strings.Repeat("x", 1e6)})
			return err
		},
	} {
		var refused *protocol.Error
		if err := do(); !errors.As(err, &refused) || refused.Code != protocol.CodeTooLong || !strings.Contains(err.Error(), "at most") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list := append(n.Heard("send"), append(n.Heard("edit"), n.Heard("rename")...)...); len(list) > 0 {
		t.Errorf("sent %d commands", len(list))
	}
	f.say(t, "lobby", "half a character: \xf0\x9f\x98")
	if got := c.Texts("lobby"); !slices.Equal(got, []string{"half a character: \ufffd"}) {
		t.Errorf("the log holds %q", got)
	}
	// Commands without such a check are still encoded as valid UTF-8.
	if _, err := f.Do(t.Context(), protocol.RenameCommand{Name: "\xff"}); err == nil || !strings.Contains(err.Error(), "unknown_type") {
		t.Errorf("rename: %v", err)
	}
	if got := n.Heard("rename"); len(got) != 1 || got[0].Name != "\ufffd" {
		t.Errorf("heard %+v", got)
	}
	if _, err := f.Send(t.Context(), "lobby", "x", ""); err == nil || !strings.HasPrefix(err.Error(), "bad_field") {
		t.Errorf("without a key: %v", err)
	}
}
