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
	// The log is replaced while the client is not connected.
	n1.Cut()
	c.Wipe("lobby", false)
	c.Say("lobby", "c")
	want = append(want, "reset", "c")
	f.wants(t, want...)
}

// The cursor of an empty room is "0-0": entries that are appended and dropped while the
// client is not connected are a gap.
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

// Nodes promise events without holes. If there is one, the room is joined again.
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

// On a slow link a connection may end before a long joined is complete. The cursor moves
// with each piece, so the next connection continues after it.
func TestWhatArrivedOfAJoinedIsKept(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	for i := 1; i <= 60; i++ {
		c.Say("lobby", fmt.Sprint(i))
	}
	// Each connection gets seven entries and no more.
	c.Pieces(7, true)
	f := open(t, Options{URL: n.URL})
	f.opts.Timing.Rest = time.Minute // longer than this test
	cut := func(joins int, done func() bool) {
		t.Helper()
		chattest.Eventually(t, "all pieces", func() bool {
			if done() {
				return true
			}
			if now := len(n.Heard("join")); now > joins {
				joins = now
				n.Cut()
			}
			return false
		})
	}
	followed := make(chan error, 1)
	go func() { followed <- f.Follow(t.Context(), "lobby", Follow{Newest: 30, Handle: f.update}) }() // ends below
	cut(0, func() bool { return len(followed) == 1 })
	if err := <-followed; err != nil {
		t.Fatal(err)
	}
	f.wants(t, numbers(31, 60)...)
	for i := 61; i <= 200; i++ {
		c.Say("lobby", fmt.Sprint(i))
	}
	joins := len(n.Heard("join"))
	n.Cut()
	cut(joins, func() bool { return len(f.seen()) >= 170 })
	f.wants(t, numbers(31, 200)...)
}

func TestPiecesOfAJoined(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	var ids []string
	for i := 1; i <= 300; i++ {
		ids = append(ids, c.Say("lobby", fmt.Sprint(i)))
	}
	c.Pieces(7, false)
	for _, follow := range []Follow{{Newest: 7}, {Newest: 50}, {Newest: 200}, {After: ids[99]}, {After: "0-0"}, {Newest: 0}} {
		f := open(t, Options{URL: n.URL})
		follow.Handle = f.update
		if err := f.Follow(t.Context(), "lobby", follow); err != nil {
			t.Fatal(err)
		}
		from := 301 - follow.Newest
		if follow.After != "" {
			from = slices.Index(ids, follow.After) + 2
		}
		// Follow returns after all updates.
		if got := f.seen(); !slices.Equal(got, numbers(from, 300)) {
			t.Errorf("%+v: got %q", follow, got)
		}
		if joins := n.Heard("join"); len(joins) == 0 {
			t.Error("no join")
		}
	}
	if joins := n.Heard("join"); len(joins) != 6 {
		t.Errorf("%d joins", len(joins))
	}
}

// The newest entry of a room may be a change, which messages as they stand do not
// contain.
func TestMessagesAsTheyStandThatEndBeforeTheHead(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "join" {
			return nil
		}
		n.PushLater(`{"type":"message","room":"lobby","id":"5-2","text":"two"}`)
		return &fakenode.Fault{Raw: fmt.Sprintf(`{"type":"joined","ref":%s,"room":"lobby","head":"9-4","recovered":false,"more":true,
			"messages":[{"id":"5-1","room":"lobby","text":"one","edited":7,"reactions":[{"emoji":"👍","count":2,"users":["a","b"]}]}]}`, cmd.Ref)}
	})
	f := open(t, Options{URL: n.URL})
	f.follow(t, "lobby", 50)
	f.wants(t, "one", "two")
	// The next entry shows whether something was missing after them.
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "join" {
			return nil
		}
		return &fakenode.Fault{Raw: fmt.Sprintf(`{"type":"joined","ref":%s,"room":"lobby","head":"9-5","recovered":true,
			"messages":[{"id":"9-4","room":"lobby","kind":"later","text":"four"},{"id":"9-5","room":"lobby","text":"five"}]}`, cmd.Ref)}
	})
	n.Push(`{"type":"message","room":"lobby","id":"9-5","text":"five"}`)
	f.wants(t, "one", "two", "four", "five")
	if joins := n.Heard("join"); len(joins) != 2 || joins[1].After != "5-2" {
		t.Errorf("joined %+v", joins)
	}
	// The entry of the head ends the wait at once.
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "join" {
			return nil
		}
		n.PushLater(`{"type":"message","room":"other","id":"5-2","text":"two"}`)
		n.PushLater(`{"type":"message","room":"other","id":"9-4","kind":"edit","target":"5-2","text":"two"}`)
		n.PushLater(`{"type":"message","room":"other","id":"9-5","kind":"edit","target":"5-2","text":"three"}`)
		return &fakenode.Fault{Raw: fmt.Sprintf(`{"type":"joined","ref":%s,"room":"other","head":"9-4","recovered":false,"more":true,
			"messages":[{"id":"5-1","room":"other","text":"one"}]}`, cmd.Ref)}
	})
	f = open(t, Options{URL: n.URL})
	f.follow(t, "other", 50)
	f.wants(t, "one", "two", "three")
}

// A reconnecting client joins its rooms by the hello, without a command for each.
func TestRoomsAreJoinedByTheHello(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	f := open(t, Options{URL: n.URL})
	f.follow(t, "one", 0)
	f.follow(t, "two", 0)
	f.follow(t, "three", 0)
	c.Say("two", "2")
	f.wants(t, "2")
	before := len(n.Heard("join"))
	refusals := 0
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type == "join" && cmd.Room == "one" && refusals == 0 {
			refusals++
			return &fakenode.Fault{Code: "unavailable"}
		}
		return nil
	})
	n.Cut()
	c.Say("one", "1")
	c.Say("three", "3")
	chattest.Eventually(t, "all rooms", func() bool { return len(f.seen()) == 3 })
	joins := n.Heard("join")[before:]
	slices.SortStableFunc(joins, func(a, b fakenode.Command) int { return strings.Compare(string(a.Ref), string(b.Ref)) })
	for i, cmd := range joins {
		if byHello := i < 3; byHello != (cmd.Ref == nil) || len(joins) != 4 || !byHello && cmd.Room != "one" || cmd.After == "" {
			t.Errorf("joined %+v", joins)
		}
	}
	f.say(t, "three", "still there")
}

// The rest of a recovery may be late, as the node reads it from Redis.
func TestARecoveryIsNotCompleteBeforeItsHead(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "join" {
			return nil
		}
		return &fakenode.Fault{Raw: fmt.Sprintf(`{"type":"joined","ref":%s,"room":"lobby","head":"5-3","recovered":true,"more":true,
			"messages":[{"id":"5-1","room":"lobby","text":"one"}]}`, cmd.Ref)}
	})
	f := open(t, Options{URL: n.URL})
	followed := make(chan error, 1)
	go func() { followed <- f.Follow(t.Context(), "lobby", Follow{After: "0-0", Handle: f.update}) }() // ends below
	f.wants(t, "one")
	pings := len(n.Heard("ping"))
	chattest.Eventually(t, "a time longer than Timing.Rest", func() bool { return len(n.Heard("ping")) >= pings+int(2*quick.Rest/quick.Ping)+1 })
	n.Push(`{"type":"message","room":"lobby","id":"5-2","text":"two"}`)
	f.wants(t, "one", "two")
	if len(followed) > 0 {
		t.Error("Follow returned before the head")
	}
	n.Push(`{"type":"message","room":"lobby","id":"5-3","text":"three"}`)
	if err := <-followed; err != nil {
		t.Error(err)
	}
	f.wants(t, "one", "two", "three")
}
