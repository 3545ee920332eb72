//go:build unix

package faults

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// clockOff is added to the standard library's package time: a process can't get a clock of
// its own from outside, as Go programs read the kernel's without a library.
const clockOff = `package time

import "syscall"

var clockOff = func() int64 {
	text, _ := syscall.Getenv("CLOCK_OFF")
	d, _ := ParseDuration(text)
	return int64(d / Second)
}()
`

// shiftedProgram builds the program with another time.Now.
func shiftedProgram(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("find the standard library: %v", err)
	}
	where := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	src, err := os.ReadFile(filepath.Join(where, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(src), now) != 1 {
		t.Fatalf("time.Now of %s has changed: adapt this test", runtime.Version())
	}
	return chattest.BuildOverlay(t, map[string]string{
		filepath.Join(where, "time.go"):   strings.Replace(string(src), now, now+"\tsec += clockOff\n", 1),
		filepath.Join(where, "zz_off.go"): clockOff,
	})
}

// One node's clock is 10 minutes ahead, another's 10 minutes behind. Only the wall clock is
// shifted; the program measures durations by the monotonic clock.
func TestClocksOff(t *testing.T) {
	f := fault{5, "one node's clock 10 minutes ahead, another's behind", false}
	choose(t, f)
	path := shiftedProgram(t)
	offs := []time.Duration{10 * time.Minute, -10 * time.Minute, 0}
	r := newRig(t, f, setup{program: func(i int) (string, []string, []string) {
		return path, []string{"CLOCK_OFF=" + offs[i].String()}, nil
	}})
	for i, n := range r.nodes {
		w := watch(t, n, client.Options{})
		w.join("clocks", "")
		r.recordFault("%s's clock is %s off", n.id, offs[i])
		off := time.Duration(w.say("clocks", "key", "what time is it?").Time-time.Now().UnixMilli()) * time.Millisecond
		if off.Abs() > 5*time.Second {
			t.Errorf("a message of a node whose clock is %s off has a time that is %s off", offs[i], off)
		}
	}
	r.hold(8 * time.Second) // longer than a lease holds
	for i, n := range r.nodes {
		w := watch(t, n, client.Options{})
		if got := len(w.me.Nodes); got != nodes {
			t.Errorf("%s knows %d nodes", n.id, got)
		}
		if off := clockOf(t, n); (off - offs[i]).Abs() > 5*time.Second {
			t.Errorf("the clock of %s is %s off, not %s: the test shows nothing", n.id, off, offs[i])
		}
		if n.said("lease was lost") > 0 {
			t.Errorf("%s lost its lease", n.id)
		}
	}
	ghost, witness := watch(t, r.nodes[0], client.Options{}), watch(t, r.nodes[1], client.Options{})
	ghost.join("lobby", "")
	witness.join("lobby", "")
	killed := time.Now()
	r.nodes[0].kill()
	gone := witness.await("the killed node's user to leave", "presence", killed, left(ghost.me.User.ID))
	if took := gone.at.Sub(killed); took > goneWithin {
		t.Errorf("the killed node's user left after %s", took)
	}
	r.nodes[0].start()
	r.flow(leastSaid)
	rep, list := r.finish()
	r.steady(rep)
	now := time.Now().UnixMilli()
	for _, rec := range list {
		if rec.Op != check.OpLog {
			continue
		}
		if id, err := protocol.ParseID(rec.ID); err != nil || id.MS > now || id.MS < now-time.Minute.Milliseconds()*5 {
			t.Errorf("the log holds %s, which is not of the last five minutes", rec.ID)
		}
	}
}

// clockOf returns how far a node's clock is off, according to its HTTP responses.
func clockOf(t *testing.T, n *node) time.Duration {
	t.Helper()
	res, err := probes.Get(n.address() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	date, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	return time.Until(date)
}
