package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// asksFor asks a handler for the page of the cluster.
func asksFor(h http.Handler, method string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/cluster", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestThePageOfTheClusterMayAskEachNode(t *testing.T) {
	t.Parallel()
	const asked = "connect-src 'self' ws: wss: http: https:; "
	w := asksFor(Handler(Access{Framers: []string{"https://friend.example"}}), "GET")
	got := w.Header().Get(policyHeader)
	if !strings.Contains(got, asked) || !strings.HasSuffix(got, "frame-ancestors 'self' https://friend.example") {
		t.Errorf("%s", got)
	}
	if w.Header().Get("ETag") == "" || strings.Count(w.Body.String(), noControl) != 1 {
		t.Errorf("%v: %s", w.Header(), w.Body)
	}
	if got := get(t, "GET", "/").Header.Get(policyHeader); strings.Contains(got, " http:") {
		t.Errorf("the chat: %s", got)
	}
}

func TestWhoMayControlADemoGetsThePageWithItsToken(t *testing.T) {
	t.Parallel()
	const friend, with = "Friend", `<meta name="control" content="0123abcd">`
	h := Handler(Access{Framers: []string{"*"}, Control: func(r *http.Request) string {
		if r.Header.Get(friend) != "" {
			return "0123abcd"
		}
		return ""
	}})
	plain := asksFor(h, "GET")
	if body := plain.Body.String(); strings.Contains(body, "0123abcd") || !strings.Contains(body, noControl) {
		t.Errorf("a stranger gets %s", body)
	}
	// Whatever was kept of the page without it does not stand for that with it.
	w := asksFor(h, "GET", friend, "1", "If-None-Match", plain.Header().Get("ETag"), "Accept-Encoding", "gzip")
	if w.Code != 200 || strings.Count(w.Body.String(), with) != 1 || strings.Contains(w.Body.String(), noControl) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	head := w.Header()
	if head.Get("Cache-Control") != "no-store" || head.Get("Cross-Origin-Resource-Policy") != "same-origin" || head.Get("ETag") != "" || head.Get("Content-Type") != "text/html; charset=utf-8" ||
		!strings.HasSuffix(head.Get(policyHeader), "; frame-ancestors 'none'") {
		t.Errorf("%v", head)
	}
	if w := asksFor(h, "HEAD", friend, "1"); w.Body.Len() != 0 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("HEAD: %v %s", w.Header(), w.Body)
	}
	// No other page has it.
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set(friend, "1")
	chat := httptest.NewRecorder()
	h.ServeHTTP(chat, r)
	if strings.Contains(chat.Body.String(), "0123abcd") || chat.Header().Get("ETag") == "" {
		t.Errorf("the chat's page: %v", chat.Header())
	}
}
