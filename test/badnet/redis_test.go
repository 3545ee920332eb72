//go:build linux

package badnet

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// noticedWithin is how long a node may take to detect that it can't use Redis, and that it
// can again.
const noticedWithin = 40 * time.Second

// statuses returns a function that returns the newest status of a node.
func (r *rig) statuses(h *host, url string) func() string {
	r.t.Helper()
	c, err := client.Dial(r.t.Context(), client.Options{URL: url, DialContext: h.dial})
	if err != nil {
		r.t.Fatal(err)
	}
	received := make(chan string, 100)
	go func() { // ends with the connection
		for {
			e, err := c.Read()
			if err != nil {
				return
			}
			var s protocol.StatusEvent
			if e.Type == "status" && e.Decode(&s) == nil {
				received <- s.Broker
			}
		}
	}()
	r.t.Cleanup(c.Close)
	last := "up"
	return func() string {
		for {
			select {
			case last = <-received:
			default:
				return last
			}
		}
	}
}

// Packets over 1,000 bytes are lost between one node and Redis, as in a tunnel with an unknown
// MTU: the node is not ready. It was, and refused all messages.
func TestLargePacketsToRedisVanish(t *testing.T) {
	chattest.NeedLong(t)
	t.Parallel()
	r := newRig(t)
	clients := r.host("clients")
	for i := range 6 {
		r.talker(clients, fmt.Sprintf("talker%d", i), 100*time.Millisecond, "lobby")
	}
	status := r.statuses(clients, r.urls[0])
	narrow := way{larger: 1000}
	r.net.between(r.nodes[0], r.redis, narrow)
	r.net.between(r.redis, r.nodes[0], narrow)
	began := time.Now()
	unready := func() bool { code, _ := r.get(0, "/readyz"); return code == http.StatusServiceUnavailable }
	chattest.EventuallyWithin(t, noticedWithin, "n1 to be unready", unready)
	chattest.EventuallyWithin(t, noticedWithin, "n1 to send its status", func() bool { return status() == "down" })
	t.Logf("detected within %s", time.Since(began).Round(100*time.Millisecond))
	for began = time.Now(); time.Since(began) < 5*time.Second; r.hold(200 * time.Millisecond) {
		if !unready() {
			t.Fatal("n1 is ready again, although large packets are still lost")
		}
	}
	for i := 1; i < nodes; i++ {
		if code, body := r.get(i, "/readyz"); code != http.StatusOK {
			t.Errorf("%s is not ready: %s", r.nodes[i].name, body)
		}
	}
	r.net.between(r.nodes[0], r.redis, way{})
	r.net.between(r.redis, r.nodes[0], way{})
	chattest.EventuallyWithin(t, noticedWithin, "n1 to be ready again", func() bool { code, _ := r.get(0, "/readyz"); return code == http.StatusOK })
	chattest.EventuallyWithin(t, noticedWithin, "n1 to send its status", func() bool { return status() == "up" })
	r.finish()
}

// One node is cut off from Redis: its users connect to another one, and do not wait.
func TestUsersLeaveANodeThatIsCutOff(t *testing.T) {
	chattest.NeedLong(t)
	t.Parallel()
	r := newRig(t)
	clients := r.host("clients")
	for i := range 3 {
		r.talker(clients, fmt.Sprintf("talker%d", i), 100*time.Millisecond, "lobby")
	}
	v, s := r.session(clients, r.urls[0], "side")
	r.net.part(r.nodes[0], r.redis, true)
	began := time.Now()
	chattest.EventuallyWithin(t, 20*time.Second, "the user to be at another node", func() bool { return s.Node().ID != "n1" })
	moved := time.Since(began)
	if _, err := s.Send(t.Context(), "side", "elsewhere", client.NewKey()); err != nil {
		t.Error(err)
	}
	t.Logf("the user went to %s after %s", s.Node().ID, moved.Round(100*time.Millisecond))
	chattest.Eventually(t, "its message", func() bool { return v.count() == 1 })
	r.net.part(r.nodes[0], r.redis, false)
	r.ready(0)
	r.finish()
	v.whole(t, r.log("side"))
}

// Data from a user to its node is lost, and data in the other direction arrives: the user
// changes its node soon. It took 57 s.
func TestAnUplinkStalls(t *testing.T) {
	chattest.NeedLong(t)
	t.Parallel()
	r := newRig(t)
	others, mover := r.host("others"), r.host("mover")
	for i := range 3 {
		r.talker(others, fmt.Sprintf("talker%d", i), 100*time.Millisecond, "lobby")
	}
	v, s := r.session(mover, r.urls[0], "lobby")
	chattest.Eventually(t, "messages of others", func() bool { return v.count() > 10 })
	// Acknowledgements of TCP pass, and no command.
	const bare = 72
	r.net.between(mover, r.nodes[0], way{larger: bare})
	began := time.Now()
	key := client.NewKey()
	text := "from " + s.User().Name + strings.Repeat(" on and on", 10)
	r.said(s.User().ID, "mover", "lobby", key, text)
	before := v.count()
	sent, err := s.Send(t.Context(), "lobby", text, key)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	r.acknowledged(s.User().ID, "mover", "lobby", sent)
	t.Logf("acknowledged by %s after %s, in which %d messages arrived", s.Node().ID, took.Round(100*time.Millisecond), v.count()-before)
	if took > 12*time.Second {
		t.Errorf("the acknowledgement took %s", took)
	}
	if s.Node().ID == "n1" {
		t.Error("the user is at the same node")
	}
	r.finish()
	v.whole(t, r.log("lobby"))
}

// session opens a Go client that follows a room.
func (r *rig) session(h *host, url, room string) (*view, *client.Session) {
	r.t.Helper()
	v := &view{}
	s, err := client.Open(r.t.Context(), client.Options{URL: url, DialContext: h.dial, OnNotice: v.notice})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(s.Close)
	if err := s.Follow(r.t.Context(), room, client.Follow{After: "0-0", Handle: v.take}); err != nil {
		r.t.Fatal(err)
	}
	return v, s
}
