package conn

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// echo sends each message back, and reports how the connection was closed.
type echo struct {
	conn   *Conn
	closed chan [2]any
}

func (e *echo) Message(data []byte) {
	if string(data) == "panic" {
		panic("the client asked for it")
	}
	e.conn.Send(Text(data))
}

func (e *echo) Closed(code int, reason string) { e.closed <- [2]any{code, reason} }

// site is a Server that tests connect to. It echoes messages.
type site struct {
	*Server
	url    string
	conns  chan *Conn
	closed chan [2]any
}

func serve(t testing.TB, cfg Config) *site {
	t.Helper()
	s := &site{Server: NewServer(cfg), conns: make(chan *Conn, 10_000), closed: make(chan [2]any, 10_000)}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = s.Accept(w, r, func(c *Conn) Handler {
			s.conns <- c
			return &echo{c, s.closed}
		})
	}))
	s.url = strings.TrimPrefix(web.URL, "http://")
	t.Cleanup(func() {
		web.Close()
		s.Close()
	})
	return s
}

// raw is a client that can write any bytes.
type raw struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func (s *site) raw(t testing.TB) *raw {
	t.Helper()
	c, err := net.Dial("tcp", s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: %s\r\n\r\n", base64.StdEncoding.EncodeToString(make([]byte, 16)))
	r := &raw{t, c, bufio.NewReader(c)}
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(line), "extensions") {
			t.Errorf("an extension was negotiated: %s", line)
		}
		if line == "\r\n" {
			return r
		}
	}
}

// masked returns a client's frame with any first byte.
func masked(head byte, payload string) []byte {
	b := []byte{head}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	body := []byte(payload)
	unmask(body, mask)
	return append(b, body...)
}

// frame reads one frame from the server.
func (r *raw) frame() (head byte, payload []byte, err error) {
	_ = r.SetReadDeadline(time.Now().Add(chattest.Patience))
	var b [2]byte
	if _, err := io.ReadFull(r.in, b[:]); err != nil {
		return 0, nil, err
	}
	n := int(b[1])
	switch n {
	case 126:
		var l [2]byte
		if _, err := io.ReadFull(r.in, l[:]); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint16(l[:]))
	case 127:
		var l [8]byte
		if _, err := io.ReadFull(r.in, l[:]); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint64(l[:]))
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r.in, payload)
	return b[0], payload, err
}

// closes reads up to the close frame, and checks its code and that the connection ends
// after it.
func (r *raw) closes(code int) {
	r.t.Helper()
	for {
		head, payload, err := r.frame()
		if err != nil {
			r.t.Fatalf("want close code %d, got error %v", code, err)
		}
		if head != finClose {
			continue
		}
		if got := int(binary.BigEndian.Uint16(payload)); got != code {
			r.t.Fatalf("want close code %d, got %d %s", code, got, payload[2:])
		}
		if _, err := r.Write(masked(finClose, string(payload))); err != nil {
			return
		}
		if _, err := r.in.ReadByte(); err == nil {
			r.t.Error("bytes follow the close frame")
		}
		return
	}
}
