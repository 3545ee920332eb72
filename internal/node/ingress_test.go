package node_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// A request under an unknown host name is refused. Otherwise a page of evil.example whose
// name resolves to the node for a while (DNS rebinding) has the node's own origin, and
// can read and write in all rooms.
func TestDNSRebindingReachesNothing(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	debug := fmt.Sprintf("127.0.0.1:%d", chattest.FreePorts(t, 1)[0])
	n := startNode(t, b.URL(), "--debug-addr="+debug, "--host=chat.lan", "--advertise=https://chat.example.org", "--origin=https://www.example.org")
	for _, path := range []string{
		"/", "/r/lobby", "/cluster", "/client.js", "/healthz", "/readyz", "/metrics", "/api/rooms", "/api/rooms/lobby/messages", "/api/nodes",
		"/ws", "/socket.io/?EIO=4&transport=polling", "/nothing",
	} {
		res, body := chattest.AskAs(t, "GET", n.url+path, "evil.example", "Origin", "http://evil.example")
		if res.StatusCode != 403 || !strings.Contains(body, "--host") || strings.Contains(body, "evil") ||
			res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v %s", path, res.StatusCode, res.Header, body)
		}
	}
	for _, path := range []string{"/socket.io/?EIO=4&transport=polling", "/peer/socket.io/?sid=x", "/peer/release?sid=x"} {
		if res, _ := chattest.AskAs(t, "POST", n.url+path, "evil.example"); res.StatusCode != 403 {
			t.Errorf("POST %s: %d", path, res.StatusCode)
		}
	}
	if p, err := chattest.TryDial(t, n.url, http.Header{"Host": {"evil.example"}}); err == nil {
		t.Errorf("a WebSocket was opened: %v", p)
	}
	named := startNode(t, b.URL(), "--addr=localhost:0", "--peer-addr=peer.internal:8080", "--advertise=none")
	if res, _ := chattest.AskAs(t, "GET", named.url+"/api/rooms", "peer.internal:8080"); res.StatusCode != 200 {
		t.Errorf("as the host of --peer-addr: %d", res.StatusCode)
	}
	names := []string{"localhost", "127.0.0.1:1", "[::1]", "chat.lan:8080", "chat.example.org", "www.example.org"}
	if machine, err := os.Hostname(); err == nil {
		names = append(names, machine)
	}
	for _, name := range names {
		if res, body := chattest.AskAs(t, "GET", n.url+"/api/rooms", name); res.StatusCode != 200 {
			t.Errorf("as %s: %d %s", name, res.StatusCode, body)
		}
	}
	if res, _ := chattest.AskAs(t, "GET", "http://"+debug+"/metrics", "evil.example"); res.StatusCode != 403 {
		t.Errorf("the debug listener: %d", res.StatusCode)
	}
	if res, body := chattest.AskAs(t, "GET", "http://"+debug+"/metrics", "localhost"); res.StatusCode != 200 || !strings.Contains(body, `chat_requests_refused_total{reason="host"}`) {
		t.Errorf("the debug listener as localhost: %d", res.StatusCode)
	}
}

// Behind a proxy that ends TLS, the URLs of nodes are https. Before, they were http, and
// clients sent their tokens in the clear.
func TestBehindATrustedTLSProxyNodesAnnounceHTTPS(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	flags := []string{"--trust-proxy=127.0.0.0/8", "--host=chat.example.org"}
	n1 := startNode(t, b.URL(), append(flags, "--node-id=one")...)
	n2 := startNode(t, b.URL(), append(flags, "--node-id=two", "--advertise=none")...)
	n3 := startNode(t, b.URL(), append(flags, "--node-id=three", "--advertise=https://three.example.org")...)
	chattest.Eventually(t, "all nodes to be known", func() bool { return len(n1.Sessions().Cluster.NodesFor("http://x")) == 3 })
	want := map[string]string{
		"one":   fmt.Sprintf("https://chat.example.org:%d", n1.Self().Port),
		"two":   "https://chat.example.org:8443",
		"three": "https://three.example.org",
	}
	header := http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"chat.example.org:8443"}}
	for _, n := range []*testNode{n1, n2, n3} {
		p, err := chattest.TryDial(t, n.url, header)
		if err != nil {
			t.Fatal(err)
		}
		w := p.Hello()
		for _, node := range w.Nodes {
			if node.URL != want[node.ID] {
				t.Errorf("%s is announced as %s, want %s", node.ID, node.URL, want[node.ID])
			}
		}
		header.Set("Origin", "https://chat.example.org:8443")
		if _, err := chattest.TryDial(t, n.url, header); err != nil {
			t.Errorf("the proxy's own page: %v", err)
		}
		header.Set("Origin", "http://chat.example.org:8443")
		if _, err := chattest.TryDial(t, n.url, header); err == nil {
			t.Error("a page of the same name that was loaded over http may connect")
		}
		header.Del("Origin")
	}
	// Headers of other addresses are ignored.
	n4 := startNode(t, b.URL(), "--trust-proxy=192.0.2.0/24", "--advertise=none")
	p, err := chattest.TryDial(t, n4.url, header)
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Hello(); w.Nodes[0].URL != n4.url {
		t.Errorf("a client that forged the headers gets %s", w.Nodes[0].URL)
	}
}

// /readyz reports the reason of a refusal to pages of any origin, because a browser shows
// a page neither the status nor the body of a refused WebSocket.
func TestAPageCanTellThatItIsRefused(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--origin=https://www.example.org")
	host := strings.TrimPrefix(n.url, "http://")
	for _, c := range []struct {
		origin, query string
		allowed, more bool
	}{
		{"", "", true, true},
		{"", "?origin=http://" + host, true, true},
		{"", "?origin=http://localhost:1", false, true}, // as behind a proxy that drops the port
		{"", "?origin=null", false, true},
		{"https://www.example.org", "", true, true},
		{"https://foe.example", "", false, false},
		{"null", "", false, false},
	} {
		var headers []string
		if c.origin != "" {
			headers = []string{"Origin", c.origin}
		}
		res, body := chattest.AskAs(t, "GET", n.url+"/readyz"+c.query, host, headers...)
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		_, more := got["probe"]
		if res.StatusCode != 200 || got["ready"] != true || got["allowed"] != c.allowed || more != c.more {
			t.Errorf("%+v: %d %s", c, res.StatusCode, body)
		}
		if got := res.Header.Get("Access-Control-Allow-Origin"); (got == "*") != (c.origin != "") {
			t.Errorf("%+v may be read by %q", c, got)
		}
	}
	n.SetDraining()
	if res, body := chattest.AskAs(t, "GET", n.url+"/readyz", host, "Origin", "https://foe.example"); res.StatusCode != 503 || body != `{"ready":false,"allowed":false}`+"\n" {
		t.Errorf("draining: %d %q", res.StatusCode, body)
	}
}

func TestRefusedPagesAndLostUpgradesAreLoggedAndCounted(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	var out bytes.Buffer
	n := startNodeLogging(t, b.URL(), slog.New(slog.NewTextHandler(&out, nil)))
	for range 3 {
		if _, err := chattest.TryDial(t, n.url, http.Header{"Origin": {"https://foe.example"}}); err == nil {
			t.Fatal("a foreign page may connect")
		}
		if res, _ := chattest.AskAs(t, "GET", n.url+"/socket.io/?EIO=4&transport=polling", "localhost", "Origin", "https://foe.example"); res.StatusCode != 403 {
			t.Fatalf("a foreign page may poll: %d", res.StatusCode)
		}
		res, body := chattest.AskAs(t, "GET", n.url+"/ws", "localhost")
		if res.StatusCode != 400 || !strings.Contains(body, "Upgrade line") {
			t.Errorf("a WebSocket without its headers: %d %v %s", res.StatusCode, res.Header, body)
		}
	}
	_, metrics := chattest.AskAs(t, "GET", n.url+"/metrics", "localhost")
	for _, want := range []string{`{reason="origin"} 6`, `{reason="upgrade"} 3`, `{reason="host"} 0`} {
		if !strings.Contains(metrics, "chat_requests_refused_total"+want) {
			t.Errorf("/metrics does not have %s", want)
		}
	}
	n.Close(0) // the same reason is not logged again
	log := out.String()
	if strings.Count(log, "level=WARN") != 2 || !strings.Contains(log, "origin=https://foe.example") || !strings.Contains(log, "--origin") ||
		!strings.Contains(log, "address=127.0.0.1:") {
		t.Errorf("logged:\n%s", log)
	}
}

// The origin of an app's web view, which has a scheme of its own, can be allowed. Before,
// only "*" allowed it, and with it every page of the web.
func TestAppOriginsMayConnect(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--origin=capacitor://localhost", "--origin=https://my_app.example")
	const app = "capacitor://localhost"
	if _, err := chattest.TryDial(t, n.url, http.Header{"Origin": {app}}); err != nil {
		t.Errorf("the app's WebSocket: %v", err)
	}
	for _, c := range []struct {
		path, origin, allowed string
		status                int
	}{
		{"/socket.io/?EIO=4&transport=polling", app, app, 200},
		{"/socket.io/?EIO=4&transport=polling", "ionic://localhost", "", 403},
		{"/api/rooms", app, app, 200},
		{"/client.js", app, app, 200},
		{"/api/rooms", "ionic://localhost", "", 200},
	} {
		res, _ := chattest.AskAs(t, "GET", n.url+c.path, "localhost", "Origin", c.origin)
		if res.StatusCode != c.status || res.Header.Get("Access-Control-Allow-Origin") != c.allowed {
			t.Errorf("%+v: %d %v", c, res.StatusCode, res.Header)
		}
	}
	// A policy omits sources that it can't express; browsers would ignore them, at best.
	res, _ := chattest.AskAs(t, "GET", n.url+"/", "localhost")
	if got := res.Header.Get("Content-Security-Policy"); !strings.HasSuffix(got, "; frame-ancestors 'self' "+app) {
		t.Errorf("the policy is %q", got)
	}
}

// All JSON forbids caching. Otherwise a shared cache keeps it: Varnish for two minutes.
func TestNoCacheKeepsWhatANodeAnswers(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	debug := fmt.Sprintf("127.0.0.1:%d", chattest.FreePorts(t, 1)[0])
	n1, n2 := startNode(t, b.URL(), "--node-id=one", "--debug-addr="+debug), startNode(t, b.URL(), "--node-id=two")
	chattest.Eventually(t, "both nodes to be known", func() bool {
		return len(n1.Sessions().Cluster.NodesFor("http://x"))+len(n2.Sessions().Cluster.NodesFor("http://x")) == 4
	})
	_, opened := chattest.AskAs(t, "GET", n1.url+"/socket.io/?EIO=4&transport=polling", "localhost")
	_, sid, _ := strings.Cut(opened, `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	for _, c := range []struct{ method, url string }{
		{"GET", n1.url + "/healthz"}, {"GET", n1.url + "/readyz"}, {"GET", n1.url + "/metrics"}, {"OPTIONS", n1.url + "/"},
		{"GET", n1.url + "/api/rooms"}, {"GET", n1.url + "/api/nodes"}, {"GET", n1.url + "/api/rooms/lobby/messages"}, {"GET", n1.url + "/api/x"},
		{"POST", n1.url + "/api/rooms"}, {"POST", n1.url + "/"}, {"GET", n1.url + "/nothing"}, {"GET", n1.url + "//nothing/../x"},
		{"GET", n1.url + "/ws"}, {"GET", n1.url + "/cluster"}, {"GET", n1.url + "/cluster/state"}, {"GET", n1.url + "/peer/release"},
		{"GET", n1.url + "/socket.io/?EIO=4&transport=polling"}, {"GET", n1.url + "/socket.io/?EIO=3&transport=polling"},
		{"POST", n2.url + "/socket.io/?EIO=4&transport=polling&sid=" + sid}, // it forwards the request
		{"GET", n2.url + "/socket.io/?EIO=4&transport=polling&sid=none.x"},
		{"GET", "http://" + debug + "/metrics"}, {"GET", "http://" + debug + "/api/nodes"},
	} {
		res, body := chattest.AskAs(t, c.method, c.url, "localhost")
		if got := strings.Join(res.Header.Values("Cache-Control"), ", "); got != "no-store" {
			t.Errorf("%s %s: %d, Cache-Control %q: %.100s", c.method, c.url, res.StatusCode, got, body)
		}
	}
	// Files may be cached, and are revalidated.
	if res, _ := chattest.AskAs(t, "GET", n1.url+"/assets/app.js", "localhost"); res.Header.Get("Cache-Control") != "no-cache" || res.Header.Get("ETag") == "" {
		t.Errorf("a file: %v", res.Header)
	}
}
