//go:build unix

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// fakeEnv makes this test's binary act as a node of a cluster. Its value selects the
// behaviour.
const fakeEnv = "DEMO_TEST_NODE"

// The behaviours of a fake node.
const (
	obeys      = "obeys"      // ends with its standard input, and drains at SIGTERM
	stubborn   = "stubborn"   // ignores both
	fails      = "fails"      // writes two lines, and exits with 1
	failsLater = "failsLater" // like obeys, but node 2 starts only once
	backwards  = "backwards"  // a node is ready when the next one is
)

func TestMain(m *testing.M) {
	if way := os.Getenv(fakeEnv); way != "" {
		os.Exit(fakeNode(way))
	}
	os.Exit(m.Run())
}

// about is the text that a fake node writes to each connection to its port.
type about struct {
	PID  int
	Args []string
	Env  []string
}

// dirEnv is a directory in which a cluster's fake nodes leave marks.
const dirEnv = "DEMO_TEST_DIR"

func mark(name string) string { return filepath.Join(os.Getenv(dirEnv), name) }

func marked(name string) bool {
	_, err := os.Stat(mark(name))
	return err == nil
}

func fakeNode(way string) int {
	var addr, id string
	for _, arg := range os.Args[1:] {
		if v, ok := strings.CutPrefix(arg, "--addr="); ok {
			addr = v
		}
		if v, ok := strings.CutPrefix(arg, "--node-id=node-"); ok {
			id = v
		}
	}
	if way == fails || way == failsLater && id == "2" && marked("2") {
		fmt.Fprintln(os.Stderr, "a first line")
		fmt.Fprintln(os.Stderr, "chat: no luck today")
		return 1
	}
	signal.Ignore(os.Interrupt)
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go tellAbout(l) // ends with the process
	n, _ := strconv.Atoi(id)
	for way == backwards && n < 3 && !marked(strconv.Itoa(n+1)) {
		time.Sleep(time.Millisecond)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	fmt.Fprintln(os.Stderr, "a line of its log")
	if way == failsLater { // before the test can kill it
		if err := os.WriteFile(mark(id), nil, 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	parent := FindParent(os.LookupEnv, os.Stdin)
	if err := parent.ReportReady(context.Background(), "http://localhost:"+port); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.WriteFile(mark(id), nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if way == stubborn {
		select {}
	}
	select {
	case <-terms:
		fmt.Fprintln(os.Stderr, "drained")
	case <-parent.Gone():
	}
	return 0
}

func tellAbout(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = json.NewEncoder(c).Encode(about{os.Getpid(), os.Args[1:], os.Environ()})
		_ = c.Close()
	}
}

// running is a cluster of fake nodes.
type running struct {
	t        *testing.T
	out, err chattest.Output
	signals  chan os.Signal
	ended    chan error
}

// runFakes starts a cluster, which the test ends at the latest when it ends.
func runFakes(t *testing.T, way string, cfg Config) *running {
	t.Helper()
	r := &running{t: t, signals: make(chan os.Signal, 4), ended: make(chan error, 1)}
	cfg.Env = append(os.Environ(), fakeEnv+"="+way, dirEnv+"="+t.TempDir(),
		"CHAT_NODES=3", "CHAT_BROKER_ADDR=:1", "CHAT_ADDR=:2", "CHAT_NODE_ID=x", "CHAT_REDIS=y", "CHAT_TEXT_LIMIT=99",
		controlEnv+"=a", tokenEnv+"=b", portsEnv+"=1")
	cfg.Stdout, cfg.Stderr = &r.out, &r.err
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	go func() { // ends at the cleanup's signals, which waits for it
		r.ended <- Run(t.Context(), cfg, r.signals)
		close(r.ended)
	}()
	t.Cleanup(func() {
		for range cap(r.signals) {
			select {
			case r.signals <- os.Interrupt:
			default:
			}
		}
		<-r.ended
	})
	return r
}

// lines waits until n nodes are ready, and returns the lines that the cluster printed.
func (r *running) lines(n int) []string {
	r.t.Helper()
	chattest.Eventually(r.t, strconv.Itoa(n)+" nodes", func() bool { return strings.Count(r.out.String(), "\n") >= n })
	return strings.Split(strings.TrimSpace(r.out.String()), "\n")
}

// stderr waits until the cluster has reported a line.
func (r *running) stderr(line string) {
	r.t.Helper()
	chattest.Eventually(r.t, strconv.Quote(line), func() bool { return strings.Contains(r.err.String(), line+"\n") })
}

// end waits for the end of the cluster.
func (r *running) end() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(chattest.Patience):
		r.t.Fatal("the cluster did not end")
		return nil
	}
}

// ask connects to the node of a cluster's line, and returns what it writes about itself.
func ask(line string) (a about, err error) {
	_, addr, _ := strings.Cut(line, "http://localhost:")
	c, err := net.Dial("tcp", "127.0.0.1:"+addr)
	if err != nil {
		return about{}, err
	}
	defer c.Close()
	return a, json.NewDecoder(c).Decode(&a)
}

// pids returns the ids of the nodes' processes.
func (r *running) pids(lines []string) (pids []int) {
	r.t.Helper()
	for _, line := range lines {
		a, err := ask(line)
		if err != nil {
			r.t.Fatal(err)
		}
		pids = append(pids, a.PID)
	}
	return pids
}

// noneLeft checks that no process remains, not even as a zombie.
func noneLeft(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			t.Errorf("process %d remains", pid)
		}
	}
}

// It measures time, so it runs while no other test does, and again if the machine may have
// been busy with something else.
func TestCtrlCEndsTheClusterWithinASecond(t *testing.T) {
	for way, frozen := range map[string]bool{obeys: true, stubborn: false} {
		t.Run(way, func(t *testing.T) {
			took := time.Hour
			for range 5 {
				r := runFakes(t, way, Config{Nodes: 3, Drain: time.Hour})
				pids := r.pids(r.lines(3))
				if frozen {
					_ = syscall.Kill(pids[1], syscall.SIGSTOP)
				}
				began := time.Now()
				r.signals <- os.Interrupt
				if err := r.end(); err != nil {
					t.Error(err)
				}
				took = min(took, time.Since(began))
				noneLeft(t, pids)
				if took <= time.Second {
					return
				}
			}
			t.Errorf("it took %s at least", took)
		})
	}
}

func TestNodesAreShownInTheirOrder(t *testing.T) {
	t.Parallel()
	r := runFakes(t, backwards, Config{Nodes: 3, hold: time.Minute})
	for i, line := range r.lines(3) {
		if !strings.HasPrefix(line, fmt.Sprintf("node %d  http://localhost:", i+1)) {
			t.Errorf("line %d is %q", i+1, line)
		}
		r.stderr(fmt.Sprintf("node-%d: a line of its log", i+1))
	}
}

func TestAReadyNodeIsHeldBackForOneThatIsLateAndThenShown(t *testing.T) {
	t.Parallel()
	var out chattest.Output
	c := newPrinter(&out, 3)
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { c.ready(2, "http://localhost:8082") }, ""},
		{func() { c.ready(0, "http://localhost:8080") }, "node 1  http://localhost:8080\n"},
		{c.release, "node 1  http://localhost:8080\nnode 3  http://localhost:8082\n"},
		{func() { c.ready(1, "http://localhost:8081") }, "node 1  http://localhost:8080\nnode 3  http://localhost:8082\nnode 2  http://localhost:8081\n"},
	} {
		step.do()
		if got := out.String(); got != step.want {
			t.Errorf("shown: %q, want %q", got, step.want)
		}
	}
}

func TestWhatANodeIsTold(t *testing.T) {
	t.Parallel()
	const redis = "redis://:secret@127.0.0.1:1"
	r := runFakes(t, obeys, Config{Nodes: 2, Redis: redis, Args: []string{"--history=7"}})
	a, err := ask(r.lines(2)[1])
	if err != nil {
		t.Fatal(err)
	}
	if args := strings.Join(a.Args, " "); !strings.HasPrefix(args, "--addr=127.0.0.1:") || !strings.HasSuffix(args, " --node-id=node-2 --history=7") || strings.Contains(args, "secret") {
		t.Errorf("arguments %q", args)
	}
	var chat []string
	for _, v := range a.Env {
		name, value, _ := strings.Cut(v, "=")
		if (name == parentEnv || name == parentTokenEnv) && len(value) > len("127.0.0.1:") {
			v = name // its value differs each time
		}
		if strings.HasPrefix(v, "CHAT_") && !chattest.IsSetting(name) {
			chat = append(chat, v)
		}
	}
	slices.Sort(chat)
	if want := []string{ChildEnv + "=1", parentEnv, parentTokenEnv, "CHAT_REDIS=" + redis, "CHAT_TEXT_LIMIT=99"}; !slices.Equal(chat, want) {
		t.Errorf("environment %q, want %q", chat, want)
	}
}

func TestAKilledNodeComesBackOnItsPort(t *testing.T) {
	t.Parallel()
	r := runFakes(t, obeys, Config{Nodes: 3})
	lines := r.lines(3)
	before := r.pids(lines)
	_ = syscall.Kill(before[1], syscall.SIGKILL)
	r.stderr("node 2 ended (signal: killed); starting it again in 1s")
	chattest.Eventually(t, "the node to be back", func() bool {
		a, err := ask(lines[1])
		return err == nil && a.PID != before[1]
	})
	if again := r.lines(4)[3]; again != lines[1] {
		t.Errorf("the restarted node is %q, want %q", again, lines[1])
	}
	after := r.pids(lines)
	if after[0] != before[0] || after[2] != before[2] {
		t.Error("other nodes were restarted too")
	}
	r.signals <- os.Interrupt
	if err := r.end(); err != nil {
		t.Error(err)
	}
	noneLeft(t, append(before, after...))
}

// The reason why a node can't restart is reported at once, and not when it is ready.
func TestANodeThatCannotComeBackSaysWhyAndIsTriedLessOften(t *testing.T) {
	t.Parallel()
	r := runFakes(t, failsLater, Config{Nodes: 2})
	pids := r.pids(r.lines(2))
	_ = syscall.Kill(pids[1], syscall.SIGKILL)
	r.stderr("node-2: chat: no luck today")
	r.stderr("node 2 ended (exit status 1); starting it again in 2s")
	if _, err := ask(r.lines(2)[0]); err != nil {
		t.Errorf("the other node: %v", err)
	}
}

func TestSIGTERMDrains(t *testing.T) {
	t.Parallel()
	r := runFakes(t, obeys, Config{Nodes: 3, Drain: time.Hour})
	pids := r.pids(r.lines(3))
	r.signals <- syscall.SIGTERM
	if err := r.end(); err != nil {
		t.Error(err)
	}
	for i := range pids {
		r.stderr(fmt.Sprintf("node-%d: drained", i+1))
	}
	noneLeft(t, pids)
}

func TestWhatDoesNotDrainIsKilled(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]struct {
		drain   time.Duration
		signals []os.Signal
	}{
		"after its time":         {time.Millisecond, []os.Signal{syscall.SIGTERM}},
		"when told so meanwhile": {time.Hour, []os.Signal{syscall.SIGTERM, os.Interrupt}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runFakes(t, stubborn, Config{Nodes: 2, Drain: cfg.drain})
			pids := r.pids(r.lines(2))
			for _, s := range cfg.signals {
				r.signals <- s
			}
			if err := r.end(); err != nil {
				t.Error(err)
			}
			noneLeft(t, pids)
		})
	}
}

func TestATakenPortStartsNothing(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	r := runFakes(t, obeys, Config{Nodes: 2, Addr: taken.Addr().String()})
	err = r.end()
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), strconv.Itoa(port)) || !strings.Contains(err.Error(), "--addr") {
		t.Errorf("%v", err)
	}
	if out := r.out.String() + r.err.String(); out != "" {
		t.Errorf("a node was started: %s", out)
	}
}

func TestANodeThatFailsAtFirstEndsTheCluster(t *testing.T) {
	t.Parallel()
	r := runFakes(t, fails, Config{Nodes: 3})
	err := r.end()
	if err == nil || !strings.HasPrefix(err.Error(), "node ") || !strings.HasSuffix(err.Error(), " did not start: no luck today") {
		t.Errorf("%v", err)
	}
	if out := r.err.String(); !strings.Contains(out, ": a first line\n") || strings.Contains(out, "no luck") {
		t.Errorf("standard error: %s", out)
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"8080", "localhost:http", "127.0.0.1:65536"} {
		if err := runFakes(t, obeys, Config{Nodes: 2, Addr: addr}).end(); err == nil || !strings.Contains(err.Error(), "--addr") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestParentGone(t *testing.T) {
	t.Parallel()
	in, parent := io.Pipe()
	gone := ParentGone(in)
	if _, err := io.WriteString(parent, "what it says does not matter\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
		t.Fatal("the parent is reported as gone")
	default:
	}
	_ = parent.Close()
	select {
	case <-gone:
	case <-time.After(chattest.Patience):
		t.Error("the end of the parent is not reported")
	}
}

func TestFreePortsAreAllDifferent(t *testing.T) {
	t.Parallel()
	ports, err := FreePorts("127.0.0.1", 20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 20 {
		t.Errorf("%v", ports)
	}
}

func TestALongLineIsCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*maxLine+1)
	var lines []string
	eachLine(strings.NewReader("a\n"+long+"\r\nb"), func(line string) { lines = append(lines, line) })
	if want := []string{"a", long[:maxLine], long[:maxLine], "x", "b"}; !slices.Equal(lines, want) {
		t.Errorf("%d lines", len(lines))
	}
}
