package program_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/test/socketio/clienttest"
)

// roundRobin is the simplest proxy: each request goes to the next node, or to the one
// after it if that can't be reached. It knows no sessions.
type roundRobin struct {
	targets []*url.URL
	next    atomic.Uint64
	http    http.Transport
}

// RoundTrip asks the next node (http.RoundTripper).
func (p *roundRobin) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = io.NopCloser(r.Body) // for another attempt
	}
	first := p.next.Add(1)
	for i := range p.targets {
		to := p.targets[(first+uint64(i))%uint64(len(p.targets))]
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
		res, err := p.http.RoundTrip(r)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" {
			return res, err
		}
	}
	return nil, errors.New("no node can be reached")
}

// startRoundRobin starts the proxy in front of the nodes.
func startRoundRobin(t *testing.T, urls []string) string {
	t.Helper()
	p := &roundRobin{}
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p.targets = append(p.targets, u)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Transport: p,
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	})
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	return proxy.URL
}

// startThree starts three nodes as processes. A script ends them by POST /kill or /drain:
// the node at ?port=, or the first one.
func startThree(t *testing.T, args ...string) (urls []string, control string) {
	t.Helper()
	b := redistest.Embedded(t)
	byPort := make(map[string]*chattest.Process)
	for range 3 {
		p := startProgram(t, []string{"CHAT_REDIS=" + b.URL()}, append([]string{"--addr=127.0.0.1:0"}, args...)...)
		at := p.URL(1)
		urls = append(urls, at)
		byPort[at[strings.LastIndexByte(at, ':')+1:]] = p
	}
	for _, at := range urls {
		chattest.Eventually(t, "the nodes to know each other", func() bool {
			var list struct{ Nodes []chattest.Node }
			return chattest.GetJSON(t, at+"/api/nodes", &list) == 200 && len(list.Nodes) == 3
		})
	}
	first := byPort[urls[0][strings.LastIndexByte(urls[0], ':')+1:]]
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p := byPort[r.FormValue("port")]
		if p == nil {
			p = first
		}
		if r.URL.Path == "/drain" {
			p.Signal(syscall.SIGTERM)
		} else {
			p.Signal(syscall.SIGKILL)
		}
	}))
	t.Cleanup(server.Close)
	return urls, server.URL
}

// official runs a script of testdata with the official client, and returns what it
// printed.
func official(t *testing.T, longest time.Duration, script string, args ...string) string {
	t.Helper()
	dir := clienttest.Dir(t)
	path, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, clienttest.Node(t), append([]string{path}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	t.Logf("%s", out)
	return string(out)
}

// The official client works behind a proxy that knows no sessions: over polling, over
// WebSockets, and over polling first and then a WebSocket, with users of /ws, and when
// its node is killed or drained.
func TestTheOfficialClientBehindARoundRobinProxy(t *testing.T) {
	t.Parallel()
	clienttest.Dir(t)
	urls, control := startThree(t)
	out := official(t, 2*time.Minute, "chat.mjs", append([]string{startRoundRobin(t, urls), control}, urls...)...)
	if strings.Count(out, "ok: ") != 7 {
		t.Errorf("got %s", out)
	}
}

// Many official clients with their default options talk through the proxy, and a node is
// killed meanwhile: no message is lost, doubled or out of order.
func TestACrowdOfOfficialClients(t *testing.T) {
	clienttest.Dir(t)
	clients, seconds := 40, 6
	if chattest.Long() && !chattest.Race {
		clients, seconds = 200, 60
	} else {
		t.Parallel()
	}
	urls, control := startThree(t)
	official(t, time.Duration(seconds)*time.Second+3*time.Minute, "crowd.mjs",
		startRoundRobin(t, urls), control, strconv.Itoa(clients), strconv.Itoa(seconds))
}

// The same with the client's own retries, as in the last step of its tutorial.
func TestACrowdThatRetries(t *testing.T) {
	t.Parallel()
	clienttest.Dir(t)
	urls, control := startThree(t)
	official(t, 3*time.Minute, "crowd.mjs", startRoundRobin(t, urls), control, "20", "6", "", "retries")
}

// README's lines for the official client. Its user sends messages while the node is down,
// which restarts without its data. All of them are accepted, and delivered.
func TestTheOfficialClientWithReadmesLines(t *testing.T) {
	t.Parallel()
	dir := clienttest.Dir(t)
	paths := []string{filepath.Join("testdata", "readme.mjs"), "../../README.md"}
	for i, path := range paths {
		var err error
		if paths[i], err = filepath.Abs(path); err != nil {
			t.Fatal(err)
		}
	}
	addr := "--addr=127.0.0.1:" + strconv.Itoa(chattest.FreePorts(t, 1)[0])
	first := startProgram(t, nil, addr)
	cmd := exec.CommandContext(t.Context(), clienttest.Node(t), append(paths, first.URL(1))...)
	cmd.Dir = dir
	var out, errs chattest.Output
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	chattest.Eventually(t, "messages to be sent", func() bool { return strings.Contains(out.String(), "said") })
	first.Signal(syscall.SIGKILL)
	first.Wait()
	startProgram(t, nil, addr).URL(1)
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "ok") {
		t.Errorf("%v: %s%s", err, out.String(), errs.String())
	}
}

// The same with clients that only poll: each of their requests may reach another node.
func TestACrowdThatPolls(t *testing.T) {
	t.Parallel()
	clienttest.Dir(t)
	urls, control := startThree(t)
	official(t, 3*time.Minute, "crowd.mjs", startRoundRobin(t, urls), control, "20", "6", "polling")
}
