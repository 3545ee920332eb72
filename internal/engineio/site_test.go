package engineio

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/test/socketio/wiretest"
)

// mirror sends each message back, and reports how its session ended.
type mirror struct {
	session *Session
	site    *site
}

func (m *mirror) Message(data []byte, binary bool) {
	switch {
	case string(data) == "panic":
		panic("the client asked for it")
	case binary:
		m.session.Answer(Binary(data))
	default:
		m.session.Answer(Text(data))
	}
}

func (m *mirror) Closed(reason Reason) { m.site.ended <- reason }

// site is a Server that tests send requests to.
type site struct {
	*Server
	t        testing.TB
	url      string
	ended    chan Reason
	mu       sync.Mutex
	sessions []*Session
}

func serve(t testing.TB, cfg Config) *site {
	t.Helper()
	s := &site{t: t, ended: make(chan Reason, 10_000)}
	if cfg.Open == nil {
		cfg.Open = func(session *Session, _ *http.Request, _ any) Handler {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.sessions = append(s.sessions, session)
			return &mirror{session, s}
		}
	}
	s.Server = NewServer(cfg)
	web := httptest.NewUnstartedServer(s.Server)
	web.Config.ConnContext = WithConn
	web.Start()
	s.url = web.URL + "/engine.io/?EIO=4&transport="
	t.Cleanup(func() {
		s.Close()
		web.Close()
	})
	return s
}

// session returns the newest session.
func (s *site) session() *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[len(s.sessions)-1]
}

// do sends a request, and returns the status and the body.
func (s *site) do(method, url, body string, headers ...string) (int, string) {
	s.t.Helper()
	return wiretest.Do(s.t, method, url, body, headers...)
}

// polling opens a session and returns the URL of its requests.
func (s *site) polling() string {
	s.t.Helper()
	return wiretest.Open(s.t, s.url)
}

// hello reads an open packet.
func (s *site) hello(packet string) wiretest.Hello {
	s.t.Helper()
	return wiretest.ParseHello(s.t, packet)
}

// wants sends a request and checks the answer.
func (s *site) wants(method, url, body string, status int, text string) {
	s.t.Helper()
	wiretest.Wants(s.t, method, url, body, status, text)
}

// polled starts a poll, and waits until the server has received it.
func (s *site) polled(ctx context.Context, url string) <-chan string {
	s.t.Helper()
	session := s.session()
	got := make(chan string, 1)
	go func() { // ends with the request
		status, body, err := wiretest.Try(ctx, "GET", url, "")
		if err != nil {
			body = err.Error()
		}
		got <- http.StatusText(status) + " " + body
	}()
	chattest.Eventually(s.t, "the arrival of the poll", func() bool {
		session.mu.Lock()
		defer session.mu.Unlock()
		return session.polls.waiting != nil
	})
	return got
}

// dial opens a WebSocket to the URL of a polling session.
func (s *site) dial(url string) *wiretest.Socket {
	s.t.Helper()
	return wiretest.Dial(s.t, url)
}

// takes upgrades a polling session to a WebSocket.
func (s *site) takes(url string) *wiretest.Socket {
	s.t.Helper()
	c := s.dial(url)
	c.Sends("2probe")
	c.Wants("3probe")
	c.Sends("5")
	session := s.session()
	chattest.Eventually(s.t, "the upgrade", session.upgraded)
	return c
}

// ends waits for the end of a session.
func (s *site) ends(want Reason) {
	s.t.Helper()
	select {
	case got := <-s.ended:
		if got != want {
			s.t.Fatalf("want the session to end by %q, got %q", want, got)
		}
	case <-time.After(chattest.Patience):
		s.t.Fatalf("the session did not end")
	}
}
