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
	live *chattest.Process
	url  string // of the newest process, alive or not
}

// begin starts a process and returns without waiting for what it says.
func begin(t *testing.T, path string, env, args []string, stderr *chattest.Output) *chattest.Process {
	t.Helper()
	return chattest.Start(t, chattest.Command{Path: path, Env: env, Args: args, Stderr: stderr})
}

// start starts the node and waits until it takes users.
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

// said counts how often the node logged something.
func (n *node) said(words string) int { return n.errs.Count(words) }

// awaitSaid waits until the node has logged something more than so many times:
// what it logs arrives a moment after what it does.
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

// kill ends the node as kill -9 does.
func (n *node) kill() {
	n.process().Kill()
}

// stop tells the node to end, and returns its exit status and how long it took.
func (n *node) stop() (status int, took time.Duration) {
	n.t.Helper()
	began := time.Now()
	p := n.process()
	n.signal(syscall.SIGTERM)
	status = p.Wait()
	return status, time.Since(began)
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
