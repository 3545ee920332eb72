package chattest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/prometheus/procfs"

	"example.com/chat/internal/procstat"
)

// tcpEstablished is a state of a TCP connection (include/net/tcp_states.h in Linux).
const tcpEstablished = 1

const noProc = "/proc is not there: tests that look at processes and connections are skipped"

// proc opens /proc, and skips the test where there is none.
func proc(t testing.TB) procfs.FS {
	t.Helper()
	fs, err := procfs.NewDefaultFS()
	if err == nil {
		_, err = fs.Self()
	}
	if err != nil {
		t.Skip(noProc)
	}
	return fs
}

// tcpInodes returns the inodes of this machine's IPv4 sockets on a port in a state.
func tcpInodes(t testing.TB, port string, state uint64) []uint64 {
	t.Helper()
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	table, err := proc(t).NetTCP() //nolint:staticcheck // deprecated for tables of many thousands, which a test has not
	if err != nil {
		t.Fatal(err)
	}
	var inodes []uint64
	for _, line := range table {
		if line.LocalPort == n && line.St == state {
			inodes = append(inodes, line.Inode)
		}
	}
	return inodes
}

// Established counts the connections that a port of this machine holds.
func Established(t testing.TB, port string) int {
	t.Helper()
	return len(tcpInodes(t, port, tcpEstablished))
}

// Listener returns the id of the process that listens on a port, 0 if there is none.
func Listener(t testing.TB, port string) int {
	t.Helper()
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := procstat.Listener(int(n))
	NeedProc(t, err)
	return pid
}

// ProcessState returns the state letter of a process (proc(5), stat): "T" if it is
// stopped, "" if it does not exist.
func ProcessState(t testing.TB, pid int) string {
	t.Helper()
	p, err := proc(t).Proc(pid)
	if err != nil {
		return ""
	}
	stat, err := p.Stat()
	if err != nil {
		return ""
	}
	return stat.State
}

// Children returns the ids of the processes that a process has started.
func Children(t testing.TB, parent int) []int {
	t.Helper()
	all, err := proc(t).AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range all {
		// A process that ended meanwhile has no parent.
		if stat, err := p.Stat(); err == nil && stat.PPID == parent {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// CommandLine returns the program and the arguments of a process; nil if it does not
// exist.
func CommandLine(t testing.TB, pid int) []string {
	t.Helper()
	p, err := proc(t).Proc(pid)
	if err != nil {
		return nil
	}
	line, _ := p.CmdLine()
	return line
}

// UsageOf returns the resources that a process uses. The process must exist.
func UsageOf(t testing.TB, pid int) procstat.Usage {
	t.Helper()
	u, err := procstat.Of(pid)
	NeedProc(t, err)
	return u
}

// NeedProc skips the test if err is that of a system without /proc, and fails it at any
// other error.
func NeedProc(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(noProc)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ResetPeak starts a new measurement of a process's peak memory (proc(5), clear_refs). If
// the kernel refuses, Peak remains the peak since the start.
func ResetPeak(t testing.TB, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Logf("the peak of memory counts from the start: %v", err)
	}
}
