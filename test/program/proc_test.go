package program_test

import (
	"bufio"
	"net"
	"strconv"
	"strings"
	"testing"

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

// serveFake speaks enough of RESP to answer each command.
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
