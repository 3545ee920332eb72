package chattest

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestNodeURLIsReadFromWholeLines(t *testing.T) {
	t.Parallel()
	const out = "broker  redis://x\nnode 1  http://localhost:8080\nnode 11  http://localhost:8090\nnode 2  http://loc"
	for k, want := range map[int]string{1: "http://localhost:8080", 2: "", 3: "", 11: "http://localhost:8090"} {
		if got := NodeURL(out, k); got != want {
			t.Errorf("node %d: %q, want %q", k, got, want)
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	var out Output
	chunk := make([]byte, 1<<20)
	for range 8 {
		if n, err := out.Write(chunk); n != len(chunk) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := len(out.String()); got != maxOutput {
		t.Errorf("%d bytes are kept", got)
	}
}

func TestAListenerIsFoundByItsPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if got := Listener(t, port); got != os.Getpid() {
		t.Errorf("process %d listens, want %d", got, os.Getpid())
	}
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	Eventually(t, "the connection to be counted", func() bool { return Established(t, port) == 1 })
	_ = l.Close()
	if got := Listener(t, port); got != 0 {
		t.Errorf("process %d listens at a closed port", got)
	}
}

func TestAProcessIsSeenUntilItEnds(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("sleep is not installed")
	}
	p := Start(t, Command{Path: sleep, Args: []string{"3600"}})
	Eventually(t, "its state", func() bool { return slices.Contains([]string{"S", "R"}, ProcessState(t, p.PID())) })
	if !slices.Contains(Children(t, os.Getpid()), p.PID()) {
		t.Error("the process is not listed as a child of this one")
	}
	Eventually(t, "its command line", func() bool { return slices.Equal(CommandLine(t, p.PID()), []string{sleep, "3600"}) })
	if u := UsageOf(t, p.PID()); u.Resident == 0 || u.Peak < u.Resident || u.Files < 3 {
		t.Errorf("usage: %+v", u)
	}
	if p.Ended() {
		t.Error("the process ended early")
	}
	p.Kill()
	if !p.Ended() || p.Wait() != -1 || ProcessState(t, p.PID()) != "" {
		t.Error("a process that has ended has a state")
	}
}

func TestEventuallyLooksUntilTheLimit(t *testing.T) {
	t.Parallel()
	looks := 0
	EventuallyWithin(t, time.Minute, "the third look", func() bool { looks++; return looks == 3 })
	if looks != 3 {
		t.Errorf("the condition was checked %d times", looks)
	}
}

// Two tests that started servers at the same time once got the same port.
func TestAPortIsGivenToOneTest(t *testing.T) {
	t.Parallel()
	seen := make(map[int]bool)
	for range 20 {
		for _, port := range FreePorts(t, 50) {
			if seen[port] {
				t.Fatalf("two tests got port %d", port)
			}
			seen[port] = true
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				t.Fatal(err)
			}
			_ = l.Close()
		}
	}
}
