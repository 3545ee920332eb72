package node_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/chat/embed"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

func TestWelcomeTellsWhatAClientNeeds(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n1 := startNode(t, b.URL(), "--node-id=one", "--text-limit=123")
	n2 := startNode(t, b.URL(), "--node-id=two", "--advertise=https://two.example.org")
	p := chattest.Dial(t, n1.url)
	chattest.Eventually(t, "both nodes to be known", func() bool { return len(n1.Sessions().Cluster.NodesFor("http://x")) == 2 })
	w := p.Hello("ref", "r1")
	if w.Ref != "r1" || w.User.ID == "" || !strings.HasPrefix(w.User.Name, "guest-") || w.Token == "" || w.Version != 1 {
		t.Errorf("welcome: %s", w.Raw)
	}
	if w.Limits.Text != 123 || w.Limits.Rooms != 100 || w.Limits.Rate != 10 || w.Limits.Burst != 30 {
		t.Errorf("limits: %s", w.Raw)
	}
	want := []chattest.Node{{ID: "one", URL: n1.url}, {ID: "two", URL: "https://two.example.org"}}
	if fmt.Sprint(w.Nodes) != fmt.Sprint(want) {
		t.Errorf("nodes %v, want %v", w.Nodes, want)
	}
	n2.Close(0)
	for f := p.Next("nodes"); len(f.Nodes) != 1; f = p.Next("nodes") {
	}
}

func TestPresenceTypingAndRenameReachTheOthers(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n1, n2 := startNode(t, b.URL()), startNode(t, b.URL())
	ann := chattest.Enter(t, n1.url, "Ann", "lobby")
	for !chattest.Seen(ann.Next("presence").Joined, ann.Me.ID) {
	}
	bob := chattest.Dial(t, n2.url)
	bob.Hello("name", "Bob")
	if j := bob.Join("lobby"); j.Count != 2 || !chattest.Seen(j.Members, ann.Me.ID) || !chattest.Seen(j.Members, bob.Me.ID) {
		t.Errorf("joined: %s", j.Raw)
	}
	f := ann.Next("presence")
	for !chattest.Seen(f.Joined, bob.Me.ID) {
		f = ann.Next("presence")
	}
	if f.Count != 2 || f.Room != "lobby" {
		t.Errorf("presence: %s", f.Raw)
	}
	ann.Send("typing", "room", "lobby")
	if f := bob.Next("typing"); f.User != ann.Me || f.Room != "lobby" {
		t.Errorf("typing: %s", f.Raw)
	}
	ann.Send("rename", "name", "Anna", "ref", 7)
	if f := ann.Next("renamed"); f.Ref != float64(7) || f.User.Name != "Anna" {
		t.Errorf("reply: %s", f.Raw)
	}
	if f := bob.Next("renamed"); f.User != (chattest.User{ID: ann.Me.ID, Name: "Anna"}) {
		t.Errorf("event: %s", f.Raw)
	}
	bob.Send("members", "room", "lobby")
	m := bob.Next("members")
	if m.Count != 2 || !strings.Contains(m.Raw, `"Anna"`) {
		t.Errorf("members: %s", m.Raw)
	}
	// The same user, connected to another node too, counts once until both connections
	// have ended.
	again := chattest.Dial(t, n2.url)
	again.Hello("token", ann.Token)
	if again.Me.Name != "Anna" {
		t.Errorf("after the token and the rename the user is %v", again.Me)
	}
	if j := again.Join("lobby"); j.Count != 2 {
		t.Errorf("joined: %s", j.Raw)
	}
	_ = ann.Conn.Close()
	again.Say("lobby", "still here", "k1")
	bob.Message("still here")
	bob.Send("members", "room", "lobby")
	if f := bob.Next("members"); f.Count != 2 {
		t.Errorf("members: %s", f.Raw)
	}
	again.Send("leave", "room", "lobby", "ref", "x")
	if f := again.Next("left"); f.Room != "lobby" || f.Ref != "x" {
		t.Errorf("left: %s", f.Raw)
	}
	f = bob.Next("presence")
	for !chattest.Seen(f.Left, ann.Me.ID) {
		f = bob.Next("presence")
	}
	if f.Left[0] != (chattest.User{ID: ann.Me.ID, Name: "Anna"}) || f.Count != 1 {
		t.Errorf("presence: %s", f.Raw)
	}
}

func TestHistoryPagesBack(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	p := chattest.Enter(t, n.url, "Ann", "lobby")
	for i := 1; i <= 120; i++ {
		p.Say("lobby", strconv.Itoa(i), strconv.Itoa(i))
	}
	late := chattest.Dial(t, n.url)
	late.Hello()
	j := late.Join("lobby")
	if len(j.Messages) != 50 || j.Messages[0].Seq() != 71 || j.Recovered || j.Head != j.Messages[49].ID {
		t.Fatalf("joined with %d from %s", len(j.Messages), j.Messages[0].ID)
	}
	late.Send("history", "room", "lobby", "before", j.Messages[0].ID, "limit", 60)
	h := late.Next("history")
	if len(h.Messages) != 60 || h.Messages[0].Seq() != 11 || h.Messages[59].Seq() != 70 || !h.More {
		t.Fatalf("history of %d, more %v", len(h.Messages), h.More)
	}
	late.Send("history", "room", "lobby", "before", h.Messages[0].ID)
	h = late.Next("history")
	if len(h.Messages) != 10 || h.Messages[0].Seq() != 1 || h.More {
		t.Fatalf("history of %d, more %v", len(h.Messages), h.More)
	}
	// The same over HTTP.
	var page struct {
		Room     string
		Messages []chattest.Frame
		More     bool
	}
	if status := chattest.GetJSON(t, n.url+"/api/rooms/lobby/messages?limit=20&before="+j.Messages[0].ID, &page); status != 200 ||
		page.Room != "lobby" || len(page.Messages) != 20 || page.Messages[19].Seq() != 70 || !page.More {
		t.Errorf("%d: %d messages, more %v", status, len(page.Messages), page.More)
	}
	if status := chattest.GetJSON(t, n.url+"/api/rooms/nobody-was-here/messages", &page); status != 200 || len(page.Messages) != 0 || page.More {
		t.Errorf("%d: %v", status, page)
	}
}

// A page of two hundred long texts would be one frame of a megabyte.
func TestAPageOfHistoryIsBounded(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	p := chattest.Enter(t, n.url, "Ann", "lobby")
	const total = 60
	for i := 1; i <= total; i++ {
		p.Say("lobby", strings.Repeat("x", 3000), strconv.Itoa(i))
	}
	next := total
	before := ""
	for pages := 1; next > 0; pages++ {
		p.Send("history", "room", "lobby", "limit", 200, "before", before)
		h := p.Next("history")
		if len(h.Messages) == 0 || len(h.Raw) > 65<<10 || h.Messages[len(h.Messages)-1].Seq() != next {
			t.Fatalf("page %d has %d messages, %d bytes", pages, len(h.Messages), len(h.Raw))
		}
		next -= len(h.Messages)
		before = h.Messages[0].ID
		if h.More != (next > 0) {
			t.Errorf("page %d: more %v, with %d left", pages, h.More, next)
		}
	}
}

func TestRecoveryTellsWhenItIsNotWhole(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n1, n2 := startNode(t, b.URL(), "--rate=0", "--history=1500"), startNode(t, b.URL(), "--rate=0", "--history=1500")
	p := chattest.Enter(t, n1.url, "Ann", "lobby")
	const total = 1600
	ids := make([]string, 0, total)
	for i := range total {
		p.Send("send", "room", "lobby", "text", strconv.Itoa(i), "key", strconv.Itoa(i))
	}
	for range total {
		ids = append(ids, p.Next("sent").ID)
	}
	q := chattest.Dial(t, n2.url)
	q.Hello()
	for _, c := range []struct {
		name, after string
		count       int
		recovered   bool
	}{
		{"the newest", ids[total-1], 0, true},
		{"exactly as many as are recovered", ids[total-1001], 1000, true},
		{"one more", ids[total-1002], 50, false},
		{"no longer in the log", ids[5], 50, false},
		{"another id of the same seq", "1-" + strconv.Itoa(total-3), 50, false},
		{"the future", "9999999999999-99999", 50, false},
	} {
		j := q.Join("lobby", "after", c.after)
		if len(j.Messages) != c.count || j.Recovered != c.recovered {
			t.Errorf("%s: %d messages, recovered %v", c.name, len(j.Messages), j.Recovered)
		}
	}
	// A cursor of another room is unknown here.
	q.Join("other")
	other := q.Say("other", "x", "x")
	if j := q.Join("lobby", "after", other.ID); j.Recovered || len(j.Messages) != 50 {
		t.Errorf("another room's cursor: recovered %v", j.Recovered)
	}
}

func TestRoomsAndNodesAreListed(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--node-id=one", "--rate=0")
	chattest.Enter(t, n.url, "Ann", "busy")
	bob := chattest.Enter(t, n.url, "Bob", "busy")
	bob.Join("quiet")
	chattest.Eventually(t, "the rooms", func() bool {
		bob.Send("rooms")
		f := bob.Next("rooms")
		var api chattest.Frame
		chattest.GetJSON(t, n.url+"/api/rooms", &api)
		return fmt.Sprint(f.Rooms) == "[{busy 2 0} {quiet 1 0}]" && fmt.Sprint(api.Rooms) == fmt.Sprint(f.Rooms)
	})
	var api chattest.Frame
	if status := chattest.GetJSON(t, n.url+"/api/nodes", &api); status != 200 || fmt.Sprint(api.Nodes) != fmt.Sprint([]chattest.Node{{ID: "one", URL: n.url}}) {
		t.Errorf("%d: %v", status, api.Nodes)
	}
}

// A room's log may vanish: by FLUSHALL, or with the restart of an embedded broker. Then
// all members get reset, and no old entry is treated as a new one.
func TestAWipedRedisIsTold(t *testing.T) {
	t.Parallel()
	b, err := embed.StartBroker(embed.BrokerConfig{Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, b.URL())
	p := chattest.Enter(t, n.url, "Ann", "lobby")
	for i := range 5 {
		p.Say("lobby", "old", strconv.Itoa(i))
	}
	addr := b.Addr()
	b.Close()
	if f := p.Next("status"); f.Broker != "down" {
		t.Fatalf("status: %s", f.Raw)
	}
	var ready chattest.Frame
	if status := chattest.GetJSON(t, n.url+"/readyz", &ready); status != 503 {
		t.Errorf("/readyz is %d without Redis", status)
	}
	p.Send("send", "room", "lobby", "text", "kept", "key", "k")
	if f := p.Error("unavailable"); f.Key != "k" || f.Room != "lobby" {
		t.Errorf("error: %s", f.Raw)
	}
	p.Send("history", "room", "lobby")
	if f := p.Next("history"); len(f.Messages) != 5 {
		t.Errorf("a read that memory can answer: %s", f.Raw)
	}
	b, err = embed.StartBroker(embed.BrokerConfig{Password: "pw", Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if f := p.Next("reset"); f.Room != "lobby" {
		t.Errorf("reset: %s", f.Raw)
	}
	if f := p.Next("status"); f.Broker != "up" {
		t.Errorf("status: %s", f.Raw)
	}
	if j := p.Join("lobby"); len(j.Messages) != 0 || j.Head != "0-0" {
		t.Errorf("joined: %s", j.Raw)
	}
	if f := p.Say("lobby", "kept", "k"); f.Seq() != 1 || f.Duplicate {
		t.Errorf("sent: %s", f.Raw)
	}
	p.Message("kept")
}

func TestTwoNamespacesNeverHearEachOther(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	ann := chattest.Enter(t, startNode(t, b.URL(), "--namespace=a").url, "Ann", "lobby")
	bob := chattest.Enter(t, startNode(t, b.URL(), "--namespace=b").url, "Ann", "lobby")
	ann.Say("lobby", "for a", "1")
	if f := bob.Say("lobby", "for b", "1"); f.Seq() != 1 || f.Duplicate {
		t.Errorf("sent: %s", f.Raw)
	}
	if m := bob.Next("message"); m.Text != "for b" {
		t.Errorf("b received %s", m.Raw)
	}
}

// A client that waits for retry_after after each refusal is never closed for abuse.
// Before, all its refusals were added up.
func TestWhoWaitsAsToldIsNotClosed(t *testing.T) {
	t.Parallel()
	n := startNode(t, redistest.Embedded(t).URL(), "--rate=200", "--burst=1")
	p := chattest.Enter(t, n.url, "Ann", "lobby")
	refused := 0
	for i := 0; refused < 150; i++ { // 100 ignored refusals are allowed in any case
		key := fmt.Sprint("k", i)
		for {
			p.Send("send", "room", "lobby", "text", "x", "key", key)
			reply := p.Next("sent", "error")
			if reply.Type == "sent" {
				break
			}
			if reply.Code != "rate_limited" || reply.Retry < 1 {
				t.Fatalf("refused with %+v", reply)
			}
			refused++
			waited := time.Now().Add(time.Duration(reply.Retry) * time.Millisecond)
			chattest.Eventually(t, "the end of retry_after", func() bool { return time.Now().After(waited) })
		}
	}
}
