package chattest

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

// States of a TCP connection (include/net/tcp_states.h in Linux).
const (
	tcpEstablished = 1
	tcpListen      = 10
)

// proc opens /proc, and skips the test where there is none.
func proc(t testing.TB) procfs.FS {
	t.Helper()
	fs, err := procfs.NewDefaultFS()
	if err == nil {
		_, err = fs.Self()
	}
	if err != nil {
		t.Skip("/proc is not there: tests that look at processes and connections are skipped")
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
	inodes := tcpInodes(t, port, tcpListen)
	if len(inodes) == 0 {
		return 0
	}
	socket := fmt.Sprintf("socket:[%d]", inodes[len(inodes)-1])
	all, err := proc(t).AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		targets, err := p.FileDescriptorTargets()
		if err == nil && slices.Contains(targets, socket) {
			return p.PID
		}
	}
	return 0
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
		// A process that has ended meanwhile is nobody's child.
		if stat, err := p.Stat(); err == nil && stat.PPID == parent {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// CommandLine returns the program and the arguments of a process, nil if it does not
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

// Usage is what a process uses.
type Usage struct {
	// CPU is the processor time since the start, in the kernel and outside.
	CPU time.Duration
	// Resident is the resident memory, Peak the most of it since the start or the
	// last ResetPeak, in bytes.
	Resident, Peak int
	// Files is the number of open file descriptors.
	Files int
}

// UsageOf returns what a process uses; it must exist.
func UsageOf(t testing.TB, pid int) Usage {
	t.Helper()
	p, err := proc(t).Proc(pid)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := p.Stat()
	if err != nil {
		t.Fatal(err)
	}
	status, err := p.NewStatus()
	if err != nil {
		t.Fatal(err)
	}
	files, err := p.FileDescriptorsLen()
	if err != nil {
		t.Fatal(err)
	}
	return Usage{
		CPU:      time.Duration(stat.CPUTime() * float64(time.Second)),
		Resident: int(status.VmRSS), Peak: int(status.VmHWM), Files: files,
	}
}

// ResetPeak starts a new measurement of a process's peak memory (proc(5),
// clear_refs). Where the kernel refuses, Peak stays that since the start.
func ResetPeak(t testing.TB, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Logf("the peak of memory is that since the start: %v", err)
	}
}
