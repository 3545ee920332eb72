//go:build unix

package demo

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/chat/embed"
	"example.com/chat/internal/chattest"
	"github.com/redis/go-redis/v9"
)

// controlled starts a cluster of fake nodes with controls, and returns the controls as a
// node gets them.
func controlled(t *testing.T, nodes int) (r *running, lines []string, remote *Remote, b *embed.Broker) {
	t.Helper()
	b = start(t, embed.BrokerConfig{})
	r = runFakes(t, obeys, Config{Nodes: nodes, Drain: time.Hour, Broker: b})
	lines = r.lines(nodes)
	a, err := ask(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	remote = Controls(func(name string) (value string, ok bool) {
		for _, v := range a.Env {
			if value, ok = strings.CutPrefix(v, name+"="); ok {
				return value, true
			}
		}
		return "", false
	})
	if remote == nil {
		t.Fatalf("a node has no controls: %q", a.Env)
	}
	return r, lines, remote, b
}

// do sends an order, and checks that it is executed.
func do(t *testing.T, r *Remote, action Action, node int) State {
	t.Helper()
	s, err := r.Do(t.Context(), Order{Action: action, Node: node})
	if err != nil {
		t.Fatalf("%s %d: %v", action, node, err)
	}
	return s
}

// refused checks that an order is refused with a status and words.
func refused(t *testing.T, r *Remote, o Order, status int, words string) {
	t.Helper()
	_, err := r.Do(t.Context(), o)
	var no *Refusal
	if !errors.As(err, &no) || no.Status != status || !strings.Contains(no.Message, words) || !strings.HasSuffix(no.Message, ".") {
		t.Errorf("%+v: %#v", o, err)
	}
}

// becomes waits until a node is in a state.
func becomes(t *testing.T, r *Remote, node int, want string) {
	t.Helper()
	chattest.Eventually(t, "a node to be "+want, func() bool {
		s, err := r.State(t.Context())
		return err == nil && s.Nodes[node-1].State == want
	})
}

// stopped reports whether a process is stopped by a signal (proc(5), stat).
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	return chattest.ProcessState(t, pid) == "T"
}

func TestAKilledNodeIsStartedAgain(t *testing.T) {
	t.Parallel()
	r, lines, remote, _ := controlled(t, 2)
	before := r.pids(lines)
	for i := range 3 { // the wait does not grow, as it does for nodes that end by themselves
		if s := do(t, remote, Kill, 2); s.Nodes[1].State != NodeStarting || s.Nodes[0].State != NodeRunning {
			t.Errorf("%+v", s)
		}
		if i == 0 {
			noneLeft(t, before[1:])
			refused(t, remote, Order{Action: Kill, Node: 2}, 409, "just starting")
			refused(t, remote, Order{Action: Freeze, Node: 2}, 409, "just starting")
		}
		becomes(t, remote, 2, NodeRunning)
	}
	if n := strings.Count(r.err.String(), "node 2 ended (signal: killed); starting it again in 1s\n"); n != 3 {
		t.Errorf("%s", r.err.String())
	}
	if after := r.pids(lines); after[0] != before[0] || after[1] == before[1] {
		t.Errorf("processes %v, before %v", after, before)
	}
}

func TestANodeIsFrozenAndWoken(t *testing.T) {
	t.Parallel()
	r, lines, remote, _ := controlled(t, 3)
	pids := r.pids(lines)
	for range 2 { // the second order changes nothing
		if s := do(t, remote, Freeze, 2); s.Nodes[1].State != NodeFrozen || !s.Freeze {
			t.Errorf("%+v", s)
		}
	}
	chattest.Eventually(t, "the process to stop", func() bool { return stopped(t, pids[1]) })
	refused(t, remote, Order{Action: Drain, Node: 2}, 409, "wake it first")
	do(t, remote, Freeze, 1)
	refused(t, remote, Order{Action: Freeze, Node: 3}, 409, "One node must stay awake to hear you.")
	for range 2 {
		if s := do(t, remote, Wake, 2); s.Nodes[1].State != NodeRunning {
			t.Errorf("%+v", s)
		}
	}
	chattest.Eventually(t, "the process to continue", func() bool { return !stopped(t, pids[1]) })
	do(t, remote, Freeze, 3)
	do(t, remote, Kill, 3) // a frozen node can be killed
	becomes(t, remote, 3, NodeRunning)
	if s, err := remote.State(t.Context()); err != nil || s.Nodes[0].State != NodeFrozen || s.Nodes[1].State != NodeRunning {
		t.Errorf("%+v %v", s, err)
	}
}

// A demo with frozen nodes ends as quickly as any other, although it drains.
func TestFrozenNodesDoNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	r, lines, remote, _ := controlled(t, 3)
	pids := r.pids(lines)
	do(t, remote, Freeze, 1)
	do(t, remote, Freeze, 2)
	r.signals <- syscall.SIGTERM // it would wait for an hour
	if err := r.end(); err != nil {
		t.Error(err)
	}
	noneLeft(t, pids)
}

func TestANodeIsDrainedAndStartedAgain(t *testing.T) {
	t.Parallel()
	r, lines, remote, _ := controlled(t, 2)
	before := r.pids(lines)
	if s := do(t, remote, Drain, 1); s.Nodes[0].State == NodeFrozen || s.Nodes[0].State == NodeRunning {
		t.Errorf("%+v", s)
	}
	r.stderr("node-1: drained")
	r.stderr("node 1 ended (exit status 0); starting it again in 1s")
	becomes(t, remote, 1, NodeRunning)
	if after := r.pids(lines); after[0] == before[0] || after[1] != before[1] {
		t.Errorf("processes %v, before %v", after, before)
	}
}

// A node that forwards an order against itself can answer first.
func TestANodeHearsWhatIsDoneToItself(t *testing.T) {
	t.Parallel()
	r, lines, remote, _ := controlled(t, 2)
	pids := r.pids(lines)
	for _, action := range []Action{Freeze, Kill} {
		s, err := remote.Do(t.Context(), Order{Action: action, Node: 1, Via: 1})
		if err != nil {
			t.Fatal(err)
		}
		if action == Freeze {
			if s.Nodes[0].State != NodeFrozen {
				t.Errorf("%+v", s)
			}
			chattest.Eventually(t, "the process to stop", func() bool { return stopped(t, pids[0]) })
			continue
		}
		if s.Nodes[0].State != NodeStarting {
			t.Errorf("%+v", s)
		}
		chattest.Eventually(t, "the process to end", func() bool { return errors.Is(syscall.Kill(pids[0], 0), syscall.ESRCH) })
		becomes(t, remote, 1, NodeRunning)
	}
	// An order that is revoked before its time is not executed.
	if _, err := remote.Do(t.Context(), Order{Action: Freeze, Node: 2, Via: 2}); err != nil {
		t.Fatal(err)
	}
	if s := do(t, remote, Wake, 2); s.Nodes[1].State != NodeRunning {
		t.Errorf("%+v", s)
	}
	do(t, remote, Freeze, 1)
	refused(t, remote, Order{Action: Freeze, Node: 2}, 409, "awake")
}

func TestOrdersThatAreNone(t *testing.T) {
	t.Parallel()
	_, _, remote, _ := controlled(t, 2)
	for _, o := range []Order{{Action: Kill}, {Action: Kill, Node: 3}, {Action: Freeze, Node: -1}} {
		refused(t, remote, o, 400, "no such node")
	}
	refused(t, remote, Order{Action: "dance", Node: 1}, 400, "no such action")
	for name, change := range map[string]func(*http.Request){
		"without a token":    func(r *http.Request) { r.Header.Del("Authorization") },
		"with a wrong token": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+remote.Token()[1:]+"x") },
	} {
		for _, path := range []string{"/state", "/order"} {
			req, err := http.NewRequestWithContext(t.Context(), map[string]string{"/state": "GET", "/order": "POST"}[path],
				"http://"+remote.addr+path, strings.NewReader(`{"action":"kill","node":1}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+remote.Token())
			change(req)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode != 403 || strings.Contains(string(body), "127.0.0.1") {
				t.Errorf("%s %s: %d %s", path, name, res.StatusCode, body)
			}
		}
	}
	if s, err := remote.State(t.Context()); err != nil || s.Nodes[0].State != NodeRunning {
		t.Errorf("%+v %v", s, err)
	}
}

// A stopped broker keeps its data and its address.
func TestTheBrokerIsStoppedAndStarted(t *testing.T) {
	t.Parallel()
	_, _, remote, b := controlled(t, 2)
	addr := b.Addr()
	rdb := client(t, b.URL())
	if err := rdb.Set(t.Context(), "key", "kept", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s := do(t, remote, Stop, 0); s.Broker != BrokerStopped {
			t.Errorf("%+v", s)
		}
	}
	if err := rdb.Get(t.Context(), "key").Err(); err == nil {
		t.Error("a stopped broker answers")
	}
	for range 2 {
		if s := do(t, remote, Start, 0); s.Broker != BrokerRunning {
			t.Errorf("%+v", s)
		}
	}
	chattest.Eventually(t, "the broker to answer", func() bool { return rdb.Get(t.Context(), "key").Val() == "kept" })
	if b.Addr() != addr {
		t.Errorf("the broker is at %s, was at %s", b.Addr(), addr)
	}
}

func TestStopCutsOffThoseWhoListen(t *testing.T) {
	t.Parallel()
	b := start(t, embed.BrokerConfig{})
	rdb := client(t, b.URL())
	s := rdb.Subscribe(t.Context(), "news")
	defer s.Close()
	if _, err := s.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Stop()
	if _, err := s.ReceiveTimeout(t.Context(), chattest.Patience); err == nil || os.IsTimeout(err) {
		t.Errorf("the subscriber: %v", err)
	}
}

func TestNoControlsWithoutABrokerOfOnesOwn(t *testing.T) {
	t.Parallel()
	r := runFakes(t, obeys, Config{Nodes: 2})
	a, err := ask(r.lines(2)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range a.Env {
		if strings.HasPrefix(v, controlEnv) {
			t.Errorf("a node has the environment %s", v)
		}
	}
}

func start(t *testing.T, cfg embed.BrokerConfig) *embed.Broker {
	t.Helper()
	b, err := embed.StartBroker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}
func client(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	opts.MaxRetries = -1
	c := redis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Only a node that the parent has started reports that it is ready.
func TestOnlyAChildReports(t *testing.T) {
	t.Parallel()
	r := runFakes(t, obeys, Config{Nodes: 2})
	a, err := ask(r.lines(2)[0])
	if err != nil {
		t.Fatal(err)
	}
	env := make(map[string]string)
	for _, v := range a.Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	for what, c := range map[string]struct {
		token  string
		pid    int
		status int
	}{
		"another token": {strings.Repeat("0", 64), a.PID, 403},
		"no token":      {"", a.PID, 403},
		"no child":      {env[parentTokenEnv], os.Getpid(), 400},
	} {
		body, _ := json.Marshal(readyReport{c.pid, "http://localhost:1"})
		_, err := newRemote(env[parentEnv], c.token, nil).send(t.Context(), "POST", "/ready", body)
		if no := new(Refusal); !errors.As(err, &no) || no.Status != c.status {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := r.out.String(); strings.Contains(got, "http://localhost:1\n") {
		t.Errorf("shown: %s", got)
	}
}
