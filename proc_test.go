package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// established counts the connections that the node at a URL holds.
func established(t *testing.T, url string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return chattest.Established(t, port)
}

// serveFake speaks just enough of RESP to answer each command.
func serveFake(c net.Conn, answer func(command string) string) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		head, err := in.ReadString('\n')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "*")))
		if err != nil {
			return
		}
		command := ""
		for i := range n {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
			word, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if i == 0 {
				command = strings.ToUpper(strings.TrimSpace(word))
			}
		}
		if _, err := c.Write([]byte(answer(command))); err != nil {
			return
		}
	}
}

// resident is a process's resident memory in KiB (proc(5), VmRSS).
func resident(t *testing.T, pid int) int {
	t.Helper()
	return status(t, pid, "VmRSS:")
}

// status is a line of a process's status (proc(5)), which must hold a number.
func status(t *testing.T, pid int, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("/proc is not there: memory is not measured")
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// cpu is the processor time that a process took so far (proc(5), stat).
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	if err1 != nil || err2 != nil {
		t.Fatalf("stat: %s", text)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// resetPeak begins the measure of a process's memory anew (proc(5), clear_refs).
func resetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Logf("the peak of memory is that since the start: %v", err)
	}
}

// peak is the most resident memory that a process had, in KiB (proc(5), VmHWM).
func peak(t *testing.T, pid int) int {
	t.Helper()
	return status(t, pid, "VmHWM:")
}
