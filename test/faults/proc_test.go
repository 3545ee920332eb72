//go:build unix

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// about reads one of the files that tell about a process (proc(5)).
func about(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Skipf("/proc does not tell about processes here: %v", err)
	}
	return string(text)
}

func (n *node) pid() int { return n.process().cmd.Process.Pid }

// resident is the memory that the node has, in KiB.
func (n *node) resident(t *testing.T) int {
	t.Helper()
	_, rest, _ := strings.Cut(about(t, n.pid(), "status"), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// ticks is how many of the clock's ticks there are in a second in /proc; Linux
// has it so for all programs.
const ticks = 100

// cpu is the time that the node has computed so far.
func (n *node) cpu(t *testing.T) time.Duration {
	t.Helper()
	_, rest, _ := strings.Cut(about(t, n.pid(), "stat"), ") ")
	fields := strings.Fields(rest) // from the third on
	var sum int64
	for _, i := range []int{11, 12} {
		v, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return time.Duration(sum) * time.Second / ticks
}

// descriptors counts the node's open files.
func (n *node) descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.pid()))
	if err != nil {
		t.Skipf("/proc does not tell about files here: %v", err)
	}
	return len(list)
}

// children are the processes that a process has started.
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(dirs) == 0 {
		t.Skip("/proc is not there: children can't be found")
	}
	for _, path := range dirs {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(strings.Split(path, "/")[2])
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}
