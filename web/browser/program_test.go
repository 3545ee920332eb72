package browser

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"example.com/chat/embed"
	"example.com/chat/internal/poll"
	"example.com/chat/internal/proc"
)

// build builds the program once for all tests.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(shared.dir, "chat")
	cmd := exec.Command("go", "build", "-o", path, "example.com/chat")
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

// program is a running chat of one test.
type program struct {
	t   *testing.T
	cmd *exec.Cmd

	done chan struct{} // closed when it has ended

	stdout, stderr proc.Output
}

// start starts the built program on free ports; it ends with the test.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	anyBrowser(t)
	path, err := build()
	if err != nil {
		t.Fatalf("build chat: %v", err)
	}
	p := &program{t: t, cmd: exec.Command(path, append([]string{"--addr=127.0.0.1:0", "--host=" + lan, "--ui=demo"}, args...)...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	// The children of --nodes end when their parent does; it has no terminal.
	if _, err := p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which the cleanup kills
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%v:\n%s", args, p.stderr.String())
		}
	})
	return p
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// url waits for the k-th node, and returns its URL.
func (p *program) url(k int) string {
	p.t.Helper()
	found := ""
	poll.Until(p.t, "node "+strconv.Itoa(k), func() bool {
		for line := range strings.Lines(p.stdout.String()) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "node "+strconv.Itoa(k)+"  "); ok {
				found = strings.TrimSpace(rest)
			}
		}
		return found != ""
	})
	poll.Until(p.t, found+" to be ready", func() bool {
		res, err := http.Get(strings.Replace(found, lan, "127.0.0.1", 1) + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return found
}

// killNode kills the process that listens at a node's URL.
func (p *program) killNode(at string) {
	p.t.Helper()
	pid := proc.Listener(p.t, port(p.t, at))
	if pid == 0 {
		p.t.Fatalf("no process listens at %s", at)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func port(t *testing.T, at string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// gate stands between browsers and one node. While it is shut, pages come through
// and no connection does, as where a proxy has lost its server.
type gate struct {
	URL string
	to  string // where its node has to listen

	shut atomic.Bool

	mu    sync.Mutex // guards the field below
	conns map[net.Conn]bool
}

func newGate(t *testing.T, host string) *gate {
	t.Helper()
	ports, err := embed.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{to: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])), conns: make(map[net.Conn]bool)}
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

// close shuts the gate and cuts what goes through it.
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
