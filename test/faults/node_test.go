//go:build unix

package faults

import (
	"encoding/json"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// node is one node of a rig: a process, and after its end the next one with the same id.
type node struct {
	t    *testing.T
	id   string
	args []string // of the program
	env  []string
	path string // the program, or a program that runs it
	// proxy is between the node and Redis; nil for none.
	proxy *proxy

	errs chattest.Output // the log of all these processes

	mu   sync.Mutex // guards the fields below
	live *chattest.Process
	url  string // of the newest process, alive or not
}

// begin starts a process, and does not wait for its output.
func begin(t *testing.T, path string, env, args []string, stderr *chattest.Output) *chattest.Process {
	t.Helper()
	return chattest.Start(t, chattest.Command{Path: path, Env: env, Args: args, Stderr: stderr})
}

// start starts the node, and waits until it accepts users.
func (n *node) start() {
	n.t.Helper()
	p := begin(n.t, n.path, n.env, n.args, &n.errs)
	n.mu.Lock()
	n.live = p
	n.mu.Unlock()
	url := p.URL(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.url = url
}

func (n *node) log() string { return n.errs.String() }

// said counts how often the node has logged the words.
func (n *node) said(words string) int { return n.errs.Count(words) }

// awaitSaid waits until the node has logged the words more than so many times. A line
// arrives a moment after its cause.
func (n *node) awaitSaid(words string, before int) {
	n.t.Helper()
	chattest.Eventually(n.t, "node "+n.id+" to log "+words, func() bool { return n.said(words) > before })
}

func (n *node) process() *chattest.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.live
}

func (n *node) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.url
}

func (n *node) signal(s syscall.Signal) { _ = n.process().Cmd.Process.Signal(s) }

// kill ends the node by SIGKILL.
func (n *node) kill() {
	n.process().Kill()
}

// stop drains the node, and returns its exit status and how long that took.
func (n *node) stop() (status int, took time.Duration) {
	n.t.Helper()
	began := time.Now()
	p := n.process()
	n.signal(syscall.SIGTERM)
	status = p.Wait()
	return status, time.Since(began)
}

// probes requests /readyz, with a new connection each time.
var probes = http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ready returns whether the node is ready, and the reason if it is not.
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

// awaitReady waits until the node is ready or not, and returns the time since a moment, and
// the reason that the node gave.
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
