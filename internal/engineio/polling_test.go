package engineio

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/test/socketio/wiretest"
)

const (
	unknownTransport = `{"code":0,"message":"Transport unknown"}`
	unknownSession   = `{"code":1,"message":"Session ID unknown"}`
	badMethod        = `{"code":2,"message":"Bad handshake method"}`
	badRequest       = `{"code":3,"message":"Bad request"}`
	forbidden        = `{"code":4,"message":"Forbidden"}`
	badVersion       = `{"code":5,"message":"Unsupported protocol version"}`
)

func TestHandshakeByPolling(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{Owner: "n-1"})
	status, body := s.do("GET", s.url+"polling", "")
	h := s.hello(body)
	if status != 200 || len(h.Upgrades) != 1 || h.Upgrades[0] != "websocket" ||
		h.PingInterval != 25000 || h.PingTimeout != 20000 || h.MaxPayload != 1000000 {
		t.Errorf("got %d %+v", status, h)
	}
	random, ok := strings.CutPrefix(h.SID, "n-1.")
	if !ok || len(random)*6 < 120 {
		t.Errorf("the id %q lacks the owner or 120 random bits", h.SID)
	}
	if ownerOf(h.SID) != "n-1" || ownerOf(random) != "" {
		t.Errorf("the owner of %q is %q, that of %q is %q", h.SID, ownerOf(h.SID), random, ownerOf(random))
	}
}

func TestRefusalsThatClientsKnow(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	base := strings.TrimSuffix(s.url, "EIO=4&transport=")
	known := s.polling()
	for _, c := range []struct {
		method, url string
		want        string
	}{
		{"GET", base + "EIO=4", unknownTransport},
		{"GET", base + "EIO=4&transport=abc", unknownTransport},
		{"GET", base + "EIO=4&transport=polling&j=0", unknownTransport},
		{"GET", base + "EIO=4&transport=polling&sid=abc", unknownSession},
		{"POST", base + "EIO=4&transport=polling&sid=abc", unknownSession},
		{"GET", base + "EIO=4&transport=websocket&sid=abc", unknownSession},
		{"POST", base + "EIO=4&transport=polling", badMethod},
		{"PUT", base + "EIO=4&transport=polling", badMethod},
		{"GET", base + "EIO=4&transport=websocket", badRequest},
		{"PUT", known, badRequest},
		{"GET", strings.Replace(known, "polling", "websocket", 1), badRequest},
		{"GET", base + "transport=polling", badVersion},
		{"GET", base + "EIO=3&transport=polling", badVersion},
		{"GET", base + "EIO=abc&transport=polling", badVersion},
	} {
		if status, body := s.do(c.method, c.url, ""); status != 400 || body != c.want {
			t.Errorf("%s %s: want 400 %s, got %d %s", c.method, c.url, c.want, status, body)
		}
	}
}

func TestPacketsByPollingAreMirrored(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	for _, payload := range []string{"4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4", "b", "4ü€"} {
		s.wants("POST", url, payload, 200, "ok")
		s.wants("GET", url, "", 200, payload)
	}
	s.wants("POST", url, "bAQIDBA", 200, "ok") // without padding
	s.wants("GET", url, "", 200, "bAQIDBA==")
	s.wants("POST", url, "6\x1e5\x1e0", 200, "ok") // these have no meaning here
	s.wants("POST", url, "4still", 200, "ok")
	s.wants("GET", url, "", 200, "4still")
}

func TestAPollThatWaitsIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	for i := range 3 {
		got := s.polled(context.Background(), url)
		s.wants("POST", url, fmt.Sprint("4", i), 200, "ok")
		if answer, want := <-got, fmt.Sprint("OK 4", i); answer != want {
			t.Fatalf("want %q, got %q", want, answer)
		}
	}
}

func TestPayloadsThatAreNoneCloseTheSession(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{MaxPackets: 100})
	for name, payload := range map[string]string{
		"an unknown packet":       "abc",
		"a bad one after a good":  "4a\x1eabc",
		"an empty body":           "",
		"an empty last packet":    "4a\x1e",
		"invalid base64":          "b!!!!",
		"incomplete base64":       "bA",
		"text that is not UTF-8":  "4\xff",
		"a ping of a v3 client":   "2",
		"a probe":                 "2probe",
		"too many packets":        strings.Repeat("6\x1e", 100) + "6",
		"too many empty packets":  strings.Repeat("\x1e", 100_000),
		"more packets than limit": strings.Repeat("4\x1e", 100_000),
	} {
		url := s.polling()
		s.wants("POST", url, payload, 400, badRequest)
		s.wants("GET", url, "", 400, unknownSession)
		if got := <-s.ended; got != ReasonParse {
			t.Errorf("%s: the session ended by %q", name, got)
		}
	}
}

func TestContentThatIsBytesIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	if status, _ := s.do("POST", url, "4a", "Content-Type", "application/octet-stream"); status != 400 {
		t.Errorf("got %d", status)
	}
	s.ends(ReasonParse)
}

func TestAPayloadOverTheLimitGets413(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{MaxPayload: 1000})
	url := s.polling()
	s.wants("POST", url, "4"+strings.Repeat("x", 999), 200, "ok")
	s.wants("GET", url, "", 200, "4"+strings.Repeat("x", 999))
	got := s.polled(context.Background(), url)
	if status, _ := s.do("POST", url, "4"+strings.Repeat("x", 1000)); status != 413 {
		t.Errorf("a body over the limit: got %d", status)
	}
	if answer := <-got; answer != "OK 1" {
		t.Errorf("the waiting poll got %q", answer)
	}
	s.wants("GET", url, "", 400, unknownSession)

	// A body of unknown length.
	url = s.polling()
	r, _ := http.NewRequest("POST", url, io.MultiReader(strings.NewReader("4"), strings.NewReader(strings.Repeat("x", 5000))))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != 413 {
		t.Errorf("a body over the limit without a length: got %d", answer.StatusCode)
	}
	s.wants("GET", url, "", 400, unknownSession)
}

func TestTwoPollsAtOnceCloseTheSession(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	first := s.polled(context.Background(), url)
	s.wants("GET", url, "", 400, badRequest)
	if got := <-first; got != "OK 1" {
		t.Errorf("the first poll got %q", got)
	}
	s.wants("GET", url, "", 400, unknownSession)
	s.ends(ReasonTransport)
}

func TestTwoPostsAtOnceCloseTheSession(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	session := s.session()
	body, more := io.Pipe()
	first := make(chan int, 1)
	go func() { // ends with its body, below
		r, _ := http.NewRequest("POST", url, body)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			first <- 0
			return
		}
		_ = answer.Body.Close()
		first <- answer.StatusCode
	}()
	_, _ = io.WriteString(more, "4a")
	chattest.Eventually(t, "the first POST", func() bool {
		session.mu.Lock()
		defer session.mu.Unlock()
		return session.posts.active
	})
	s.wants("POST", url, "4b", 400, badRequest)
	_ = more.Close()
	<-first
	s.wants("GET", url, "", 400, unknownSession)
	s.ends(ReasonTransport)
}

func TestHeartbeatByPolling(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{PingInterval: 60 * time.Millisecond, PingTimeout: 5 * time.Second})
	url := s.polling()
	for range 3 {
		s.wants("GET", url, "", 200, "2")
		s.wants("POST", url, "3", 200, "ok")
	}
}

func TestASilentSessionIsDropped(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{PingInterval: 60 * time.Millisecond, PingTimeout: 40 * time.Millisecond})
	url := s.polling()
	s.ends(ReasonPing)
	s.wants("GET", url, "", 400, unknownSession)
	s.dial(s.url + "polling").Closes()
	s.ends(ReasonPing)
}

func TestWhoseMessageIsHandledIsNotSilent(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	s := serve(t, Config{PingInterval: 50 * time.Millisecond, PingTimeout: 500 * time.Millisecond})
	s.cfg.Open = func(session *Session, _ *http.Request, _ any) Handler { return held{hold, session} }
	url := s.polling()
	c := s.dial(s.url + "polling")
	s.hello(c.Next())
	c.Sends("4a", "3")
	posted := make(chan string, 1)
	go func() { // ends with the request
		_, body, _ := wiretest.Try(context.Background(), "POST", url, "4a\x1e3")
		posted <- body
	}()
	<-time.After(1200 * time.Millisecond) // longer than a client may be silent
	hold <- struct{}{}
	hold <- struct{}{}
	if body := <-posted; body != "ok" {
		t.Errorf("got %q", body)
	}
	for c.Event() != "4a" {
		t.Log("a packet before the answer")
	}
}

// TestAPollOutlastsTheServersTimeouts checks that a poll waits longer than the timeouts of
// net/http, which are for requests that are answered at once.
func TestAPollOutlastsTheServersTimeouts(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	web := httptest.NewUnstartedServer(s.Server)
	web.Config.ReadTimeout, web.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	web.Start()
	defer web.Close()
	s.url = web.URL + "/?EIO=4&transport="
	url := s.polling()
	got := s.polled(context.Background(), url)
	<-time.After(400 * time.Millisecond)
	s.session().Send(Text([]byte("late")))
	if answer := <-got; answer != "OK 4late" {
		t.Errorf("got %q", answer)
	}
	s.wants("POST", url, "4a", 200, "ok")
	s.wants("GET", url, "", 200, "4a")
}

// TestWhoSaysAnythingIsNotSilent sends packets but no pong, in virtual time.
func TestWhoSaysAnythingIsNotSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, ended := make(chan string, 1000), make(chan Reason, 1)
		server := NewServer(Config{Open: func(*Session, *http.Request, any) Handler { return judged{collect{in}, ended} }})
		defer server.Close()
		session := newSession(server, nil)
		server.reserve()
		session.begin(nil, nil)
		for range 100 {
			time.Sleep(19 * time.Second) // a second less than the timeout
			session.calls.mu.Lock()
			if !session.calls.packet(kindMessage, []byte("a")) {
				t.Error("the session ended although the client sends packets")
			}
			session.calls.mu.Unlock()
		}
		last := time.Now()
		if got := <-ended; got != ReasonPing || time.Since(last) != 20*time.Second {
			t.Errorf("the session ended by %q after %s", got, time.Since(last))
		}
		if pings := len(session.out.queue); pings != 0 || len(in) != 100 {
			t.Errorf("%d packets are kept of an ended session, %d messages were handled", pings, len(in))
		}
	})
}

// judged reports how its session ended.
type judged struct {
	collect
	ended chan Reason
}

func (j judged) Closed(reason Reason) { j.ended <- reason }

func TestTheClientCloses(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	got := s.polled(context.Background(), url)
	s.wants("POST", url, "1", 200, "ok")
	if answer := <-got; answer != "OK 6" {
		t.Errorf("the waiting poll got %q", answer)
	}
	s.wants("GET", url, "", 400, unknownSession)
	s.ends(ReasonClient)

	// Packets after a close are ignored.
	url = s.polling()
	s.wants("POST", url, "1\x1e4a", 200, "ok")
	s.wants("POST", url, "4a", 400, unknownSession)
	s.ends(ReasonClient)
}

// TestACloseThatOvertookItsPoll sends a close right before a poll: clients send both at once,
// on two connections, and expect an answer to the poll. On a busy machine a poll may arrive
// too late, but not each time.
func TestACloseThatOvertookItsPoll(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	for try := 0; ; try++ {
		url := s.polling()
		session := s.session()
		posted := make(chan string, 1)
		go func() { // ends with the request
			_, body, _ := wiretest.Try(context.Background(), "POST", url, "1")
			posted <- body
		}()
		chattest.Eventually(t, "the close", func() bool {
			session.mu.Lock()
			defer session.mu.Unlock()
			return session.polls.arrived != nil || session.ended
		})
		status, body := s.do("GET", url, "")
		if got := <-posted; got != "ok" {
			t.Fatalf("the close got the answer %q", got)
		}
		s.ends(ReasonClient)
		s.wants("GET", url, "", 400, unknownSession)
		if status == 200 && body == "6" {
			return
		}
		if try == 10 || status != 400 {
			t.Fatalf("the poll got %d %q", status, body)
		}
	}
}

func TestTheServerClosesAfterWhatItSent(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{Linger: time.Second})
	url := s.polling()
	s.session().Send(Text([]byte("a")), Binary([]byte{1}))
	s.session().Close(4003, "kicked")
	s.session().Send(Text([]byte("too late")))
	s.ends(ReasonServer) // at once, before the client knows
	s.wants("GET", url, "", 200, "4a\x1ebAQ==\x1e1")
	s.wants("GET", url, "", 400, unknownSession)

	url = s.polling()
	got := s.polled(context.Background(), url)
	s.session().Close(4003, "kicked")
	if answer := <-got; answer != "OK 1" {
		t.Errorf("the waiting poll got %q", answer)
	}

	// No poll follows.
	s.polling()
	s.session().Close(4003, "kicked")
	chattest.Eventually(t, "the end of the linger", func() bool { return s.Stats().Open == 0 })
}

func TestASlowPollerIsClosed(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{OutboxLimit: 1000})
	url := s.polling()
	session := s.session()
	m := Text(bytes.Repeat([]byte{'x'}, 599))
	session.Send(m)
	if session.Pending() != 600 {
		t.Errorf("%d bytes are pending", session.Pending())
	}
	session.Send(m)
	s.ends(ReasonSlow)
	s.wants("GET", url, "", 400, unknownSession)
	if s.Stats().Slow != 1 {
		t.Errorf("stats %+v", s.Stats())
	}

	// A single message may be larger than the limit, and so may answers.
	url = s.polling()
	session = s.session()
	large := Text(bytes.Repeat([]byte{'x'}, 5000))
	session.Send(large)
	if _, body := s.do("GET", url, ""); len(body) != 5001 {
		t.Errorf("got %d bytes", len(body))
	}
	session.Answer(large, large)
	session.Send(m)
	if _, body := s.do("GET", url, ""); len(body) != 2*5001+600+2 {
		t.Errorf("got %d bytes", len(body))
	}
	if session.Pending() != 0 {
		t.Errorf("%d bytes are pending", session.Pending())
	}
}

func TestAPosterTakesItsAnswersFirst(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{OutboxLimit: 1000})
	url := s.polling()
	session := s.session()
	packet := "4" + strings.Repeat("x", 599)
	done := make(chan string, 1)
	go func() { // ends with the request
		_, body, _ := wiretest.Try(context.Background(), "POST", url, strings.Repeat(packet+"\x1e", 9)+packet)
		done <- body
	}()
	got := 0
	for got < 10 {
		if p := session.Pending(); p > 1200 {
			t.Fatalf("%d bytes are pending", p)
		}
		_, body := s.do("GET", url, "")
		got += strings.Count(body, packet)
	}
	if body := <-done; body != "ok" || got != 10 {
		t.Errorf("got %q and %d messages", body, got)
	}

	// A client that does not poll for its answers is closed.
	s = serve(t, Config{OutboxLimit: 1000, PingTimeout: 50 * time.Millisecond})
	url = s.polling()
	s.wants("POST", url, strings.Repeat(packet+"\x1e", 9)+packet, 200, "ok")
	s.ends(ReasonSlow)
}

func TestMessagesArriveInOrder(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	session := s.session()
	const count = 2000
	go func() { // ends by itself
		for i := range count {
			session.Send(Text([]byte(strconv.Itoa(i))))
		}
	}()
	next := 0
	for next < count {
		_, body := s.do("GET", url, "")
		for p := range strings.SplitSeq(body, "\x1e") {
			if p != "4"+strconv.Itoa(next) {
				t.Fatalf("want %d, got %q", next, p)
			}
			next++
		}
	}
}

func TestAPanicEndsItsSessionAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	other := s.polling()
	url := s.polling()
	s.do("POST", url, "4panic")
	s.ends(ReasonServer)
	s.wants("GET", url, "", 400, unknownSession)
	c := s.dial(s.url + "polling")
	c.Sends("4panic")
	c.Closes()
	s.ends(ReasonServer)
	s.wants("POST", other, "4a", 200, "ok")
	s.wants("GET", other, "", 200, "4a")
	if s.Stats().Panics != 2 {
		t.Errorf("stats %+v", s.Stats())
	}
}
