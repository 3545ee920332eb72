package chattest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Hearer is a bare WebSocket that counts the messages of its room, at the lowest cost for
// the process of the test.
type Hearer struct {
	net.Conn
	heard *atomic.Int64
}

// HearAt opens a Hearer at a path of a node. For each pair it sends the first text and
// waits for a frame that holds the second.
func HearAt(t testing.TB, url, path string, heard *atomic.Int64, say ...[2]string) *Hearer {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path)
	in := bufio.NewReaderSize(c, 4096)
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	l := &Hearer{c, heard}
	for _, s := range say {
		l.Say(s[0])
		for {
			_ = c.SetReadDeadline(time.Now().Add(Patience))
			frame, err := readFrame(in)
			if err != nil {
				t.Fatalf("no %s: %v", s[1], err)
			}
			if strings.Contains(string(frame), s[1]) {
				break
			}
		}
	}
	_ = c.SetReadDeadline(time.Time{})
	go func() { // ends with the connection, which the cleanup closes
		for {
			frame, err := readFrame(in)
			if err != nil {
				return
			}
			if strings.Contains(string(frame[:min(len(frame), 24)]), `"message"`) {
				heard.Add(1)
			}
		}
	}()
	return l
}

// Say sends a text of up to 64 KiB.
func (l *Hearer) Say(text string) {
	head := []byte{0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(len(text)))
	_, _ = l.Write(append(head, text...))
}

// readFrame reads a frame of a server, which is not masked.
func readFrame(in *bufio.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	size := int(head[1])
	if size == 126 {
		var more [2]byte
		if _, err := io.ReadFull(in, more[:]); err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint16(more[:]))
	}
	frame := make([]byte, size)
	_, err := io.ReadFull(in, frame)
	return frame, err
}
