package admission

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ask sends a request, which change has changed, through a policy's Guard. It returns the
// status, and the client's address and the origin that the handler sees.
func ask(p *Policy, change func(*http.Request)) (status int, seen string) {
	r := httptest.NewRequest("GET", "/x", nil)
	r.RemoteAddr, r.Host = "192.0.2.1:4711", "localhost:8080"
	change(r)
	w := httptest.NewRecorder()
	p.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.RemoteAddr + " " + Origin(r)))
	})).ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// A page whose name resolves to this node for a while could read rooms and send messages
// as its visitor, unless the node knows its own names.
func TestANodeAnswersUnderItsOwnNamesOnly(t *testing.T) {
	t.Parallel()
	p := NewPolicy(PolicyConfig{
		Hosts:   []string{"Chat.Example.org", "my_container"},
		Origins: []string{"https://www.example.org:8443", "capacitor://app", "*"},
		Sealed:  []string{"/peer/"},
	})
	for host, want := range map[string]int{
		"":                        200, // HTTP/1.0 needs no Host
		"127.0.0.1":               200,
		"10.1.2.3:8080":           200,
		"[::1]:8080":              200,
		"[2001:db8::1]":           200,
		"[fe80::1%25eth0]:8080":   200,
		"localhost":               200,
		"LOCALHOST:8080":          200,
		"localhost.:8080":         200,
		"a.localhost":             200,
		"chat.example.org":        200,
		"CHAT.EXAMPLE.ORG.:443":   200,
		"my_container:8080":       200,
		"www.example.org":         200,
		"www.example.org:80":      200,
		"evil.example":            403,
		"evil.example:8080":       403,
		"example.org":             403,
		"a.chat.example.org":      403,
		"chat.example.org.evil":   403,
		"localhost.evil.example":  403,
		"127.0.0.1.evil.example":  403,
		"app":                     403, // the URL of an app without a host
		"*":                       403,
		"2130706433":              403,
		"[evil.example]:80":       403,
		"[::1%25<script>]":        403,
		"::1":                     403,
		"localhost:80:80":         403,
		"localhost:x":             403,
		"localhost@evil.example":  403,
		"evil.example@localhost":  403,
		"localhost evil.example":  403,
		"localhost/evil.example":  403,
		"localhost,evil.example":  403,
		"evil.example\nlocalhost": 403,
		strings.Repeat("a", 300):  403,
	} {
		status, body := ask(p, func(r *http.Request) { r.Host = host })
		if status != want || status == 403 && !strings.Contains(body, "--host") || strings.Contains(body, "evil") {
			t.Errorf("Host %q: %d, want %d: %s", host, status, want, body)
		}
	}
	// The seal of a relayed request decides about it, not its Host.
	if status, _ := ask(p, func(r *http.Request) { r.Host, r.URL.Path = "evil.example", "/peer/" }); status != 200 {
		t.Errorf("relayed by another node: %d", status)
	}
	if status, _ := ask(p, func(r *http.Request) { r.Host, r.URL.Path = "evil.example", "/peer/../x" }); status != 403 {
		t.Errorf("below the path for other nodes: %d", status)
	}
}

func TestWhatTrustedProxiesSayIsBelieved(t *testing.T) {
	t.Parallel()
	p := NewPolicy(PolicyConfig{
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")},
		Hosts:   []string{"chat.example.org", "inner.example"},
	})
	const proxy, inner, asked = "10.0.0.1:999", "inner.example:8080", "chat.example.org"
	for name, c := range map[string]struct {
		from, host string
		headers    []string
		want       string
	}{
		"no proxy":                      {"192.0.2.1:4711", asked, nil, "192.0.2.1:4711 http://" + asked},
		"an untrusted one":              {"192.0.2.1:4711", asked, []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: localhost", "Forwarded: for=203.0.113.9;proto=https"}, "192.0.2.1:4711 http://" + asked},
		"one that says nothing":         {proxy, asked, nil, proxy + " http://" + asked},
		"nginx":                         {proxy, inner, []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: " + asked}, "203.0.113.9:0 https://" + asked},
		"one that keeps the host":       {proxy, asked + ":8443", []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"}, "203.0.113.9:0 https://" + asked + ":8443"},
		"the RFC":                       {proxy, inner, []string{"Forwarded: for=203.0.113.9;proto=https;host=" + asked}, "203.0.113.9:0 https://" + asked},
		"the RFC, quoted":               {proxy, inner, []string{`Forwarded: For="[2001:db8:9::7]:4711"; Proto=HTTPS ;Host="chat\.example.org"`}, "[2001:db8:9::7]:0 https://" + asked},
		"made up by the client":         {proxy, asked, []string{"X-Forwarded-For: 127.0.0.1, 10.0.0.9, 203.0.113.9", "X-Forwarded-Proto: https, http"}, "203.0.113.9:0 http://" + asked},
		"made up in lines of its own":   {proxy, asked, []string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 203.0.113.9"}, "203.0.113.9:0 http://" + asked},
		"two proxies":                   {proxy, asked, []string{"X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.2", "X-Forwarded-Proto: http, https, http"}, "203.0.113.9:0 https://" + asked},
		"two, the scheme set once":      {proxy, asked, []string{"X-Forwarded-For: 203.0.113.9, 10.0.0.2", "X-Forwarded-Proto: https"}, "203.0.113.9:0 https://" + asked},
		"two by the RFC":                {proxy, inner, []string{"Forwarded: for=6.6.6.6;proto=http;host=evil.example, for=203.0.113.9;proto=https;host=" + asked, "Forwarded: for=10.0.0.2;proto=http"}, "203.0.113.9:0 https://" + asked},
		"all trusted":                   {proxy, asked, []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "10.0.0.3:0 http://" + asked},
		"with a port":                   {proxy, asked, []string{"X-Forwarded-For: 203.0.113.9:4711"}, "203.0.113.9:0 http://" + asked},
		"IPv6":                          {"[2001:db8:1::1]:999", asked, []string{"X-Forwarded-For: 2001:db8:9::7"}, "[2001:db8:9::7]:0 http://" + asked},
		"IPv4 in IPv6":                  {"[::ffff:10.0.0.1]:999", asked, []string{"X-Forwarded-For: ::ffff:203.0.113.9"}, "203.0.113.9:0 http://" + asked},
		"an address that is none":       {proxy, asked, []string{"X-Forwarded-For: 203.0.113.9, unknown"}, proxy + " http://" + asked},
		"a hidden one behind two":       {proxy, asked, []string{`Forwarded: for=6.6.6.6, for="_x";proto=https, for=10.0.0.2`}, "10.0.0.2:0 https://" + asked},
		"a scheme of WebSockets":        {proxy, asked, []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: wss"}, "203.0.113.9:0 https://" + asked},
		"a scheme that is none":         {proxy, asked, []string{"X-Forwarded-Proto: gopher"}, proxy + " http://" + asked},
		"a client's own, beside the X-": {proxy, asked, []string{"Forwarded: for=6.6.6.6;proto=https;host=localhost", "X-Forwarded-For: 203.0.113.9"}, "203.0.113.9:0 http://" + asked},
		"a quote without an end":        {proxy, asked, []string{`Forwarded: for="203.0.113.9, for=203.0.113.8`}, proxy + " http://" + asked},
	} {
		status, got := ask(p, func(r *http.Request) {
			r.RemoteAddr, r.Host = c.from, c.host
			for _, line := range c.headers {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Add(name, value)
			}
		})
		if status != 200 || got != c.want {
			t.Errorf("%s: %d %q, want %q", name, status, got, c.want)
		}
	}
	// The host that a proxy reports is judged like any other. A page whose name resolves
	// to this node does not pass by adding the proxy's header.
	for _, c := range []struct{ host, forwarded string }{{"inner.example", "evil.example"}, {"evil.example", "localhost"}} {
		status, _ := ask(p, func(r *http.Request) {
			r.RemoteAddr, r.Host = proxy, c.host
			r.Header.Set("X-Forwarded-Host", c.forwarded)
		})
		if status != 403 {
			t.Errorf("%+v: %d", c, status)
		}
	}
}

func TestOwnTLSIsKnown(t *testing.T) {
	t.Parallel()
	if _, got := ask(NewPolicy(PolicyConfig{}), func(r *http.Request) { r.TLS = &tls.ConnectionState{} }); got != "192.0.2.1:4711 https://localhost:8080" {
		t.Error(got)
	}
}

func TestPagesThatMayConnect(t *testing.T) {
	t.Parallel()
	known := func(page *url.URL, origin string) bool {
		return SameOrigin(page, strings.TrimSuffix(origin, ":8080")+":8081")
	}
	p := NewPolicy(PolicyConfig{
		Origins: []string{"https://www.example.org", "capacitor://localhost", "chrome-extension://AbC"},
		Known:   known,
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	for _, c := range []struct {
		origin string
		proto  string // as a trusted proxy reported it
		want   bool
	}{
		{"http://localhost:8080", "", true},
		{"https://localhost:8080", "", true}, // a proxy that ends TLS does not report it
		{"https://localhost:8080", "https", true},
		{"http://localhost:8080", "https", false},
		{"https://localhost:8080", "http", false},
		{"http://localhost:8081", "", true},
		{"https://localhost:8081", "https", true},
		{"https://localhost:8081", "http", false},
		{"http://localhost:8082", "", false},
		{"http://localhost", "", false},
		{"HTTPS://WWW.EXAMPLE.ORG", "", true},
		{"https://www.example.org:443", "https", true},
		{"http://www.example.org", "", false},
		{"https://www.example.org.evil.example", "", false},
		{"https://www.example.org@evil.example", "", false},
		{"https://www.example.org/", "", false},
		{"capacitor://localhost", "", true},
		{"capacitor://localhost", "https", true},
		{"capacitor://LOCALHOST", "", false},
		{"capacitor://evil", "", false},
		{"ionic://localhost", "", false},
		{"ionic://localhost:8080", "", false},
		{"chrome-extension://AbC", "", true},
		{"chrome-extension://abc", "", false},
		{"null", "", false},
		{"", "", false},
		{"file://", "", false},
		{"localhost:8080", "", false},
		{"//localhost:8080", "", false},
		{"javascript:alert(1)", "", false},
	} {
		r := httptest.NewRequest("GET", "/ws", nil)
		r.RemoteAddr, r.Host = "10.0.0.1:1", "localhost:8080"
		r.Header.Set("Origin", c.origin)
		if c.proto != "" {
			r.Header.Set("X-Forwarded-Proto", c.proto)
		}
		if got := p.Allowed(p.resolve(r)); got != c.want {
			t.Errorf("%q by %q: %t", c.origin, c.proto, got)
		}
		r.Header.Del("Origin")
		r.URL.RawQuery = url.Values{"origin": {c.origin}}.Encode()
		if got := p.MayConnect(p.resolve(r)); got != c.want {
			t.Errorf("?origin=%q by %q: %t", c.origin, c.proto, got)
		}
	}
	r := httptest.NewRequest("GET", "/ws", nil)
	if !p.Allowed(r) || !p.MayConnect(r) {
		t.Error("a request without an Origin is refused")
	}
	r.Header["Origin"] = []string{"https://www.example.org", "https://www.example.org"}
	if p.Allowed(r) || p.MayConnect(r) {
		t.Error("a request with two Origins is allowed")
	}
	if any := NewPolicy(PolicyConfig{Origins: []string{"*"}}); !any.AnyOrigin() || any.Allowed(r) {
		t.Error("a request with two Origins is allowed by --origin *")
	}
}

// Behind a proxy that ends TLS without reporting it, the page's own origin has the
// scheme.
func TestTheOriginThatAClientIsTold(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"":                          "http://chat.example.org",
		"https://chat.example.org":  "https://chat.example.org",
		"http://chat.example.org":   "http://chat.example.org",
		"https://other.example.org": "http://chat.example.org",
	} {
		_, got := ask(NewPolicy(PolicyConfig{Hosts: []string{"chat.example.org"}}), func(r *http.Request) {
			r.Host = "chat.example.org"
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		})
		if got != "192.0.2.1:4711 "+want {
			t.Errorf("the origin for a page of %q is %s", origin, got)
		}
	}
}

// To its visitor a refused page looks like a broken network, so the node logs the
// refusal. A client that is refused repeatedly can neither fill the log nor forge a line.
func TestRefusalsAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewPolicy(PolicyConfig{Log: slog.New(slog.NewTextHandler(&out, nil))})
		evil := func(r *http.Request) {
			r.Host = "evil.example"
			r.Header.Set("Origin", "http://evil.example\nlevel=ERROR msg=forged "+strings.Repeat("x", 1000))
		}
		for range 100 {
			ask(p, evil)
		}
		ask(p, func(r *http.Request) { r.URL.Path = "/ws" })
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "--host") || !strings.Contains(lines[0], "host=evil.example") ||
			!strings.Contains(lines[0], `http://evil.example\n`) || !strings.Contains(lines[0], "192.0.2.1:4711") || len(lines[0]) > 700 ||
			!strings.Contains(lines[1], "Upgrade") {
			t.Errorf("logged:\n%s", out.String())
		}
		time.Sleep(warnEvery)
		out.Reset()
		ask(p, evil)
		if !strings.Contains(out.String(), "more_since_last=99") {
			t.Errorf("a minute later: %s", out.String())
		}
		if p.Count(ReasonHost) != 101 || p.Count(ReasonUpgrade) != 1 || p.Count(ReasonOrigin) != 0 {
			t.Errorf("counts %d %d %d", p.Count(ReasonHost), p.Count(ReasonUpgrade), p.Count(ReasonOrigin))
		}
	})
}

func TestRequestsThatLostTheirUpgrade(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]bool{
		"/ws": true, "/socket.io/?EIO=4&transport=websocket": true, "/socket.io/?EIO=4&transport=polling": false, "/": false,
	} {
		r := httptest.NewRequest("GET", target, nil)
		if got := lostUpgrade(r); got != want {
			t.Errorf("%s: %t", target, got)
		}
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		if lostUpgrade(r) {
			t.Errorf("%s: refused although it has the headers", target)
		}
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add(`for=192.0.2.1;proto=https, for="[::1]:1";host="a\"b"`, "1.2.3.4, x", "https,http", "a, b")
	p := NewPolicy(PolicyConfig{Proxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}})
	f.Fuzz(func(t *testing.T, forwarded, addresses, protos, hosts string) {
		for _, h := range []http.Header{{"Forwarded": {forwarded}}, {"X-Forwarded-For": {addresses}, "X-Forwarded-Proto": {protos}, "X-Forwarded-Host": {hosts}}} {
			if got := p.client(h); got.scheme != "" && !isWeb(got.scheme) {
				t.Errorf("scheme %q", got.scheme)
			}
		}
	})
}
