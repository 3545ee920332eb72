package conn

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
)

// echo sends back what it gets, and tells how it was closed.
type echo struct {
	conn   *Conn
	closed chan [2]any
}

func (e *echo) Message(data []byte) {
	if string(data) == "panic" {
		panic("told to")
	}
	e.conn.Send(Text(data))
}

func (e *echo) Closed(code int, reason string) { e.closed <- [2]any{code, reason} }

// site serves connections of one Server.
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

// raw is a client that writes bytes as it likes.
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

// masked makes a client's frame, with an unchecked first byte and length.
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

// frame reads one frame of the server.
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

// closes reads until the close frame and checks its code, and that the
// connection ends then.
func (r *raw) closes(code int) {
	r.t.Helper()
	for {
		head, payload, err := r.frame()
		if err != nil {
			r.t.Fatalf("want close %d, got %v", code, err)
		}
		if head != finClose {
			continue
		}
		if got := int(binary.BigEndian.Uint16(payload)); got != code {
			r.t.Fatalf("want close %d, got %d %s", code, got, payload[2:])
		}
		if _, err := r.Write(masked(finClose, string(payload))); err != nil {
			return
		}
		if _, err := r.in.ReadByte(); err == nil {
			r.t.Error("something came after the close frame")
		}
		return
	}
}

func TestFramesThatRFC6455Forbids(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{ReadLimit: 1000, FrameTime: 300 * time.Millisecond})
	long := strings.Repeat("x", 600)
	for _, c := range []struct {
		name  string
		bytes []byte
		code  int
	}{
		{"a frame of 2^63 bytes", append([]byte{0x81, 0xff}, bytes.Repeat([]byte{0xff}, 12)...), 1009},
		{"a frame of 2^40 bytes", append([]byte{0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0}, 1, 2, 3, 4), 1009},
		{"a message over the limit in fragments", append(masked(0x01, long), masked(0x80, long)...), 1009},
		{"a ping of 126 bytes", masked(0x89, strings.Repeat("x", 126)), 1002},
		{"a fragmented ping", masked(0x09, "x"), 1002},
		{"reserved bits", masked(0xc1, "x"), 1002},
		{"an unknown opcode", masked(0x83, "x"), 1002},
		{"an unknown control opcode", masked(0x8b, "x"), 1002},
		{"unmasked", []byte{0x81, 1, 'x'}, 1002},
		{"a continuation of nothing", masked(0x80, "x"), 1002},
		{"a message within a message", append(masked(0x01, "x"), masked(0x81, "y")...), 1002},
		{"binary", masked(0x82, "x"), 1003},
		{"not UTF-8", masked(0x81, "a\xff"), 1007},
		{"UTF-8 that ends within a character", masked(0x81, "\xe2\x82"), 1007},
		{"a surrogate", masked(0x81, "\xed\xa0\x80"), 1007},
		{"a close of one byte", masked(0x88, "x"), 1002},
		{"a close with a reserved code", masked(0x88, "\x03\xed"), 1002},
		{"a close whose reason is not UTF-8", masked(0x88, "\x03\xe8\xff"), 1007},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := s.raw(t)
			if _, err := r.Write(c.bytes); err != nil {
				t.Fatal(err)
			}
			r.closes(c.code)
		})
	}
}

func TestFramesThatRFC6455Allows(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{ReadLimit: 100_000})
	euro := "€"
	for name, c := range map[string]struct{ send, want string }{
		"one frame":       {string(masked(0x81, "hello")), "hello"},
		"empty":           {string(masked(0x81, "")), ""},
		"of 125 bytes":    {string(masked(0x81, strings.Repeat("x", 125))), strings.Repeat("x", 125)},
		"of 126 bytes":    {string(masked(0x81, strings.Repeat("x", 126))), strings.Repeat("x", 126)},
		"of 65,536 bytes": {string(masked(0x81, strings.Repeat("x", 65536))), strings.Repeat("x", 65536)},
		"in fragments, a ping between, split in a character": {
			string(masked(0x01, euro[:1])) + string(masked(0x89, "p")) + string(masked(0x00, euro[1:2])) + string(masked(0x00, "")) + string(masked(0x80, euro[2:])), euro},
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			if step == 1 && len(c.send) > 1000 {
				continue
			}
			r := s.raw(t)
			for b := []byte(c.send); len(b) > 0; b = b[min(step, len(b)):] {
				if _, err := r.Write(b[:min(step, len(b))]); err != nil {
					t.Fatal(err)
				}
			}
			for {
				head, payload, err := r.frame()
				if err != nil {
					t.Fatalf("%s by %d: %v", name, step, err)
				}
				if head == finPong {
					continue
				}
				if head != finText || string(payload) != c.want {
					t.Errorf("%s by %d: got %x %.40q", name, step, head, payload)
				}
				break
			}
			if _, err := r.Write(masked(0x88, "\x0f\xa0bye")); err != nil {
				t.Fatal(err)
			}
			r.closes(4000)
			if got := <-s.closed; got != [2]any{4000, "bye"} {
				t.Errorf("closed with %v", got)
			}
		}
	}
}

// What has begun must end, whatever comes in between.
func TestAMessageWithoutAnEndIsCutOff(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{FrameTime: 200 * time.Millisecond})
	for name, again := range map[string][]byte{
		"empty fragments": masked(0x00, ""),
		"pings":           masked(0x89, ""),
		"silence":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := s.raw(t)
			_, _ = r.Write(masked(0x01, "begun"))
			began := time.Now()
			go func() { _, _ = io.Copy(io.Discard, r.in) }() // ends with the connection
			chattest.Eventually(t, "the end", func() bool {
				if again != nil {
					_ = r.SetWriteDeadline(time.Now().Add(time.Second))
				}
				_, err := r.Write(append(again[:len(again):len(again)], masked(0x8a, "")...))
				return err != nil
			})
			if took := time.Since(began); took < 150*time.Millisecond {
				t.Errorf("it ended after %s", took)
			}
		})
	}
	// A header that stops in the middle.
	r := s.raw(t)
	_, _ = r.Write([]byte{0x81})
	_ = r.SetReadDeadline(time.Now().Add(chattest.Patience))
	if _, err := io.ReadAll(r.in); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("half a header: %v", err)
	}
}

func TestAnIdleConnectionIsPingedAndASilentOneDropped(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{PingEvery: time.Second, PongWithin: 300 * time.Millisecond})
	answering, silent := s.raw(t), s.raw(t)
	pings := 0
	go func() { _, _ = io.Copy(io.Discard, silent.in) }() // ends with the connection
	for len(s.closed) == 0 {
		head, payload, err := answering.frame()
		if err != nil {
			t.Fatalf("the one that answers was dropped: %v", err)
		}
		if head == finPing {
			pings++
			_, _ = answering.Write(masked(finPong, string(payload)))
		}
	}
	if got := <-s.closed; got[0] != 1006 || pings < 2 {
		t.Errorf("closed with %v after %d pings", got, pings)
	}
	if s.Stats().Open != 1 {
		t.Errorf("open: %d", s.Stats().Open)
	}
}

// tried tells that all that was sent has been written, as far as the socket took
// it: what waits now waits for the client.
func (c *Conn) tried() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stuck || c.waiting == 0 || c.closing
}

func TestASlowReaderIsClosedAndOthersAreServed(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{OutboxLimit: 256 << 10, Linger: 300 * time.Millisecond})
	slow := s.raw(t)
	c := <-s.conns
	quick := s.raw(t)
	q := <-s.conns
	big := Text(bytes.Repeat([]byte("x"), 10_000))
	for i := 0; s.Stats().Slow == 0; i++ {
		if i > 10_000 {
			t.Fatal("it was never closed")
		}
		c.Send(big)
		chattest.Eventually(t, "the try to write it", c.tried)
		if c.Pending() > 256<<10+20_000 {
			t.Fatalf("%d bytes wait", c.Pending())
		}
		q.Send(Text([]byte("quick")))
		if _, payload, err := quick.frame(); err != nil || string(payload) != "quick" {
			t.Fatalf("the other: %s %v", payload, err)
		}
	}
	if got := <-s.closed; got[0] != CloseSlow {
		t.Errorf("closed with %v", got)
	}
	// What it reads after all is whole frames up to the end, and no rubbish.
	for {
		head, payload, err := slow.frame()
		if err != nil || head == finClose {
			break
		}
		if head != finText || len(payload) != 10_000 {
			t.Fatalf("a frame %x of %d bytes", head, len(payload))
		}
	}
}

// After Redis was away, what had waited in a room came at once, more than may
// wait for a slow client: clients who read as fast as they could were closed.
func TestABurstIsNoSlowReading(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	r := s.raw(t)
	c := <-s.conns
	const frames, size = 150, 10_000
	go func() { // ends when all is queued
		f := Text(make([]byte, size))
		for range frames {
			c.Send(f)
		}
	}()
	for i := range frames {
		if head, payload, err := r.frame(); err != nil || head != finText || len(payload) != size {
			t.Fatalf("frame %d: %x of %d bytes: %v", i, head, len(payload), err)
		}
	}
	if s.Stats().Slow != 0 {
		t.Error("it was closed")
	}
}

// What a client asked for may be larger than what may wait for a slow one: it is
// not closed for that, but nothing more is read from it until it has taken it.
func TestLargeAnswersAreNoSlowReading(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{OutboxLimit: 64 << 10})
	r := s.raw(t)
	_ = r.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	c := <-s.conns
	const size = 16 << 20
	c.Answer(Text(make([]byte, size)))
	chattest.Eventually(t, "the socket to be full", func() bool { return c.Pending() > 1<<20 })
	for range 10 {
		c.Send(Text([]byte("live")))
	}
	if _, payload, err := r.frame(); err != nil || len(payload) != size {
		t.Fatalf("%d bytes, %v", len(payload), err)
	}
	for range 10 {
		if _, payload, err := r.frame(); err != nil || string(payload) != "live" {
			t.Fatalf("%s %v", payload, err)
		}
	}
	if s.Stats().Slow != 0 {
		t.Error("it was closed")
	}
}

// However the socket takes what is sent, it comes out in order and whole.
func TestFramesNeverMixNorChangeTheirPlaces(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{OutboxLimit: 64 << 20})
	r := s.raw(t)
	_ = r.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	c := <-s.conns
	const frames = 10_000
	go func() { // ends when all is queued
		for i := range frames {
			c.Send(Text(fmt.Appendf(nil, "%d:%s", i, strings.Repeat("y", i%3000))))
		}
	}()
	for i := range frames {
		if i == 0 {
			chattest.Eventually(t, "the socket to be full", func() bool { return c.Pending() > 1<<20 })
		}
		if i%97 == 0 {
			_, _ = r.Write(masked(0x89, "ping")) // its pong comes between
		}
		head, payload, err := r.frame()
		for err == nil && head == finPong {
			head, payload, err = r.frame()
		}
		if want := fmt.Sprintf("%d:%s", i, strings.Repeat("y", i%3000)); err != nil || head != finText || string(payload) != want {
			t.Fatalf("frame %d: %x %.40q %v", i, head, payload, err)
		}
	}
}

func TestCloseSendsWhatWasSentBefore(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	r := s.raw(t)
	c := <-s.conns
	for range 100 {
		c.Send(Text([]byte("x")))
	}
	c.Close(4003, strings.Repeat("ü", 100))
	c.Close(1000, "only the first counts")
	c.Send(Text([]byte("too late")))
	for range 100 {
		if _, payload, err := r.frame(); err != nil || string(payload) != "x" {
			t.Fatalf("%s %v", payload, err)
		}
	}
	head, payload, err := r.frame()
	if err != nil || head != finClose || len(payload) > 125 || !strings.HasSuffix(string(payload), "ü") {
		t.Errorf("%x %q %v", head, payload, err)
	}
	_, _ = r.Write(masked(finClose, string(payload)))
	if got := <-s.closed; got[0] != 4003 {
		t.Errorf("closed with %v", got)
	}
}

func TestAPanicEndsItsConnectionAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	bad, good := s.raw(t), s.raw(t)
	_, _ = bad.Write(masked(0x81, "panic"))
	bad.closes(1011)
	_, _ = good.Write(masked(0x81, "still here"))
	if _, payload, err := good.frame(); err != nil || string(payload) != "still here" {
		t.Errorf("%s %v", payload, err)
	}
	if s.Stats().Panics != 1 {
		t.Errorf("%d panics counted", s.Stats().Panics)
	}
}

func TestAPingFloodGetsFewAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	r := s.raw(t)
	_, _ = r.Write(bytes.Repeat(masked(0x89, "x"), 5000))
	_, _ = r.Write(masked(0x81, "end"))
	pongs := 0
	for {
		head, _, err := r.frame()
		if err != nil {
			t.Fatal(err)
		}
		if head == finText {
			break
		}
		pongs++
	}
	if pongs == 0 || pongs > 3*maxPongs {
		t.Errorf("%d pongs", pongs)
	}
}

// It counts goroutines, so it runs while no other test does.
func TestCloseLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	s := NewServer(Config{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = s.Accept(w, r, func(c *Conn) Handler { return &echo{c, make(chan [2]any, 1)} })
	}))
	var clients sync.WaitGroup
	for range 50 {
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(web.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			defer c.Close()
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					if !websocket.IsCloseError(err, 1001) {
						t.Errorf("ended by %v", err)
					}
					return
				}
			}
		})
	}
	chattest.Eventually(t, "the connections", func() bool { return s.Stats().Open == 50 })
	s.Close()
	clients.Wait()
	web.Close()
	if s.Stats().Open != 0 {
		t.Errorf("open: %d", s.Stats().Open)
	}
	chattest.Eventually(t, "all goroutines to end", func() bool { return runtime.NumGoroutine() <= before+1 })
}
