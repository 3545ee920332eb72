package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ChildEnv is the environment variable that makes a node a child of a cluster: it ends
// when its standard input ends, ignores Ctrl-C, and reports to its parent that it is
// ready (see Parent).
const ChildEnv = "CHAT_CHILD"

// Timings of a cluster.
const (
	// restartAfter is the wait before a child that ended is started again. It doubles
	// up to restartMax while the child ends soon after each start.
	restartAfter = time.Second
	restartMax   = 10 * time.Second
	// livedWell is the lifetime of a child after which the wait is restartAfter again.
	livedWell = 10 * time.Second
	// quickEnd is how long children may take to end after Ctrl-C before they are killed.
	quickEnd = 500 * time.Millisecond
	// holdFor is how long the lines of ready nodes are held back by default, so that they
	// are printed in order.
	holdFor = 3 * time.Second
)

// Config describes the nodes of a local cluster.
type Config struct {
	// Nodes is the number of nodes.
	Nodes int
	// Addr is the address of the first node; the others get the next ports. With port
	// 0 each gets a free one.
	Addr string
	// Redis is the URL of the broker. The nodes get it in their environment, because
	// it may contain a password.
	Redis string
	// Broker is the Redis of this process, if the nodes use that: then they serve
	// controls (control.go). nil for none.
	Broker Broker
	// Args are further flags of each node, Env their environment; default this
	// process's.
	Args, Env []string
	// Executable is the program; default this process's.
	Executable string
	// Drain is how long the nodes may take to drain after a SIGTERM.
	Drain time.Duration
	// Stdout gets a line for each ready node, Stderr the nodes' logs and the reports
	// of restarts.
	Stdout, Stderr io.Writer

	hold time.Duration // in place of holdFor, for tests
}

// Broker is an embedded broker that the controls stop and start.
type Broker interface {
	// Stop closes its connections and refuses new ones.
	Stop()
	// Start ends Stop.
	Start()
	// Stopped reports whether it is stopped.
	Stopped() bool
}

// cluster is a running local cluster.
type cluster struct {
	cfg   Config
	exe   string
	host  string
	ports []int
	// env is what the cluster adds to the nodes' environment.
	env   []string
	lines *printer

	mu     sync.Mutex // guards the fields below, and the writers
	nodes  []node     // its length never changes
	ending bool
}

// node is one child.
type node struct {
	again chan struct{} // ends the wait before the next start

	cmd      *exec.Cmd // nil while none runs
	log      *childLog // of cmd
	stdin    io.Closer
	ended    chan struct{} // closed when cmd has ended
	state    string        // as in NodeState
	wasReady bool          // ready at least once
	asked    bool          // an order ended it
}

// Run starts the nodes as children of this process, restarts those that end, and
// returns when all have ended after a signal or the end of ctx: within a second after
// Ctrl-C or ctx, after the drain for SIGTERM. A node that ends before it was ever ready
// ends the cluster with an error.
func Run(ctx context.Context, cfg Config, signals <-chan os.Signal) error {
	c := &cluster{cfg: cfg, exe: cfg.Executable}
	if err := c.prepare(); err != nil {
		return err
	}
	o, err := openControls(c, cfg.Broker)
	if err != nil {
		return err
	}
	defer o.close()
	c.env = append(c.env, o.environ()...)
	failed := make(chan error, cfg.Nodes)
	stop := make(chan struct{})
	var keepers sync.WaitGroup
	for i := range cfg.Nodes {
		keepers.Go(func() { // ends when its child has ended after stop; waited for below
			if err := c.keep(i, stop); err != nil {
				failed <- err
			}
		})
	}
	release := time.AfterFunc(cmp.Or(c.cfg.hold, holdFor), c.lines.release)
	defer release.Stop()
	drain := false
	select {
	case s := <-signals:
		drain = s == syscall.SIGTERM
	case <-ctx.Done():
	case err = <-failed:
	}
	close(stop)
	c.end(drain, &keepers, signals)
	return err
}

// prepare checks the addresses and the program before any node starts.
func (c *cluster) prepare() error {
	host, text, err := net.SplitHostPort(c.cfg.Addr)
	if err != nil {
		return fmt.Errorf("--addr %q is no address: give host:port or :port", c.cfg.Addr)
	}
	first, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("--addr %q is no address: give host:port or :port", c.cfg.Addr)
	}
	c.host = host
	if first == 0 {
		if c.ports, err = FreePorts(host, c.cfg.Nodes); err != nil {
			return err
		}
	} else {
		for i := range c.cfg.Nodes {
			c.ports = append(c.ports, first+i)
		}
		if err := c.checkPorts(); err != nil {
			return err
		}
	}
	if c.exe == "" {
		if c.exe, err = os.Executable(); err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
	}
	if c.cfg.Env == nil {
		c.cfg.Env = os.Environ()
	}
	c.env = []string{"CHAT_REDIS=" + c.cfg.Redis, ChildEnv + "=1"}
	c.nodes = newNodes(c.cfg.Nodes)
	c.lines = newPrinter(c.cfg.Stdout, c.cfg.Nodes)
	return nil
}

func newNodes(n int) []node {
	list := make([]node, n)
	for i := range list {
		list[i] = node{again: make(chan struct{}, 1), state: NodeStarting}
	}
	return list
}

// keep runs one node, and runs it again when it ends, until stop is closed. It returns
// an error if the node was never ready.
func (c *cluster) keep(i int, stop <-chan struct{}) error {
	wait := restartAfter
	ready := false
	for {
		began := time.Now()
		was, held, err := c.runOnce(i, !ready)
		if c.isEnding() || closed(stop) {
			return nil
		}
		ready = ready || was
		if !ready {
			return c.notStarted(i, held, err)
		}
		if c.wasAsked(i) || time.Since(began) > livedWell {
			wait = restartAfter
		}
		c.report(fmt.Sprintf("node %d ended (%s); starting it again in %s", i+1, ended(err), wait))
		timer := time.NewTimer(wait)
		select {
		case <-stop:
			timer.Stop()
			return nil
		case <-c.nodes[i].again:
			timer.Stop()
			wait = restartAfter
		case <-timer.C:
		}
		wait = min(2*wait, restartMax)
	}
}

// wasAsked reports whether an order ended the node's last process.
func (c *cluster) wasAsked(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.nodes[i].asked
	c.nodes[i].asked = false
	return asked
}

// notStarted returns the error of a node that was never ready: the last line of its
// log. It prints the lines before that one.
func (c *cluster) notStarted(i int, held []string, err error) error {
	if len(held) == 0 {
		return fmt.Errorf("node %d did not start: %s", i+1, ended(err))
	}
	last := len(held) - 1
	for _, line := range held[:last] {
		c.passOn(i, line)
	}
	return fmt.Errorf("node %d did not start: %s", i+1, strings.TrimPrefix(held[last], "chat: "))
}

func closed(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// ended describes how a process ended.
func ended(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// errEnding is returned by start once the cluster is ending.
var errEnding = errors.New("the cluster is ending")

// runOnce runs one process of a node to its end. It returns whether it was ready, and
// with hold the log that it wrote if it was not (see childLog).
func (c *cluster) runOnce(i int, hold bool) (ready bool, held []string, err error) {
	log := &childLog{hold: hold, passOn: func(line string) { c.passOn(i, line) }}
	cmd, stderr, err := c.start(i, log)
	if err != nil {
		return false, nil, err
	}
	eachLine(stderr, log.line) // ends with the child's output
	err = cmd.Wait()
	c.mu.Lock()
	n := &c.nodes[i]
	n.cmd, n.stdin, n.state = nil, nil, NodeStarting
	close(n.ended)
	c.mu.Unlock()
	ready, held = log.end()
	return ready, held, err
}

// start starts one node's process, unless the cluster is ending.
func (c *cluster) start(i int, log *childLog) (cmd *exec.Cmd, stderr io.Reader, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return nil, nil, errEnding
	}
	cmd = exec.Command(c.exe, slices.Concat([]string{
		"--addr=" + net.JoinHostPort(c.host, strconv.Itoa(c.ports[i])),
		"--node-id=" + "node-" + strconv.Itoa(i+1),
	}, c.cfg.Args)...)
	cmd.Env = c.childEnv()
	stdin, err := cmd.StdinPipe() // its end ends the child
	if err != nil {
		return nil, nil, err
	}
	if stderr, err = cmd.StderrPipe(); err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	n := &c.nodes[i]
	n.cmd, n.log, n.stdin, n.ended, n.state = cmd, log, stdin, make(chan struct{}), NodeStarting
	select {
	case <-n.again: // this is that start
	default:
	}
	return cmd, stderr, nil
}

// childEnv returns a node's environment: cfg.Env without the variables that the cluster
// sets itself, and these.
func (c *cluster) childEnv() []string {
	own := []string{
		"CHAT_NODES", "CHAT_ADDR", "CHAT_NODE_ID", "CHAT_BROKER_ADDR", "CHAT_REDIS", ChildEnv,
		controlEnv, tokenEnv, portsEnv, parentEnv, parentTokenEnv,
	}
	env := make([]string, 0, len(c.cfg.Env)+len(c.env))
	for _, v := range c.cfg.Env {
		name, _, _ := strings.Cut(v, "=")
		if !slices.Contains(own, name) {
			env = append(env, v)
		}
	}
	return append(env, c.env...)
}

// reported handles the report of the node whose process has the pid: it is ready at
// the URL. It returns false if there is no such process.
func (c *cluster) reported(pid int, url string) bool {
	i, log := c.child(pid)
	if log == nil {
		return false
	}
	log.release() // before the line that says that it is ready
	c.isReady(i, url)
	return true
}

// child returns the node whose process has the pid, and its log; nil for none.
func (c *cluster) child(pid int) (i int, log *childLog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, n := range c.nodes {
		if n.cmd != nil && n.cmd.Process.Pid == pid {
			return i, n.log
		}
	}
	return 0, nil
}

// isReady prints a node's line, at the start in the order of the nodes.
func (c *cluster) isReady(i int, url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[i].wasReady, c.nodes[i].state = true, NodeRunning
	c.lines.ready(i, url)
}

// passOn forwards a line of a node's log.
func (c *cluster) passOn(i int, line string) {
	c.report("node-" + strconv.Itoa(i+1) + ": " + line)
}

func (c *cluster) report(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(c.cfg.Stderr, line+"\n")
}

func (c *cluster) isEnding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// end ends all children, after a drain or at once. None is left when it returns.
func (c *cluster) end(drain bool, keepers *sync.WaitGroup, signals <-chan os.Signal) {
	done := make(chan struct{})
	c.mu.Lock()
	c.ending = true
	c.endFrozenLocked()
	for _, n := range c.nodes {
		if n.cmd == nil {
			continue
		}
		if !drain || n.cmd.Process.Signal(syscall.SIGTERM) != nil { // Windows knows no SIGTERM
			_ = n.stdin.Close()
		}
	}
	c.mu.Unlock()
	go func() { // ends when the children have; waited for below
		keepers.Wait()
		close(done)
	}()
	patience := quickEnd
	if drain {
		patience = c.cfg.Drain + quickEnd
	}
	select {
	case <-done:
		return
	case <-signals: // a second one: end at once
	case <-time.After(patience):
	}
	c.mu.Lock()
	for _, n := range c.nodes {
		if n.cmd != nil {
			_ = n.cmd.Process.Kill()
		}
	}
	c.mu.Unlock()
	<-done
}
