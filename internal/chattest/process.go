package chattest

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Command describes a process to start. Path is required.
type Command struct {
	Path string
	Args []string
	// Env is added to the environment of the test.
	Env []string
	// Dir is the working directory, that of the test if empty.
	Dir string
	// Stdout and Stderr collect the output; nil for an Output of the process's own.
	Stdout, Stderr *Output
	// Start calls start, from another thread if needed; nil for a plain call.
	Start func(start func() error) error
	// Attributes are the system's; nil for none.
	Attributes *syscall.SysProcAttr
}

// Process is a running process of one test, which kills it at its end. Its methods
// are safe for concurrent use.
type Process struct {
	Cmd *exec.Cmd
	// Stdin is the standard input: children of a cluster of nodes end when it closes.
	Stdin          io.WriteCloser
	Stdout, Stderr *Output

	t    testing.TB
	done chan struct{}
	err  error // of Wait; set before done is closed
}

// Start starts a process. If the test fails, its log shows what the process wrote
// into its own Outputs.
func Start(t testing.TB, c Command) *Process {
	t.Helper()
	p := &Process{Cmd: exec.Command(c.Path, c.Args...), Stdout: c.Stdout, Stderr: c.Stderr, t: t, done: make(chan struct{})}
	// A program built with -race sleeps a second at its end by default.
	p.Cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), c.Env...)
	p.Cmd.Dir, p.Cmd.SysProcAttr = c.Dir, c.Attributes
	if p.Stdout == nil {
		p.Stdout = new(Output)
	}
	if p.Stderr == nil {
		p.Stderr = new(Output)
	}
	p.Cmd.Stdout, p.Cmd.Stderr = p.Stdout, p.Stderr
	var err error
	if p.Stdin, err = p.Cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if c.Start == nil {
		c.Start = func(start func() error) error { return start() }
	}
	if err := c.Start(p.Cmd.Start); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which the cleanup kills
		p.err = p.Cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() && c.Stderr == nil {
			t.Logf("%s %v\nstdout:\n%s\nstderr:\n%s", c.Path, c.Args, lastLines(p.Out()), lastLines(p.Errs()))
		}
	})
	return p
}

// lastLines returns the end of a text, 64 lines at most.
func lastLines(text string) string {
	const most = 64
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "")
}

// PID returns the process's id.
func (p *Process) PID() int { return p.Cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) { _ = p.Cmd.Process.Signal(s) }

// Kill ends the process as kill -9 does, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill()
	<-p.done
}

// Out returns the standard output so far.
func (p *Process) Out() string { return p.Stdout.String() }

// Errs returns the standard error so far.
func (p *Process) Errs() string { return p.Stderr.String() }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits for the end, at most Patience, and returns the exit status.
func (p *Process) Wait() int {
	p.t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.Cmd.ProcessState.ExitCode()
	case <-timer.C:
		p.t.Fatalf("%s did not end within %s", p.Cmd.Path, Patience)
		return -1
	}
}

// URL waits until the k-th node, counted from 1, is started, and returns its URL.
// It fails the test if the process ends before.
func (p *Process) URL(k int) string {
	p.t.Helper()
	var url string
	Eventually(p.t, "the line of node "+strconv.Itoa(k), func() bool {
		ended := p.Ended() // before the output is read, which is complete once the process has ended
		url = NodeURL(p.Out(), k)
		if url == "" && ended {
			p.t.Fatalf("%s ended: %v: %s", p.Cmd.Path, p.err, p.Errs())
		}
		return url != ""
	})
	return url
}

// NodeURL returns the URL of the k-th node, counted from 1, from the standard output
// of the program, "" if it is not there yet.
func NodeURL(stdout string, k int) string {
	prefix := "node " + strconv.Itoa(k) + "  "
	for line := range strings.Lines(stdout) {
		if url, ok := strings.CutPrefix(line, prefix); ok && strings.HasSuffix(url, "\n") {
			return strings.TrimSpace(url)
		}
	}
	return ""
}

// The ports that FreePorts chooses from: below those that systems give to listeners on
// port 0 and to outgoing connections (Linux: net.ipv4.ip_local_port_range).
const (
	firstPort = 12_000
	lastPort  = 32_000
)

// FreePorts returns n ports of the loopback that are free now and that no other test,
// in this process or another one, gets from FreePorts until t ends. A test reserves a
// port by listening on the UDP port of the same number.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range lastPort - firstPort {
		if len(ports) == n {
			return ports
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		reserved, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			_ = reserved.Close()
			continue
		}
		_ = l.Close()
		t.Cleanup(func() { _ = reserved.Close() })
		ports = append(ports, port)
	}
	t.Fatalf("there are no %d free ports", n)
	return nil
}

// PIDAt waits until a process of this machine listens at a URL's port, and returns
// its id.
func PIDAt(t testing.TB, url string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	Eventually(t, "a process on port "+port, func() bool {
		pid = Listener(t, port)
		return pid != 0
	})
	return pid
}
