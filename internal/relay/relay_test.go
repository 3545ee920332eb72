package relay

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

const path = "/inside/"

// node is a relay with a server behind its Take.
func node(t *testing.T, secret string, find func(string) (string, bool), next http.HandlerFunc) (*Relay, *httptest.Server) {
	t.Helper()
	r, err := New(Config{
		Tag: NewTag(), Secret: []byte(secret), Find: find, Longest: 5 * time.Second, MaxBody: 1 << 10,
		Path: path, ReleasePath: "/release", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(r.Take(next))
	t.Cleanup(func() {
		r.Close()
		web.Close()
	})
	return r, web
}

// The owner sees the request as its client sent it, and the client's address. It does not
// see the seal.
func TestAForwardedRequestIsItsClients(t *testing.T) {
	t.Parallel()
	owner, at := node(t, "secret", nil, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Seen", strings.Join([]string{r.Method, r.RequestURI, r.URL.Scheme, r.Host, r.RemoteAddr, r.Header.Get("Origin"), r.Header.Get(sealHeader), string(body)}, "|"))
		w.WriteHeader(http.StatusTeapot)
	})
	address := strings.TrimPrefix(at.URL, "http://")
	find := func(tag string) (string, bool) { return address, tag == owner.cfg.Tag }
	other, _ := node(t, "secret", find, nil)
	stranger, _ := node(t, "another", find, nil)
	send := func(from *Relay, tag string) (*httptest.ResponseRecorder, bool) {
		r := httptest.NewRequest("POST", "https://chat.example/socket.io/%2e?sid=x&y=%20", strings.NewReader("body"))
		r.RemoteAddr = "192.0.2.7:1234"
		r.Header.Set("Origin", "https://page.example")
		r.Header.Set("X-Forwarded-For", "192.0.2.66")
		w := httptest.NewRecorder()
		return w, from.Forward(tag, w, r)
	}
	w, ok := send(other, owner.cfg.Tag)
	want := "POST|/inside/?sid=x&y=%20|https|chat.example|192.0.2.7:1234|https://page.example||body"
	if got := w.Header().Get("Seen"); !ok || w.Code != http.StatusTeapot || got != want {
		t.Errorf("%t %d %q", ok, w.Code, got)
	}
	// A node that started at the address of a node that is gone refuses the seal. Its
	// refusal counts as no answer, as from a node that is gone.
	if w, ok := send(stranger, owner.cfg.Tag); ok || w.Body.Len() > 0 || len(w.Header()) > 0 || owner.Stats().Refused != 1 {
		t.Errorf("with another secret: %t %v", ok, w)
	}
	if _, ok := send(other, "unknown"); ok {
		t.Error("an unknown node has answered")
	}
	at.Close()
	w, ok = send(other, owner.cfg.Tag)
	if ok || w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("a node that is gone: %t, %v", ok, w)
	}
	if s := other.Stats(); s.Open != 0 || s.Passed != 2 || s.Failed != 1 {
		t.Errorf("%+v", s)
	}
}

// A WebSocket is relayed with the bytes that both sides sent early, and ends when either
// side does. A refusal is relayed unchanged.
func TestAWebSocketIsPassedOn(t *testing.T) {
	t.Parallel()
	owner, at := node(t, "secret", nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sid") == "none" {
			http.Error(w, "no such session", http.StatusBadRequest)
			return
		}
		c, in, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nwelcome ")
		_, _ = io.Copy(c, in)
		_, _ = io.WriteString(c, " bye")
	})
	find := func(tag string) (string, bool) {
		return strings.TrimPrefix(at.URL, "http://"), tag == owner.cfg.Tag
	}
	other, _ := node(t, "secret", find, nil)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !other.Forward(owner.cfg.Tag, w, r) {
			http.Error(w, "not answered", http.StatusTeapot)
		}
	}))
	t.Cleanup(web.Close)
	ask := func(sid, early string) net.Conn {
		c, err := net.Dial("tcp", strings.TrimPrefix(web.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(chattest.Patience))
		_, _ = io.WriteString(c, "GET /socket.io/?sid="+sid+" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"+early)
		return c
	}
	c := ask("x", "early")
	_, _ = io.WriteString(c, " late")
	_ = c.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(c)
	if head, rest, _ := strings.Cut(string(all), "\r\n\r\n"); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") || rest != "welcome early late bye" {
		t.Errorf("%q, %v", all, err)
	}
	c = ask("none", "")
	_ = c.(*net.TCPConn).CloseWrite()
	if all, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 400 ") || !strings.Contains(string(all), "no such session") {
		t.Errorf("%q, %v", all, err)
	}
	chattest.Eventually(t, "the earlier tunnels to end", func() bool { return other.Stats().Open == 0 })
	c = ask("x", "")
	chattest.Eventually(t, "the tunnel", func() bool { return len(other.Breaks()) == 1 })
	for _, end := range other.Breaks() {
		end()
	}
	_, _ = io.Copy(io.Discard, c) // ends with the tunnel
	chattest.Eventually(t, "the end", func() bool { return other.Stats().Open == 0 })
}

// A seal is valid once, for one request to one node.
func TestASealIsGoodOnceAndForItsRequest(t *testing.T) {
	t.Parallel()
	owner, at := node(t, "secret", nil, func(http.ResponseWriter, *http.Request) {})
	s := seal{from: NewTag(), number: 7, client: "192.0.2.7:1234"}
	request := func() *http.Request {
		r, _ := http.NewRequest("GET", at.URL+path+"?sid=x", nil)
		r.Header.Set("Origin", "https://page.example")
		return r
	}
	sealed := s.text(owner.key, owner.cfg.Tag, request(), path+"?sid=x")
	status := func(seal string, change func(*http.Request)) int {
		r := request()
		r.Header.Set(sealHeader, seal)
		if change != nil {
			change(r)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	for what, change := range map[string]func(*http.Request){
		"method":  func(r *http.Request) { r.Method = "POST" },
		"session": func(r *http.Request) { r.URL.RawQuery = "sid=y" },
		"host":    func(r *http.Request) { r.Host = "evil.example" },
		"origin":  func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"origins": func(r *http.Request) { r.Header.Add("Origin", "https://evil.example") },
		"client": func(r *http.Request) {
			r.Header.Set(sealHeader, strings.Replace(sealed, "192.0.2.7", "192.0.2.8", 1))
		},
		"scheme": func(r *http.Request) {
			r.Header.Set(sealHeader, strings.Replace(sealed, " - ", " https ", 1))
		},
		"number": func(r *http.Request) { r.Header.Set(sealHeader, strings.Replace(sealed, " 7 ", " 8 ", 1)) },
		"sender": func(r *http.Request) { r.Header.Set(sealHeader, "x"+sealed) },
		"target": func(r *http.Request) {
			r.Header.Set(sealHeader, s.text(owner.key, "another", r, path+"?sid=x"))
		},
		"none": func(r *http.Request) { r.Header.Del(sealHeader) },
	} {
		if got := status(sealed, change); got != http.StatusForbidden {
			t.Errorf("another %s: %d", what, got)
		}
	}
	if got := status(sealed, nil); got != http.StatusOK {
		t.Errorf("the request itself: %d", got)
	}
	if got := status(sealed, nil); got != http.StatusForbidden {
		t.Errorf("the request a second time: %d", got)
	}
}

func TestNumbersAreTakenOnceWhateverTheirOrder(t *testing.T) {
	t.Parallel()
	var w windows
	steps := []struct {
		number uint64
		fresh  bool
	}{
		{0, false}, {5, true}, {5, false}, {3, true}, {3, false}, {4, true},
		{5 + windowSize, true}, {5, false}, {6, true}, {6, false}, {5 + windowSize, false},
		{1 << 40, true}, {6, false}, {1<<40 - windowSize, false}, {1<<40 - windowSize + 1, true},
		{1<<40 - windowSize + 1, false}, {1<<40 - 1, true}, {1<<40 + 1, true}, {1 << 40, false},
	}
	for i, s := range steps {
		if got := w.fresh("a", s.number); got != s.fresh {
			t.Errorf("step %d, %d: %t", i, s.number, got)
		}
	}
	if !w.fresh("b", 5) {
		t.Error("the numbers of one node count for another")
	}
	for range 2 * maxWindows {
		w.fresh(NewTag(), 1)
	}
	if len(w.byNode) > maxWindows {
		t.Errorf("%d nodes are remembered", len(w.byNode))
	}
}
