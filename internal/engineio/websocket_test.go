package engineio

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/test/socketio/wiretest"
)

func TestHandshakeByWebSocket(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{PingInterval: 300 * time.Millisecond, PingTimeout: time.Second})
	c := s.dial(s.url + "polling")
	h := s.hello(c.Next())
	if h.Upgrades == nil || len(h.Upgrades) != 0 || h.PingInterval != 300 || h.PingTimeout != 1000 || len(h.SID) < 20 {
		t.Errorf("got %+v", h)
	}
	for range 3 {
		if got := c.Next(); got != "2" {
			t.Fatalf("want a ping, got %q", got)
		}
		c.Sends("3")
	}
	c.Closes() // without another pong
	s.ends(ReasonPing)
}

func TestRefusalsOfWebSockets(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	base := strings.Replace(strings.TrimSuffix(s.url, "EIO=4&transport="), "http", "ws", 1)
	for query, status := range map[string]int{
		"transport=websocket":               400,
		"EIO=abc&transport=websocket":       400,
		"EIO=3&transport=websocket":         400,
		"EIO=4":                             400,
		"EIO=4&transport=abc":               400,
		"EIO=4&transport=polling":           400,
		"EIO=4&transport=websocket&sid=abc": 400,
	} {
		_, answer, err := websocket.DefaultDialer.Dial(base+query, nil)
		if err == nil || answer == nil || answer.StatusCode != status {
			t.Errorf("%s: got %v %v", query, answer, err)
		}
	}
	if s.Stats().Opened != 0 {
		t.Errorf("stats %+v", s.Stats())
	}
}

func TestPacketsByWebSocketAreMirrored(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	c := s.dial(s.url + "polling")
	s.hello(c.Next())
	c.Sends("4hello")
	c.Wants("4hello")
	c.SendsBinary("\x01\x02\x03\xff", "")
	c.Wants("b:\x01\x02\x03\xff", "b:")
	c.Sends("1")
	c.Closes()
	s.ends(ReasonClient)
}

func TestWhatClosesAWebSocket(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{MaxPayload: 1000})
	for packet, reason := range map[string]Reason{
		"abc":                           ReasonParse,
		"":                              ReasonParse,
		"bAQ==":                         ReasonParse, // base64 is for polling only
		"2":                             ReasonTransport,
		"2probe":                        ReasonTransport,
		"4" + strings.Repeat("x", 1000): ReasonClient, // package conn closes with 1009
	} {
		c := s.dial(s.url + "polling")
		s.hello(c.Next())
		c.Sends(packet)
		c.Closes()
		s.ends(reason)
	}
}

func TestTheServerClosesAWebSocketWithACode(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	c := s.dial(s.url + "polling")
	s.hello(c.Next())
	s.session().Send(Text([]byte("a")))
	s.session().Close(4003, "kicked")
	s.session().Send(Text([]byte("b")))
	c.Wants("4a")
	if got := c.Closes(); got.Code != 4003 || got.Text != "kicked" {
		t.Errorf("got %v", got)
	}
	s.ends(ReasonServer)
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	waits := s.polled(context.Background(), url)
	c := s.dial(url)
	c.Sends("2probe")
	c.Wants("3probe")
	if got := <-waits; got != "OK 6" {
		t.Errorf("the waiting poll got %q", got)
	}
	s.wants("GET", url, "", 200, "6") // and so does a later poll
	s.wants("POST", url, "4by polling", 200, "ok")
	s.session().Send(Binary([]byte{1}))
	c.Sends("5")
	c.Wants("4by polling", "b:\x01") // the rest of the queue
	c.Sends("4by websocket")
	c.Wants("4by websocket")
	s.wants("GET", url, "", 400, badRequest)
	s.wants("POST", url, "4a", 400, badRequest)
	if s.session().Transport() != "websocket" || s.Stats().Upgraded != 1 {
		t.Errorf("transport %s, stats %+v", s.session().Transport(), s.Stats())
	}
	_ = c.Close()
	s.ends(ReasonClient)
	s.wants("GET", url, "", 400, unknownSession)
}

func TestAPollThatWaitsAtTheUpgradeIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	c := s.dial(url)
	waits := s.polled(context.Background(), url)
	c.Sends("5") // without a probe, as the official server allows
	if got := <-waits; got != "Bad Request "+badRequest {
		t.Errorf("got %q", got)
	}
	c.Sends("4a")
	c.Wants("4a")
}

func TestASecondWebSocketIsClosedAndTheFirstIsNot(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	first := s.dial(url)
	first.Sends("2probe")
	first.Wants("3probe")
	s.dial(url).Closes() // during the upgrade of the first
	first.Sends("5")
	chattest.Eventually(t, "the upgrade", s.session().upgraded)
	s.dial(url).Closes()
	first.Sends("4a")
	first.Wants("4a")
	// A session that began on a WebSocket accepts no other.
	c := s.dial(s.url + "polling")
	h := s.hello(c.Next())
	s.dial(s.url + "polling&sid=" + h.SID).Closes()
	s.wants("GET", s.url+"polling&sid="+h.SID, "", 400, badRequest)
	c.Sends("4a")
	c.Wants("4a")
}

func TestAWebSocketThatDoesNotTakeOverLeavesThePollingAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{UpgradeTimeout: 700 * time.Millisecond})
	url := s.polling()
	alive := func() {
		t.Helper()
		chattest.Eventually(t, "the end of the WebSocket", func() bool {
			s.session().mu.Lock()
			defer s.session().mu.Unlock()
			return s.session().upgrade.link == nil
		})
		s.wants("POST", url, "4a", 200, "ok")
		s.wants("GET", url, "", 200, "4a")
	}
	silent := s.dial(url)
	silent.Closes()
	alive()
	probed := s.dial(url)
	probed.Sends("2probe")
	probed.Wants("3probe")
	probed.Closes()
	alive()
	for _, packet := range []string{"4a", "abc", "2", "2prob", "3probe", ""} {
		c := s.dial(url)
		c.Sends(packet)
		c.Closes()
		alive()
	}
	gone := s.dial(url)
	gone.Sends("2probe")
	gone.Wants("3probe")
	_ = gone.Close()
	alive()
	s.takes(url).Sends("4a")
}

func TestAProbeWaitsForThePostThatIsHandled(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	s := serve(t, Config{})
	s.cfg.Open = func(session *Session, _ *http.Request, _ any) Handler {
		s.sessions = append(s.sessions, session)
		return held{hold, session}
	}
	url := s.polling()
	posted := make(chan string, 1)
	go func() { // ends with the request
		_, body, _ := wiretest.Try(context.Background(), "POST", url, "4a\x1e4b")
		posted <- body
	}()
	hold <- struct{}{}
	c := s.dial(url)
	c.Sends("2probe")
	chattest.Eventually(t, "the probe", func() bool {
		s.session().mu.Lock()
		defer s.session().mu.Unlock()
		return s.session().upgrade.owed
	})
	hold <- struct{}{}
	if body := <-posted; body != "ok" {
		t.Errorf("got %q", body)
	}
	c.Wants("3probe")
	c.Sends("5")
	c.Wants("4a", "4b")
}

// held sends a message back once it receives from hold.
type held struct {
	hold    chan struct{}
	session *Session
}

func (h held) Message(data []byte, _ bool) {
	<-h.hold
	h.session.Answer(Text(data))
}

func (held) Closed(Reason) {}

// TestNothingIsLostOrOutOfOrderAcrossTheUpgrade sends numbers in both directions during the
// upgrade. Each side must receive all of them in order.
func TestNothingIsLostOrOutOfOrderAcrossTheUpgrade(t *testing.T) {
	t.Parallel()
	const rounds, count = 20, 300
	s := serve(t, Config{})
	in := make(chan string, count)
	s.cfg.Open = func(session *Session, _ *http.Request, _ any) Handler {
		s.sessions = append(s.sessions, session)
		return collect{in}
	}
	for round := range rounds {
		url := s.polling()
		session := s.session()
		var sending sync.WaitGroup
		sending.Go(func() {
			for i := range count {
				session.Send(Text([]byte(strconv.Itoa(i))))
				if i%20 == round {
					time.Sleep(time.Millisecond)
				}
			}
		})
		got := counting{t: t}
		_, body := s.do("GET", url, "")
		got.take(body)
		s.wants("POST", url, "4p0\x1e4p1", 200, "ok")
		c := s.dial(url)
		c.Sends("2probe")
		polls := make(chan string, count)
		go func() { // ends with the polls: the server answers the last one after the probe
			defer close(polls)
			for {
				_, body, err := wiretest.Try(context.Background(), "GET", url, "")
				if err != nil {
					return
				}
				polls <- body
				session.mu.Lock()
				asked := session.upgrade.probed
				session.mu.Unlock()
				if asked {
					return
				}
			}
		}()
		c.Wants("3probe")
		for body := range polls {
			got.take(body)
		}
		s.wants("POST", url, "4p2", 200, "ok")
		c.Sends("5", "4p3", "4p4")
		for got.next < count {
			got.take(c.Next())
		}
		sending.Wait()
		for i := range 5 {
			if m := <-in; m != fmt.Sprint("p", i) {
				t.Fatalf("round %d: want p%d, got %s", round, i, m)
			}
		}
		_ = c.Close()
	}
}

type collect struct{ in chan string }

func (c collect) Message(data []byte, _ bool) { c.in <- string(data) }
func (collect) Closed(Reason)                 {}

// counting checks that numbers arrive in order, without a gap.
type counting struct {
	t    *testing.T
	next int
}

func (c *counting) take(payload string) {
	c.t.Helper()
	for p := range strings.SplitSeq(payload, "\x1e") {
		if p == "6" {
			continue
		}
		if p != "4"+strconv.Itoa(c.next) {
			c.t.Fatalf("want %d, got %q", c.next, p)
		}
		c.next++
	}
}
