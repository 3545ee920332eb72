package chattest

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Slim is a client that costs the process of the test little: a socket and no goroutine.
type Slim struct {
	net.Conn
	in *bufio.Reader
}

// DialSlim connects, sends a hello and joins the room.
func DialSlim(url, room string) (*Slim, error) { return DialSlimBy(&net.Dialer{}, url, room) }

// DialSlimBy is DialSlim with a dialer.
func DialSlimBy(dialer *net.Dialer, url, room string) (*Slim, error) {
	addr := strings.TrimPrefix(url, "http://")
	c, err := dialer.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Slim{c, bufio.NewReaderSize(c, 1024)}
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		addr, base64.StdEncoding.EncodeToString(make([]byte, 16)))
	if _, err := s.Until("\r\n\r\n"); err != nil {
		return nil, err
	}
	for _, step := range [][2]string{{`{"type":"hello"}`, `"version":1}`}, {`{"type":"join","room":"` + room + `"}`, `{"type":"joined"`}} {
		if err := s.Command(step[0]); err != nil {
			return nil, err
		}
		if _, err := s.Until(step[1]); err != nil {
			return nil, fmt.Errorf("after %s: %w", step[0], err)
		}
	}
	return s, nil
}

// Command writes a frame of at most 125 bytes, masked with nothing.
func (s *Slim) Command(text string) error {
	_, err := s.Write(append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...))
	return err
}

// Until reads up to the end of the text, which no other frame contains.
func (s *Slim) Until(text string) (int, error) {
	_ = s.SetReadDeadline(time.Now().Add(Patience))
	var tail []byte
	for n := 1; ; n++ {
		b, err := s.in.ReadByte()
		if err != nil {
			return n, err
		}
		if tail = append(tail, b); len(tail) > len(text) {
			tail = tail[1:]
		}
		if string(tail) == text {
			return n, nil
		}
	}
}

// Crowd joins a room of the node with n clients.
func Crowd(t testing.TB, url, room string, n int) []*Slim {
	t.Helper()
	list := make([]*Slim, n)
	sockets := make([]net.Conn, n) // without their buffers, and with one cleanup for all: tests measure memory
	t.Cleanup(func() {
		for _, c := range sockets {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	var work sync.WaitGroup
	tickets := make(chan struct{}, 32)
	for i := range list {
		tickets <- struct{}{}
		work.Go(func() {
			defer func() { <-tickets }()
			c, err := DialSlim(url, room)
			if err != nil {
				t.Errorf("client %d: %v", i, err)
				return
			}
			list[i] = c
			sockets[i] = c.Conn
		})
	}
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return list
}
