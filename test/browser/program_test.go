package browser

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"example.com/chat/internal/chattest"
)

// program is a running chat of one test.
type program struct {
	*chattest.Process
	t *testing.T
}

// start starts the built program on free ports; it ends with the test.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	anyBrowser(t)
	args = append([]string{"--addr=127.0.0.1:0", "--host=" + lan, "--ui=demo"}, args...)
	return &program{chattest.Start(t, chattest.Command{Path: chattest.Build(t), Args: args}), t}
}

// url waits until the k-th node accepts users, and returns its URL.
func (p *program) url(k int) string {
	p.t.Helper()
	url := p.URL(k)
	chattest.Eventually(p.t, url+" to be ready", func() bool {
		res, err := http.Get(strings.Replace(url, lan, "127.0.0.1", 1) + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return url
}

// killNode kills the process that listens at a node's URL.
func (p *program) killNode(at string) {
	p.t.Helper()
	_ = syscall.Kill(chattest.PIDAt(p.t, at), syscall.SIGKILL)
}

func port(t *testing.T, at string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// gate stands between browsers and one node. While it is shut, it forwards pages and
// refuses connections, like a proxy that has lost its server.
type gate struct {
	URL string
	to  string // where its node has to listen

	shut atomic.Bool

	mu    sync.Mutex // guards the field below
	conns map[net.Conn]bool
}

func newGate(t *testing.T, host string) *gate {
	t.Helper()
	g := &gate{to: net.JoinHostPort("127.0.0.1", strconv.Itoa(chattest.FreePorts(t, 1)[0])), conns: make(map[net.Conn]bool)}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: g.to})
		// The node takes it for the browser itself, whatever the gate's name.
		r.Out.Host = g.to
		if r.In.Header.Get("Origin") != "" {
			r.Out.Header.Set("Origin", "http://"+g.to)
		}
	}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" && g.shut.Load() {
			http.Error(w, "the node is away", http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if state == http.StateHijacked {
			g.conns[c] = true
		}
	}
	server.Start()
	t.Cleanup(func() {
		g.close()
		server.CloseClientConnections()
		server.Close()
	})
	g.URL = "http://" + net.JoinHostPort(host, port(t, server.URL))
	return g
}

// close shuts the gate and closes the connections through it.
func (g *gate) close() {
	g.shut.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		_ = c.Close()
	}
	clear(g.conns)
}

func (g *gate) open() { g.shut.Store(false) }
