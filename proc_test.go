package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// listener finds in /proc the process that listens on a port; 0 when there is
// none (proc(5), /proc/net/tcp).
func listener(t *testing.T, port string) int {
	t.Helper()
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip("/proc is not there: a test that looks for a process by its port is skipped")
	}
	inode := ""
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) && f[3] == "0A" {
			inode = f[9]
		}
	}
	if inode == "" {
		return 0
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "socket:["+inode+"]" {
			pid, err := strconv.Atoi(strings.Split(link, "/")[2])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
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
