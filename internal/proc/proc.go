// Package proc is what tests know of processes that they start: what these write,
// and which of them listens where.
package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// maxOutput bounds what is kept of one process, in bytes.
const maxOutput = 4 << 20

// Output keeps what a process writes, 4 MiB at most. It may be written to and read
// concurrently; its zero value is empty.
type Output struct {
	mu   sync.Mutex // guards the field below
	text strings.Builder
}

// Write keeps what was written (io.Writer). It never fails.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < maxOutput {
		o.text.Write(b)
	}
	return len(b), nil
}

// String returns what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// States of a TCP connection (proc(5), /proc/net/tcp).
const (
	established = "01"
	listening   = "0A"
)

// sockets are the lines of the system's table whose own port and state are these,
// by their fields. Where there is no /proc the test is skipped.
func sockets(t testing.TB, port, state string) [][]string {
	t.Helper()
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip("/proc is not there: a test that looks for processes and connections by their port is skipped")
	}
	var found [][]string
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) && f[3] == state {
			found = append(found, f)
		}
	}
	return found
}

// Established counts the connections that a port of this machine holds.
func Established(t testing.TB, port string) int {
	t.Helper()
	return len(sockets(t, port, established))
}

// Listener finds the process that listens on a port; 0 when there is none.
func Listener(t testing.TB, port string) int {
	t.Helper()
	found := sockets(t, port, listening)
	if len(found) == 0 {
		return 0
	}
	const inode = 9 // the field's place
	socket := "socket:[" + found[len(found)-1][inode] + "]"
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == socket {
			pid, err := strconv.Atoi(strings.Split(link, "/")[2])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

// State is how the system calls what a process does (proc(5), stat): T where it is
// stopped, "" where there is none. Where there is no /proc the test is skipped.
func State(t testing.TB, pid int) string {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("/proc is not there: a test that looks at the state of processes is skipped")
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ") // a program's name may hold spaces
	state, _, _ := strings.Cut(rest, " ")
	return state
}
