package engineio

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"

	"example.com/chat/internal/poll"
)

// mirror sends back what it gets, and keeps how its session ended.
type mirror struct {
	session *Session
	site    *site
}

func (m *mirror) Message(data []byte, binary bool) {
	switch {
	case string(data) == "panic":
		panic("told to")
	case binary:
		m.session.Answer(Binary(data))
	default:
		m.session.Answer(Text(data))
	}
}

func (m *mirror) Closed(reason Reason) { m.site.ended <- reason }

// site is a Server that tests talk to.
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
	web := httptest.NewServer(s.Server)
	s.url = web.URL + "/engine.io/?EIO=4&transport="
	t.Cleanup(func() {
		s.Close()
		web.Close()
	})
	return s
}

// session is the newest one, as the server has it.
func (s *site) session() *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[len(s.sessions)-1]
}

// do sends a request, and returns the status and the body.
func (s *site) do(method, url, body string, headers ...string) (int, string) {
	s.t.Helper()
	status, text, err := s.try(context.Background(), method, url, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return status, text
}

func (s *site) try(ctx context.Context, method, url, body string, headers ...string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, poll.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// hello is what the open packet says.
type hello struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

func (s *site) hello(packet string) hello {
	s.t.Helper()
	var h hello
	if !strings.HasPrefix(packet, "0") {
		s.t.Fatalf("want an open packet, got %q", packet)
	}
	if err := json.Unmarshal([]byte(packet[1:]), &h, json.RejectUnknownMembers(true)); err != nil {
		s.t.Fatalf("open packet %q: %v", packet, err)
	}
	return h
}

// polling opens a session and returns the URL of its requests.
func (s *site) polling() string {
	s.t.Helper()
	status, body := s.do("GET", s.url+"polling", "")
	if status != 200 {
		s.t.Fatalf("handshake: %d %s", status, body)
	}
	return s.url + "polling&sid=" + s.hello(body).SID
}

// wants checks what a request is answered.
func (s *site) wants(method, url, body string, status int, text string) {
	s.t.Helper()
	if gotStatus, got := s.do(method, url, body); gotStatus != status || got != text {
		s.t.Fatalf("%s %.40q: want %d %.80q, got %d %.80q", method, body, status, text, gotStatus, got)
	}
}

// polled starts a poll, and waits until the server has it.
func (s *site) polled(ctx context.Context, url string) <-chan string {
	s.t.Helper()
	session := s.session()
	got := make(chan string, 1)
	go func() { // ends with the request
		status, body, err := s.try(ctx, "GET", url, "")
		if err != nil {
			body = err.Error()
		}
		got <- http.StatusText(status) + " " + body
	}()
	poll.Until(s.t, "the poll to wait", func() bool {
		session.mu.Lock()
		defer session.mu.Unlock()
		return session.poll != nil
	})
	return got
}

// socket is a WebSocket client.
type socket struct {
	t testing.TB
	*websocket.Conn
}

// dial opens a WebSocket to a URL that is meant for polling.
func (s *site) dial(url string) *socket {
	s.t.Helper()
	url = strings.Replace(strings.Replace(url, "http", "ws", 1), "transport=polling", "transport=websocket", 1)
	c, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return &socket{s.t, c}
}

func (c *socket) sends(packets ...string) {
	c.t.Helper()
	for _, p := range packets {
		if err := c.WriteMessage(websocket.TextMessage, []byte(p)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// next returns the next message.
func (c *socket) next() string {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(poll.Patience))
	_, data, err := c.ReadMessage()
	if err != nil {
		c.t.Fatal(err)
	}
	return string(data)
}

func (c *socket) wants(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		if got := c.next(); got != want {
			c.t.Fatalf("want %q, got %q", want, got)
		}
	}
}

// closes reads until the close frame.
func (c *socket) closes() *websocket.CloseError {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(poll.Patience))
	for {
		_, _, err := c.ReadMessage()
		if closed, ok := err.(*websocket.CloseError); ok {
			return closed
		}
		if err != nil {
			c.t.Fatalf("want a close frame, got %v", err)
		}
	}
}

// takes opens a WebSocket for a polling session and sees it taken over.
func (s *site) takes(url string) *socket {
	s.t.Helper()
	c := s.dial(url)
	c.sends("2probe")
	c.wants("3probe")
	c.sends("5")
	session := s.session()
	poll.Until(s.t, "the upgrade", session.upgraded)
	return c
}

// ends waits for the end of a session.
func (s *site) ends(want Reason) {
	s.t.Helper()
	select {
	case got := <-s.ended:
		if got != want {
			s.t.Fatalf("want the end %q, got %q", want, got)
		}
	case <-time.After(poll.Patience):
		s.t.Fatalf("the session did not end")
	}
}
