package client

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/fakenode"
	"example.com/chat/internal/protocol"
)

// Nodes with --advertise none behind a proxy that ends TLS announce http:// and the
// proxy's host. A client that connected there would send its token in the clear.
func TestNeverFromTLSToPlainText(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	target, err := url.Parse(n.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
	t.Cleanup(proxy.Close)
	var clear atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { clear.Add(1) }))
	t.Cleanup(plain.Close)
	roots := x509.NewCertPool()
	roots.AddCert(proxy.Certificate())
	for _, announced := range []string{
		plain.URL, "ws://" + strings.TrimPrefix(plain.URL, "http://"), "http://" + strings.TrimPrefix(proxy.URL, "https://"),
	} {
		c.Announce(announced)
		for _, base := range []string{proxy.URL, "wss://" + strings.TrimPrefix(proxy.URL, "https://")} {
			f := open(t, Options{URL: base, TLS: &tls.Config{RootCAs: roots}})
			f.follow(t, "lobby", 0)
			before := len(n.Heard("hello"))
			n.Close(1012, "restart")
			chattest.Eventually(t, "another hello", func() bool { return len(n.Heard("hello")) > before })
			f.say(t, "lobby", "through TLS")
			if at := f.Node().URL; at != base {
				t.Errorf("announced %s: moved from %s to %s", announced, base, at)
			}
			f.Close()
		}
	}
	if clear.Load() > 0 {
		t.Errorf("%d requests without TLS", clear.Load())
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	nodes := func(urls ...string) (list []protocol.Node) {
		for _, u := range urls {
			list = append(list, protocol.Node{URL: u})
		}
		return list
	}
	for _, test := range []struct {
		base      string
		announced []string
		want      []string
	}{
		{"http://a", []string{"http://b", "https://c", "ws://d", "http://b", "ftp://e", ""}, []string{"http://b", "https://c", "ws://d"}},
		{"https://a", []string{"http://a", "http://b", "ws://c", "HTTP://d", "https://e", "wss://f"}, []string{"https://e", "wss://f"}},
		{"wss://a", []string{"ws://a", "http://b"}, nil},
		{"https://a/chat", []string{"https://A:443", "wss://a/", "https://a:8443"}, []string{"https://a/chat", "https://a:8443"}},
		{"http://a", []string{"http://a:80", "https://a"}, []string{"http://a", "https://a"}},
	} {
		if got := Candidates(test.base, nodes(test.announced...)); !slices.Equal(got, test.want) {
			t.Errorf("base %s, announced %q: %q, want %q", test.base, test.announced, got, test.want)
		}
	}
}
