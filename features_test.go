package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/chat/embed"

	"example.com/chat/internal/chattest"
)

func TestWelcomeTellsWhatAClientNeeds(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n1 := startNode(t, b.URL(), "--node-id=one", "--text-limit=123")
	n2 := startNode(t, b.URL(), "--node-id=two", "--advertise=https://two.example.org")
	p := dial(t, n1.url)
	chattest.Eventually(t, "both nodes to be known", func() bool { return len(n1.peers.list("http://x")) == 2 })
	w := p.hello("ref", "r1")
	if w.Ref != "r1" || w.User.ID == "" || !strings.HasPrefix(w.User.Name, "guest-") || w.Token == "" || w.Version != 1 {
		t.Errorf("welcome: %s", w.raw)
	}
	if w.Limits.Text != 123 || w.Limits.Rooms != 100 || w.Limits.Rate != 10 || w.Limits.Burst != 30 {
		t.Errorf("limits: %s", w.raw)
	}
	want := []node{{"one", n1.url}, {"two", "https://two.example.org"}}
	if fmt.Sprint(w.Nodes) != fmt.Sprint(want) {
		t.Errorf("nodes %v, want %v", w.Nodes, want)
	}
	n2.Close(0)
	for f := p.next("nodes"); len(f.Nodes) != 1; f = p.next("nodes") {
	}
}

func TestPresenceTypingAndRenameReachTheOthers(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n1, n2 := startNode(t, b.URL()), startNode(t, b.URL())
	ann := enter(t, n1.url, "Ann", "lobby")
	for !seen(ann.next("presence").Joined, ann.me.ID) {
	}
	bob := dial(t, n2.url)
	bob.hello("name", "Bob")
	if j := bob.join("lobby"); j.Count != 2 || !seen(j.Members, ann.me.ID) || !seen(j.Members, bob.me.ID) {
		t.Errorf("joined: %s", j.raw)
	}
	f := ann.next("presence")
	for !seen(f.Joined, bob.me.ID) {
		f = ann.next("presence")
	}
	if f.Count != 2 || f.Room != "lobby" {
		t.Errorf("presence: %s", f.raw)
	}
	ann.send("typing", "room", "lobby")
	if f := bob.next("typing"); f.User != ann.me || f.Room != "lobby" {
		t.Errorf("typing: %s", f.raw)
	}
	ann.send("rename", "name", "Anna", "ref", 7)
	if f := ann.next("renamed"); f.Ref != float64(7) || f.User.Name != "Anna" {
		t.Errorf("reply: %s", f.raw)
	}
	if f := bob.next("renamed"); f.User != (user{ann.me.ID, "Anna"}) {
		t.Errorf("event: %s", f.raw)
	}
	bob.send("members", "room", "lobby")
	m := bob.next("members")
	if m.Count != 2 || !strings.Contains(m.raw, `"Anna"`) {
		t.Errorf("members: %s", m.raw)
	}
	// The same user once more, on another node: online once, until the last is gone.
	again := dial(t, n2.url)
	again.hello("token", ann.token)
	if again.me.Name != "Anna" {
		t.Errorf("the token and the rename made her %v", again.me)
	}
	if j := again.join("lobby"); j.Count != 2 {
		t.Errorf("joined: %s", j.raw)
	}
	_ = ann.ws.Close()
	again.say("lobby", "still here", "k1")
	bob.message("still here")
	bob.send("members", "room", "lobby")
	if f := bob.next("members"); f.Count != 2 {
		t.Errorf("members: %s", f.raw)
	}
	again.send("leave", "room", "lobby", "ref", "x")
	if f := again.next("left"); f.Room != "lobby" || f.Ref != "x" {
		t.Errorf("left: %s", f.raw)
	}
	f = bob.next("presence")
	for !seen(f.Left, ann.me.ID) {
		f = bob.next("presence")
	}
	if f.Left[0] != (user{ann.me.ID, "Anna"}) || f.Count != 1 {
		t.Errorf("presence: %s", f.raw)
	}
}

func TestHistoryPagesBack(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n := startNode(t, b.URL(), "--rate=0")
	p := enter(t, n.url, "Ann", "lobby")
	for i := 1; i <= 120; i++ {
		p.say("lobby", strconv.Itoa(i), strconv.Itoa(i))
	}
	late := dial(t, n.url)
	late.hello()
	j := late.join("lobby")
	if len(j.Messages) != 50 || j.Messages[0].seq() != 71 || j.Recovered || j.Head != j.Messages[49].ID {
		t.Fatalf("joined with %d from %s", len(j.Messages), j.Messages[0].ID)
	}
	late.send("history", "room", "lobby", "before", j.Messages[0].ID, "limit", 60)
	h := late.next("history")
	if len(h.Messages) != 60 || h.Messages[0].seq() != 11 || h.Messages[59].seq() != 70 || !h.More {
		t.Fatalf("history of %d, more %v", len(h.Messages), h.More)
	}
	late.send("history", "room", "lobby", "before", h.Messages[0].ID)
	h = late.next("history")
	if len(h.Messages) != 10 || h.Messages[0].seq() != 1 || h.More {
		t.Fatalf("history of %d, more %v", len(h.Messages), h.More)
	}
	// The same over HTTP.
	var page struct {
		Room     string
		Messages []frame
		More     bool
	}
	if status := getJSON(t, n.url+"/api/rooms/lobby/messages?limit=20&before="+j.Messages[0].ID, &page); status != 200 ||
		page.Room != "lobby" || len(page.Messages) != 20 || page.Messages[19].seq() != 70 || !page.More {
		t.Errorf("%d: %d messages, more %v", status, len(page.Messages), page.More)
	}
	if status := getJSON(t, n.url+"/api/rooms/nobody-was-here/messages", &page); status != 200 || len(page.Messages) != 0 || page.More {
		t.Errorf("%d: %v", status, page)
	}
}

// A page of two hundred long texts would be one frame of a megabyte.
func TestAPageOfHistoryIsBounded(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n := startNode(t, b.URL(), "--rate=0")
	p := enter(t, n.url, "Ann", "lobby")
	const total = 60
	for i := 1; i <= total; i++ {
		p.say("lobby", strings.Repeat("x", 3000), strconv.Itoa(i))
	}
	next := total
	before := ""
	for pages := 1; next > 0; pages++ {
		p.send("history", "room", "lobby", "limit", 200, "before", before)
		h := p.next("history")
		if len(h.Messages) == 0 || len(h.raw) > 65<<10 || h.Messages[len(h.Messages)-1].seq() != next {
			t.Fatalf("page %d has %d messages, %d bytes", pages, len(h.Messages), len(h.raw))
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
	b := startTestBroker(t)
	n1, n2 := startNode(t, b.URL(), "--rate=0", "--history=1500"), startNode(t, b.URL(), "--rate=0", "--history=1500")
	p := enter(t, n1.url, "Ann", "lobby")
	const total = 1600
	ids := make([]string, 0, total)
	for i := range total {
		p.send("send", "room", "lobby", "text", strconv.Itoa(i), "key", strconv.Itoa(i))
	}
	for range total {
		ids = append(ids, p.next("sent").ID)
	}
	q := dial(t, n2.url)
	q.hello()
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
		j := q.join("lobby", "after", c.after)
		if len(j.Messages) != c.count || j.Recovered != c.recovered {
			t.Errorf("%s: %d messages, recovered %v", c.name, len(j.Messages), j.Recovered)
		}
	}
	// Another room's cursor is none of this one's.
	q.join("other")
	other := q.say("other", "x", "x")
	if j := q.join("lobby", "after", other.ID); j.Recovered || len(j.Messages) != 50 {
		t.Errorf("another room's cursor: recovered %v", j.Recovered)
	}
}

func TestRoomsAndNodesAreListed(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n := startNode(t, b.URL(), "--node-id=one", "--rate=0")
	enter(t, n.url, "Ann", "busy")
	bob := enter(t, n.url, "Bob", "busy")
	bob.join("quiet")
	chattest.Eventually(t, "the rooms", func() bool {
		bob.send("rooms")
		f := bob.next("rooms")
		var api frame
		getJSON(t, n.url+"/api/rooms", &api)
		return fmt.Sprint(f.Rooms) == "[{busy 2 0} {quiet 1 0}]" && fmt.Sprint(api.Rooms) == fmt.Sprint(f.Rooms)
	})
	var api frame
	if status := getJSON(t, n.url+"/api/nodes", &api); status != 200 || fmt.Sprint(api.Nodes) != fmt.Sprint([]node{{"one", n.url}}) {
		t.Errorf("%d: %v", status, api.Nodes)
	}
}

// A room's log may vanish under its members: by FLUSHALL, or because an
// embedded broker was started anew. Then everybody is told, and nothing old is
// taken for new.
func TestAWipedRedisIsTold(t *testing.T) {
	t.Parallel()
	b, err := embed.StartBroker(embed.BrokerConfig{Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, b.URL())
	p := enter(t, n.url, "Ann", "lobby")
	for i := range 5 {
		p.say("lobby", "old", strconv.Itoa(i))
	}
	addr := b.Addr()
	b.Close()
	if f := p.next("status"); f.Broker != "down" {
		t.Fatalf("status: %s", f.raw)
	}
	var ready frame
	if status := getJSON(t, n.url+"/readyz", &ready); status != 503 {
		t.Errorf("/readyz is %d while Redis is away", status)
	}
	p.send("send", "room", "lobby", "text", "kept", "key", "k")
	if f := p.error("unavailable"); f.Key != "k" || f.Room != "lobby" {
		t.Errorf("error: %s", f.raw)
	}
	p.send("history", "room", "lobby")
	if f := p.next("history"); len(f.Messages) != 5 {
		t.Errorf("what memory can answer goes on: %s", f.raw)
	}
	b, err = embed.StartBroker(embed.BrokerConfig{Password: "pw", Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if f := p.next("reset"); f.Room != "lobby" {
		t.Errorf("reset: %s", f.raw)
	}
	if f := p.next("status"); f.Broker != "up" {
		t.Errorf("status: %s", f.raw)
	}
	if j := p.join("lobby"); len(j.Messages) != 0 || j.Head != "0-0" {
		t.Errorf("joined: %s", j.raw)
	}
	if f := p.say("lobby", "kept", "k"); f.seq() != 1 || f.Duplicate {
		t.Errorf("sent: %s", f.raw)
	}
	p.message("kept")
}

func TestTwoNamespacesNeverHearEachOther(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	ann := enter(t, startNode(t, b.URL(), "--namespace=a").url, "Ann", "lobby")
	bob := enter(t, startNode(t, b.URL(), "--namespace=b").url, "Ann", "lobby")
	ann.say("lobby", "for a", "1")
	if f := bob.say("lobby", "for b", "1"); f.seq() != 1 || f.Duplicate {
		t.Errorf("sent: %s", f.raw)
	}
	if m := bob.next("message"); m.Text != "for b" {
		t.Errorf("b heard %s", m.raw)
	}
}

// A client that waits as long as retry_after says each time was closed for abuse,
// since its refusals added up.
func TestWhoWaitsAsToldIsNotClosed(t *testing.T) {
	t.Parallel()
	n := startNode(t, startTestBroker(t).URL(), "--rate=200", "--burst=1")
	p := enter(t, n.url, "Ann", "lobby")
	refused := 0
	for i := 0; refused < 150; i++ { // 100 are forgiven in any case
		key := fmt.Sprint("k", i)
		for {
			p.send("send", "room", "lobby", "text", "x", "key", key)
			reply := p.next("sent", "error")
			if reply.Type == "sent" {
				break
			}
			if reply.Code != "rate_limited" || reply.Retry < 1 {
				t.Fatalf("refused as %+v", reply)
			}
			refused++
			waited := time.Now().Add(time.Duration(reply.Retry) * time.Millisecond)
			chattest.Eventually(t, "as long as it was told to wait", func() bool { return time.Now().After(waited) })
		}
	}
}
