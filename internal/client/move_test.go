package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/fakenode"
)

// A node whose answers were missing was left after 15 s, while others' messages
// still came.
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

// While there is no better connection the old one is kept, and its answer is taken.
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

// Users stayed at a node that was cut off from Redis while others were not.
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
	n1.Push(`{"type":"status","broker":"down"}`) // not for long enough
	c.Say("lobby", "1")
	f.wants(t, "1")
	n1.Push(down(n1, n2)) // its own name is no way out
	c.Say("lobby", "2")
	chattest.Eventually(t, "the move", func() bool { return f.Node().ID == "n2" && n2.Peers() == 1 && n1.Peers() == 0 })
	f.wants(t, "1", "2")

	// All are cut off: each is tried once, and none a second time.
	n2.Push(down(n1, n3))
	chattest.Eventually(t, "the second move", func() bool { return f.Node().ID == "n3" && n3.Peers() == 1 })
	n3.Push(down(n1, n2))
	c.Say("lobby", "3")
	f.wants(t, "1", "2", "3")
	if f.Node().ID != "n3" || len(n1.Heard("hello"))+len(n2.Heard("hello"))+len(n3.Heard("hello")) != 3 {
		t.Errorf("at %s", f.Node().ID)
	}
	// One that says that Redis is back is a way out again.
	n3.Push(`{"type":"status","broker":"up"}`)
	n3.Push(`{"type":"status","broker":"down"}`)
	n4 := c.Start(t)
	n3.Push(down(n4))
	chattest.Eventually(t, "the third move", func() bool { return f.Node().ID == "n4" })
}

// The silence of a slow line was counted by whole frames.
func TestEveryByteIsASignOfLife(t *testing.T) {
	t.Parallel()
	frame := `{"type":"joined","ref":"r1","room":"lobby","head":"5-1","recovered":false,"messages":[{"id":"5-1","room":"lobby","text":"slow"}]}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var up websocket.Upgrader
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		_, _, _ = ws.ReadMessage()
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"welcome","version":1,"limits":{"text":4000}}`))
		_, _, _ = ws.ReadMessage()
		raw := append([]byte{0x81, 126, byte(len(frame) >> 8), byte(len(frame))}, frame...)
		for len(raw) > 0 {
			n := min(5, len(raw))
			if _, err := ws.NetConn().Write(raw[:n]); err != nil {
				return
			}
			raw = raw[n:]
			time.Sleep(quick.Gone / 15)
		}
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	f := open(t, Options{URL: s.URL})
	f.follow(t, "lobby", 50)
	if l := f.losses(); l != "" || !slices.Equal(f.seen(), []string{"slow"}) {
		t.Errorf("told %q, lost: %s", f.seen(), l)
	}
}

// A joined of all that was missed was one frame: on a slow line the connection was
// given up before it was whole, and everything that had come of it was thrown away.
func TestWhatArrivedOfAJoinedIsKept(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	for i := 1; i <= 60; i++ {
		c.Say("lobby", fmt.Sprint(i))
	}
	// Each connection brings seven entries and no more.
	c.Pieces(7, true)
	f := open(t, Options{URL: n.URL})
	f.opts.Timing.Rest = time.Minute // the rest never comes, however slow this test is
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
		// All is told when Follow returns.
		if got := f.seen(); !slices.Equal(got, numbers(from, 300)) {
			t.Errorf("%+v: told %q", follow, got)
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
	// Whether something was missing behind them shows when the next entry comes.
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
	// A node may say what the head is, which ends the wait at once.
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

// Each room was joined by a command of its own after the welcome.
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

// A node may take its time for what it has to read from Redis.
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
		t.Error("it was complete without its head")
	}
	n.Push(`{"type":"message","room":"lobby","id":"5-3","text":"three"}`)
	if err := <-followed; err != nil {
		t.Error(err)
	}
	f.wants(t, "one", "two", "three")
}
