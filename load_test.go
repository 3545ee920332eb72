package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// slim is a client that costs this process little: a socket and no goroutine.
type slim struct {
	net.Conn
	in *bufio.Reader
}

// dialSlim connects, says hello and joins the room.
func dialSlim(url, room string) (*slim, error) { return dialSlimBy(&net.Dialer{}, url, room) }

func dialSlimBy(dialer *net.Dialer, url, room string) (*slim, error) {
	addr := strings.TrimPrefix(url, "http://")
	c, err := dialer.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &slim{c, bufio.NewReaderSize(c, 1024)}
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		addr, base64.StdEncoding.EncodeToString(make([]byte, 16)))
	if _, err := s.until("\r\n\r\n"); err != nil {
		return nil, err
	}
	for _, step := range [][2]string{{`{"type":"hello"}`, `"version":1}`}, {`{"type":"join","room":"` + room + `"}`, `{"type":"joined"`}} {
		if err := s.command(step[0]); err != nil {
			return nil, err
		}
		if _, err := s.until(step[1]); err != nil {
			return nil, fmt.Errorf("after %s: %w", step[0], err)
		}
	}
	return s, nil
}

// command writes a frame of at most 125 bytes, masked with nothing.
func (s *slim) command(text string) error {
	_, err := s.Write(append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...))
	return err
}

// until reads up to and with the text, which no other frame holds.
func (s *slim) until(text string) (int, error) {
	_ = s.SetReadDeadline(time.Now().Add(chattest.Patience))
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

// crowd has n slim clients join a room of the node.
func crowd(t *testing.T, url, room string, n int) []*slim {
	t.Helper()
	list := make([]*slim, n)
	sockets := make([]net.Conn, n) // without their buffers, and one cleanup for all: tests measure memory
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
			c, err := dialSlim(url, room)
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

// A thousand in one room hear twenty messages a second, all of them.
func TestAThousandInOneRoom(t *testing.T) {
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	const members, messages = 1000, 60
	list := crowd(t, n.url, "crowd", members)
	speaker := chattest.Enter(t, n.url, "Speaker", "crowd")
	began := time.Now()
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()
	var hearing sync.WaitGroup
	for i, c := range list {
		hearing.Go(func() {
			for k := range messages {
				if _, err := c.until(fmt.Sprintf(`"text":"<%d>"`, k)); err != nil {
					t.Errorf("member %d, message %d: %v", i, k, err)
					return
				}
			}
		})
	}
	for k := range messages {
		<-tick.C
		speaker.Send("send", "room", "crowd", "text", fmt.Sprintf("<%d>", k), "key", strconv.Itoa(k))
	}
	hearing.Wait()
	t.Logf("%d members heard %d messages, the last %s after the first was said", members, messages, time.Since(began).Round(time.Millisecond))
}

// mostPerConnection is the resident memory that an idle joined connection may
// cost, in KiB.
const mostPerConnection = 10

// It measures memory, so it runs while no other test does.
func TestAnIdleConnectionIsSlim(t *testing.T) {
	if chattest.Race {
		t.Skip("the race detector multiplies memory: measured without it")
	}
	p := startProgram(t, nil, "--addr=127.0.0.1:0", "--rate=0")
	url := p.URL(1)
	before := chattest.UsageOf(t, p.PID()).Resident
	const n = 2000
	crowd(t, url, "idle", n)
	var each float64
	chattest.Eventually(t, fmt.Sprintf("%d KiB a connection", mostPerConnection), func() bool {
		each = float64(chattest.UsageOf(t, p.PID()).Resident-before) / 1024 / n
		return each <= mostPerConnection
	})
	t.Logf("%.1f KiB a connection at %d", each, n)
}
