package engineio

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
)

const page = "https://page.example"

func TestAForeignOriginIsForbiddenOnEveryRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{Allow: func(r *http.Request) bool {
		origin := r.Header.Get("Origin")
		return origin == "" || origin == page
	}})
	url := s.polling()
	for _, method := range []string{"GET", "POST", "OPTIONS"} {
		for _, to := range []string{url, s.url + "polling", s.url + "polling&sid=unknown"} {
			if status, body := s.do(method, to, "4a", "Origin", "https://evil.example"); status != 403 || body != forbidden {
				t.Errorf("%s %s: got %d %s", method, to, status, body)
			}
		}
	}
	header := http.Header{"Origin": {"https://evil.example"}}
	ws := strings.NewReplacer("http", "ws", "polling", "websocket").Replace(url)
	if _, answer, err := websocket.DefaultDialer.Dial(ws, header); err == nil || answer.StatusCode != 403 {
		t.Errorf("a WebSocket: got %v", answer)
	}
	s.wants("POST", url, "4a", 200, "ok") // the session is unharmed
	s.wants("GET", url, "", 200, "4a")
}

func TestCORS(t *testing.T) {
	t.Parallel()
	named := serve(t, Config{Allow: func(*http.Request) bool { return true }})
	all := serve(t, Config{AnyOrigin: true})
	ask := func(s *site, method, url string) *http.Response {
		t.Helper()
		r, _ := http.NewRequest(method, url, nil)
		r.Header.Set("Origin", page)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "x-mine, authorization")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer
	}
	for _, method := range []string{"OPTIONS", "GET", "POST"} { // the refusal of the last is readable too
		h := ask(named, method, named.url+"polling").Header
		if h.Get("Access-Control-Allow-Origin") != page || h.Get("Access-Control-Allow-Credentials") != "true" ||
			!slices.Contains(h.Values("Vary"), "Origin") {
			t.Errorf("%s: got %v", method, h)
		}
		h = ask(all, method, all.url+"polling").Header
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s for any origin: got %v", method, h)
		}
	}
	answer := ask(named, "OPTIONS", named.url+"polling")
	if answer.StatusCode != 204 || answer.Header.Get("Access-Control-Allow-Methods") != "GET, POST" ||
		answer.Header.Get("Access-Control-Allow-Headers") != "x-mine, authorization" {
		t.Errorf("preflight: got %d %v", answer.StatusCode, answer.Header)
	}
	if s := named.Stats(); s.Opened != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	abandoned := make(chan any, 1)
	opened := make(chan any, 2)
	var s *site
	s = serve(t, Config{
		Admit: func(w http.ResponseWriter, r *http.Request) (any, bool) {
			if r.Header.Get("X-Name") == "" {
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(http.StatusServiceUnavailable)
				return nil, false
			}
			return r.Header.Get("X-Name"), true
		},
		Open: func(session *Session, _ *http.Request, admitted any) Handler {
			opened <- admitted
			return &mirror{session, s}
		},
		Abandon: func(admitted any) { abandoned <- admitted },
	})
	if status, _ := s.do("GET", s.url+"polling", ""); status != 503 || s.Stats().Opened != 0 {
		t.Errorf("got %d, %+v", status, s.Stats())
	}
	if status, _ := s.do("GET", s.url+"polling", "", "X-Name", "ann"); status != 200 || <-opened != "ann" {
		t.Errorf("got %d", status)
	}
	// The handshake of a WebSocket fails after the admission.
	status, _ := s.do("GET", s.url+"websocket", "", "X-Name", "bob", "Connection", "upgrade", "Upgrade", "websocket")
	if got := <-abandoned; status != 400 || got != "bob" {
		t.Errorf("got %d, %v", status, got)
	}
	if s.count != 1 {
		t.Errorf("%d sessions are counted, want 1", s.count)
	}
}

func TestRequestsForAnotherOwnerGoElsewhere(t *testing.T) {
	t.Parallel()
	var other *site
	s := serve(t, Config{Owner: "a", Elsewhere: func(owner string, w http.ResponseWriter, r *http.Request) bool {
		if owner != "b" {
			return false
		}
		other.ServeOwn(w, r)
		return true
	}})
	other = serve(t, Config{Owner: "b", Elsewhere: func(string, http.ResponseWriter, *http.Request) bool {
		t.Error("a relayed request was relayed again")
		return false
	}})
	id := strings.SplitN(other.polling(), "sid=", 2)[1]
	url := s.url + "polling&sid=" + id
	s.wants("POST", url, "4a", 200, "ok")
	s.wants("GET", url, "", 200, "4a")
	c := s.dial(url)
	c.Sends("2probe")
	c.Wants("3probe")
	c.Sends("5", "4b")
	c.Wants("4b")
	for _, unknown := range []string{"b.x", "c.x", "a.x", "x", ".", "b."} {
		if status, _ := s.do("GET", s.url+"polling&sid="+unknown, ""); status != 400 {
			t.Errorf("%s: got %d", unknown, status)
		}
	}
	if s.Stats().Opened != 0 || other.Stats().Upgraded != 1 {
		t.Errorf("stats %+v, %+v", s.Stats(), other.Stats())
	}
}

func TestTheNumberOfSessionsIsBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{MaxSessions: 3})
	url := s.polling()
	s.polling()
	c := s.dial(s.url + "polling")
	s.hello(c.Next())
	if status, _ := s.do("GET", s.url+"polling", ""); status != 503 {
		t.Errorf("got %d", status)
	}
	ws := strings.Replace(s.url, "http", "ws", 1) + "websocket"
	if _, answer, err := websocket.DefaultDialer.Dial(ws, nil); err == nil || answer.StatusCode != 503 {
		t.Errorf("got %v", answer)
	}
	s.takes(s.polls(t, url)) // an upgrade needs no place
	_ = c.Close()
	chattest.Eventually(t, "the free place", func() bool { return s.Stats().Open == 2 })
	s.polling()
	if s.Stats().Full != 2 {
		t.Errorf("stats %+v", s.Stats())
	}
}

// polls makes the session of a URL the one that session returns.
func (s *site) polls(t *testing.T, url string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, session := range s.sessions {
		if strings.HasSuffix(url, session.id) {
			s.sessions = append(slices.Delete(s.sessions, i, i+1), session)
			return url
		}
	}
	t.Fatal("no such session")
	return ""
}

// TestSessionsThatOnlyOpenCostLittle measures the memory of a thousand sessions that send
// no further request.
func TestSessionsThatOnlyOpenCostLittle(t *testing.T) {
	s := serve(t, Config{})
	s.polling()
	http.DefaultClient.CloseIdleConnections()
	before, goroutines := heap(), runtime.NumGoroutine()
	const count = 1000
	for range count {
		s.polling()
	}
	http.DefaultClient.CloseIdleConnections()
	chattest.Eventually(t, "the end of the goroutines", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
	each := (int64(heap()) - int64(before)) / count
	t.Logf("a session without further requests costs %d bytes, and no goroutine", each)
	if each > 4096 {
		t.Errorf("a session costs %d bytes", each)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestCloseEndsAllAndTellsTheirHandlers(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	url := s.polling()
	waits := s.polled(context.Background(), url)
	s.polling()
	c := s.dial(s.url + "polling")
	s.hello(c.Next())
	s.takes(s.polling())
	s.Close()
	if got := <-waits; got != "OK 1" {
		t.Errorf("the waiting poll got %q", got)
	}
	for range 4 {
		if len(s.ended) == 0 {
			t.Fatal("a handler's Closed was not called")
		}
		<-s.ended
	}
	if status, _ := s.do("GET", s.url+"polling", ""); status != 503 {
		t.Errorf("after the close: %d", status)
	}
	if s.Stats().Open != 0 {
		t.Errorf("stats %+v", s.Stats())
	}
}

func TestLaterWaitsForTheHandler(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	s.polling()
	session := s.session()
	session.calls.mu.Lock()
	done := make(chan struct{})
	session.Later(func() { close(done) })
	select {
	case <-done:
		t.Fatal(errors.New("Later did not wait"))
	default:
	}
	session.calls.mu.Unlock()
	<-done
}
