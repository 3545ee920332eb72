package demo

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Each of these is enough to refuse a request, and to withhold the token from its page.
func TestWhoMayNotControlADemo(t *testing.T) {
	t.Parallel()
	parent := Controls(func(name string) (string, bool) {
		v, ok := map[string]string{"CHAT_CONTROL": "127.0.0.1:1", "CHAT_CONTROL_TOKEN": "abcd", "CHAT_CONTROL_PORTS": "8080,8081"}[name]
		return v, ok
	})
	d := &Pages{parent, 1}
	own := func() *http.Request {
		r := httptest.NewRequest("POST", "/cluster/control", strings.NewReader(`{"token":"abcd","action":"kill","node":1}`))
		r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:8080"
		r.Header.Set("Origin", "http://localhost:8081")
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	send := func(r *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux := http.NewServeMux()
		d.Register(mux)
		mux.ServeHTTP(w, r)
		return w
	}
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"nothing":             {func(*http.Request) {}, 503}, // there is no parent
		"by IPv6":             {func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:5000", "[::1]:8081" }, 503},
		"by IPv4 in IPv6":     {func(r *http.Request) { r.RemoteAddr, r.Host = "[::ffff:127.0.0.1]:5000", "127.0.0.1:8080" }, 503},
		"another machine":     {func(r *http.Request) { r.RemoteAddr = "192.168.1.7:5000" }, 403},
		"no address":          {func(r *http.Request) { r.RemoteAddr = "@" }, 403},
		"a proxy":             {header("X-Forwarded-For", "127.0.0.1"), 403},
		"a proxy by the RFC":  {header("Forwarded", "for=127.0.0.1"), 403},
		"nginx":               {header("X-Real-Ip", "127.0.0.1"), 403},
		"a foreign name":      {func(r *http.Request) { r.Host = "foe.example:8080" }, 403}, // DNS rebinding
		"localhost of a foe":  {func(r *http.Request) { r.Host = "localhost.foe.example:8080" }, 403},
		"a name with a user":  {func(r *http.Request) { r.Host = "localhost:8080@foe.example" }, 403},
		"another port":        {func(r *http.Request) { r.Host = "localhost:9000" }, 403},
		"no port":             {func(r *http.Request) { r.Host = "localhost" }, 403},
		"no origin":           {func(r *http.Request) { r.Header.Del("Origin") }, 403},
		"a foreign origin":    {header("Origin", "http://foe.example:8080"), 403},
		"another port's page": {header("Origin", "http://localhost:9000"), 403},
		"a page over TLS":     {header("Origin", "https://localhost:8080"), 403},
		"an opaque origin":    {header("Origin", "null"), 403},
		"two origins":         {header("Origin", "http://localhost:8080", "http://localhost:8081"), 403},
		"an origin with more": {header("Origin", "http://localhost:8080/x"), 403},
	} {
		r := own()
		c.change(r)
		if w := send(r); w.Code != c.status || !strings.Contains(w.Body.String(), `"message":"`) || (c.status == 403) == (w.Header().Get("Access-Control-Allow-Origin") != "") {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
		if w := send(withMethod(r, "OPTIONS")); (w.Code == 204) != (c.status != 403) || (w.Header().Get("Access-Control-Allow-Headers") != "") != (w.Code == 204) {
			t.Errorf("%s, a preflight: %d %v", name, w.Code, w.Header())
		}
		// Only a request for the page itself needs no origin.
		mayRead := c.status != 403 || name == "no origin"
		if got := d.Token(r); (got != "") != mayRead {
			t.Errorf("%s: the page is given %q", name, got)
		}
		r.URL.Path = "/cluster/state"
		if w := send(withMethod(r, "GET")); (w.Code == 503) != mayRead {
			t.Errorf("%s, the state: %d %s", name, w.Code, w.Body)
		}
	}
	for name, c := range map[string]struct {
		body   string
		media  string
		status int
	}{
		"a wrong token":     {`{"token":"abce","action":"kill","node":1}`, "application/json", 403},
		"no token":          {`{"action":"kill","node":1}`, "application/json", 403},
		"no JSON":           {`token=abcd`, "application/json", 400},
		"as a form":         {`{"token":"abcd","action":"kill","node":1}`, "text/plain", 400},
		"too much":          {`{"token":"abcd","action":"` + strings.Repeat("x", maxOrder) + `"}`, "application/json", 400},
		"what is not known": {`{"token":"abcd","action":"kill","node":1,"x":1}`, "application/json", 400},
	} {
		r := own()
		r.Body = io.NopCloser(strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.media)
		if w := send(r); w.Code != c.status || !strings.Contains(w.Body.String(), `"message":"`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := send(withMethod(own(), "GET")); w.Code != 405 || w.Header().Get("Allow") != "POST, OPTIONS" {
		t.Errorf("GET: %d", w.Code)
	}
}

func withMethod(r *http.Request, method string) *http.Request {
	r = r.Clone(r.Context())
	r.Method = method
	return r
}
