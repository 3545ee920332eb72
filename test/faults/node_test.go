//go:build unix

package faults

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// node is one node of a rig: a process, and the next one under the same name
// after that has ended.
type node struct {
	t    *testing.T
	id   string
	args []string // of the program
	env  []string
	path string // the program, or what runs it
	// proxy stands between the node and Redis; nil where nothing does.
	proxy *proxy

	errs chattest.Output // what all of them logged

	mu   sync.Mutex // guards the fields below
	live *process
	url  string // of the newest process, alive or not
}

// process is one life of a node.
type process struct {
	cmd  *exec.Cmd
	out  chattest.Output
	done chan struct{} // closed when it has ended
}

// begin starts a process and returns without waiting for what it says.
func begin(t *testing.T, path string, env, args []string, stderr io.Writer) *process {
	t.Helper()
	p := &process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which the cleanup kills
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

// start starts the node and waits until it takes users.
func (n *node) start() {
	n.t.Helper()
	p := begin(n.t, n.path, n.env, n.args, &n.errs)
	n.mu.Lock()
	n.live = p
	n.mu.Unlock()
	var url string
	chattest.Eventually(n.t, "node "+n.id, func() bool {
		select {
		case <-p.done:
			n.t.Fatalf("node %s ended: %s", n.id, n.log())
		default:
		}
		_, rest, ok := strings.Cut(p.out.String(), "node 1  ")
		url, _, _ = strings.Cut(rest, "\n")
		return ok
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.url = url
}

func (n *node) log() string { return n.errs.String() }

// said counts how often the node logged something.
func (n *node) said(words string) int { return strings.Count(n.log(), words) }

// awaitSaid waits until the node has logged something more than so many times:
// what it logs arrives a moment after what it does.
func (n *node) awaitSaid(words string, before int) {
	n.t.Helper()
	chattest.Eventually(n.t, "node "+n.id+" to log "+words, func() bool { return n.said(words) > before })
}

func (n *node) process() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.live
}

func (n *node) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.url
}

func (n *node) signal(s syscall.Signal) { _ = n.process().cmd.Process.Signal(s) }

// kill ends the node as kill -9 does.
func (n *node) kill() {
	n.signal(syscall.SIGKILL)
	<-n.process().done
}

// stop tells the node to end, and returns its exit status and how long it took.
func (n *node) stop() (status int, took time.Duration) {
	n.t.Helper()
	began := time.Now()
	p := n.process()
	n.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(chattest.Patience):
		n.t.Fatalf("node %s did not end within %s", n.id, chattest.Patience)
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(began)
}

// probes asks /readyz without keeping connections, so that each is a new one.
var probes = http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ready asks the node whether it takes users, and if not why.
func (n *node) ready() (ok bool, reason string) {
	res, err := probes.Get(n.address() + "/readyz")
	if err != nil {
		return false, err.Error()
	}
	defer res.Body.Close()
	var body struct{ Error struct{ Message string } }
	_ = json.NewDecoder(res.Body).Decode(&body)
	return res.StatusCode == http.StatusOK, body.Error.Message
}

// awaitReady waits until the node's readiness is as asked, and returns how long
// that took since a moment, and the reason given.
func (n *node) awaitReady(want bool, since time.Time) (took time.Duration, reason string) {
	n.t.Helper()
	what := "node " + n.id + " to be ready"
	if !want {
		what = "node " + n.id + " not to be ready"
	}
	chattest.Eventually(n.t, what, func() bool {
		var ok bool
		ok, reason = n.ready()
		return ok == want
	})
	return time.Since(since), reason
}
