package node_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/httpapi"
	"example.com/chat/test/socketio/wiretest"
)

const unknownSession = `{"code":1,"message":"Session ID unknown"}`

// through returns the URL of a session's requests at another node.
func through(url string, from, to *testNode) string { return strings.Replace(url, from.url, to.url, 1) }

// knowEachOther waits until the nodes know of all of them.
func knowEachOther(t *testing.T, nodes ...*testNode) {
	t.Helper()
	chattest.Eventually(t, "the nodes to know each other", func() bool {
		for _, n := range nodes {
			for _, other := range nodes {
				if !n.Knows(other.Self().Tag) {
					return false
				}
			}
		}
		return true
	})
}

// Every node serves the requests of a session: polls, posts and the upgrade.
func TestRequestsReachTheOwnerOfTheirSession(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	knowEachOther(t, one, two)
	url := wiretest.Open(t, ioBase(one.url))
	if strings.Contains(url, "127.0.0.1-") || strings.Contains(url[strings.Index(url, "sid="):], one.Self().Peer) {
		t.Errorf("the id shows the node: %s", url)
	}
	other := through(url, one, two)
	wiretest.Wants(t, "POST", other, `40{"name":"Ann"}`, 200, "ok")
	got := ""
	for !strings.Contains(got, `["welcome"`) {
		_, body := wiretest.Do(t, "GET", other, "")
		got += body
	}
	if !strings.Contains(got, `"name":"Ann"`) || !strings.Contains(got, one.Self().ID) {
		t.Errorf("welcome: %s", got)
	}
	wiretest.Wants(t, "POST", url, `421["join",{"room":"lobby"}]`, 200, "ok")
	_, body := wiretest.Do(t, "GET", other, "")
	if !strings.Contains(body, `431[{"room":"lobby"`) {
		t.Errorf("joined: %s", body)
	}
	c := wiretest.Dial(t, other)
	c.Sends("2probe")
	c.Wants("3probe")
	c.Sends("5", `422["ping"]`)
	for got = c.Event(); strings.HasPrefix(got, "42"); got = c.Event() {
	}
	if got != "432[{}]" {
		t.Errorf("after the upgrade: %q", got)
	}
	if s := two.Relay().Stats(); s.Open != 1 || s.Passed < 4 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
	if two.SocketIO().Engine.Open != 0 || one.SocketIO().Engine.WebSockets != 1 {
		t.Error("the session is at the wrong node")
	}
	_ = c.Close()
	chattest.Eventually(t, "all requests and sessions to end", func() bool { return two.Relay().Stats().Open == 0 && one.Connections() == 0 })
}

// The owner refuses a body over the limit, whichever node received it.
func TestAPayloadOverTheLimitThroughAnotherNode(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	knowEachOther(t, one, two)
	url := through(wiretest.Open(t, ioBase(one.url)), one, two)
	status, body := wiretest.Do(t, "POST", url, "4"+strings.Repeat("x", int(one.Limits().FrameLimit())))
	if status != 413 {
		t.Errorf("%d %s", status, body)
	}
	wiretest.Wants(t, "POST", url, "40", 400, unknownSession)
}

// Requests of a session that has ended are answered at once.
func TestSessionsOfOtherNodesThatAreGone(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	knowEachOther(t, one, two)
	url := wiretest.Open(t, ioBase(two.url))
	for _, sid := range []string{"x", "x.y", one.Self().Tag + ".guess", two.Self().Tag + ".guess", "..", "%00.%0a"} {
		wiretest.Wants(t, "GET", ioBase(one.url)+"polling&sid="+sid, "", 400, unknownSession)
		wiretest.Wants(t, "POST", ioBase(one.url)+"polling&sid="+sid, "40", 400, unknownSession)
	}
	other := through(url, two, one)
	// A node whose address refuses connections, and whose lease is still valid.
	info := two.Self()
	info.Peer = "127.0.0.1:1"
	one.MovePeer(info)
	wiretest.Wants(t, "GET", other, "", 400, unknownSession)
	wiretest.Wants(t, "POST", other, "40", 400, unknownSession)
	two.Close(0)
	chattest.Eventually(t, "the node to be known as gone", func() bool { return !one.Knows(info.Tag) })
	wiretest.Wants(t, "GET", other, "", 400, unknownSession)
}

// The route between nodes refuses requests from outside, and forwards none.
func TestTheRouteBetweenNodesWantsTheClustersKey(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one := startNode(t, b.URL())
	url := wiretest.Open(t, ioBase(one.url))
	inside := strings.Replace(url, "/socket.io/", httpapi.PeerPath, 1)
	tag := one.Self().Tag
	for _, seal := range []string{"", "x", tag + " 1 127.0.0.1:1 ", tag + " 1 127.0.0.1:1 AAAA", "a b c d", tag + " -1 127.0.0.1:1 AAAA"} {
		status, body := wiretest.Do(t, "GET", inside, "", "Chat-Peer", seal)
		if status != 403 || !strings.Contains(body, "forbidden") {
			t.Errorf("%q: %d %s", seal, status, body)
		}
	}
	if got := one.Relay().Stats().Refused; got != 6 {
		t.Errorf("%d refused", got)
	}
	// On the public route the header is ignored.
	if status, _ := wiretest.Do(t, "POST", url, "40", "Chat-Peer", "x"); status != 200 {
		t.Errorf("status %d", status)
	}
}

// A node that stops answers the polls that wait there, and their sessions continue.
func TestADrainedNodeLetsThePollsOfOthersGo(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	knowEachOther(t, one, two)
	url := wiretest.Open(t, ioBase(one.url))
	type answer struct {
		status int
		body   string
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // ends with the poll, which the test waits for
		status, body, err := wiretest.Try(t.Context(), "GET", through(url, one, two), "")
		answered <- answer{status, body, err}
	}()
	chattest.Eventually(t, "the poll to wait", func() bool { return two.Relay().Stats().Open == 1 })
	two.Drain(chattest.Patience)
	if got := <-answered; got.status != 200 || got.body != "6" || got.err != nil {
		t.Errorf("the poll got %+v", got)
	}
	wiretest.Wants(t, "POST", url, "40", 200, "ok")
}

// peerAt changes the address at which one node reaches another.
func peerAt(from, to *testNode, addr string) {
	info := to.Self()
	info.Peer = addr
	from.MovePeer(info)
}

// pollsFor polls until an answer contains a text.
func pollsFor(t *testing.T, url, text string) {
	t.Helper()
	for {
		status, body := wiretest.Do(t, "GET", url, "")
		if status != 200 {
			t.Fatalf("before %s: %d %s", text, status, body)
		}
		if strings.Contains(body, text) {
			return
		}
	}
}

// If two nodes can't reach each other, or one dies during a poll that it relays, the
// session continues at its owner, and packets that were not delivered are not lost.
func TestASessionOutlivesWhatFailsBetweenNodes(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	knowEachOther(t, one, two)
	url := wiretest.Open(t, ioBase(one.url))
	other := through(url, one, two)
	wiretest.Wants(t, "POST", other, "40", 200, "ok")
	pollsFor(t, other, "welcome")

	// A poll through another node replaces one whose path may be broken.
	first := make(chan string, 1)
	go func() { // ends with the poll
		_, body, _ := wiretest.Try(t.Context(), "GET", other+"&t=a", "")
		first <- body
	}()
	chattest.Eventually(t, "the poll to wait", func() bool { return two.Relay().Stats().Open == 1 })
	wiretest.Wants(t, "POST", url, `421["ping"]`, 200, "ok")
	if got := <-first; got != "431[{}]" {
		t.Errorf("the poll got %q", got)
	}
	go func() { // ends with the poll
		_, body, _ := wiretest.Try(t.Context(), "GET", other+"&t=b", "")
		first <- body
	}()
	chattest.Eventually(t, "the poll to wait", func() bool { return two.Relay().Stats().Open == 1 })
	second := make(chan string, 1)
	go func() { // ends with the poll
		_, body, _ := wiretest.Try(t.Context(), "GET", url+"&t=c", "")
		second <- body
	}()
	if got := <-first; got != "6" {
		t.Errorf("the poll that was replaced got %q", got)
	}
	wiretest.Wants(t, "POST", url, `422["ping"]`, 200, "ok")
	if got := <-second; got != "432[{}]" {
		t.Errorf("the second poll got %q", got)
	}

	// The node in between dies.
	go func() { // ends with the poll
		_, body, _ := wiretest.Try(t.Context(), "GET", other+"&t=d", "")
		first <- body
	}()
	chattest.Eventually(t, "the poll to wait", func() bool { return two.Relay().Stats().Open == 1 })
	_ = two.HTTP().Close()
	two.Relay().Close()
	<-first
	wiretest.Wants(t, "POST", url, `423["ping"]`, 200, "ok")
	pollsFor(t, url, "433[{}]")

	// The nodes can't reach each other: the other machine accepts connections, and does not
	// answer.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	three := startNode(t, b.URL())
	knowEachOther(t, three, one)
	peerAt(three, one, silent.Addr().String())
	began := time.Now()
	for _, method := range []string{"GET", "POST"} {
		if status, body := wiretest.Do(t, method, through(url, one, three), "3"); status != 503 || !strings.Contains(body, "unavailable") {
			t.Errorf("%s: %d %s", method, status, body)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("that took %s", took)
	}
	wiretest.Wants(t, "POST", url, `424["ping"]`, 200, "ok")
	pollsFor(t, url, "434[{}]")
}
