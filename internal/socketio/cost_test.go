package socketio

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/conn"
	"example.com/chat/internal/engineio"
)

// bare opens a WebSocket whose client costs little memory, and sends it packets.
func bare(t testing.TB, url string, packets ...string) net.Conn {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path)
	in := bufio.NewReaderSize(c, 16)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	for _, p := range packets { // with a mask of zeros
		if _, err := c.Write(append([]byte{0x81, 0x80 | byte(len(p)), 0, 0, 0, 0}, p...)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// TestAWebSocketAtRestIsSlim checks that a connected client that sends nothing costs one small
// goroutine, as without Socket.IO.
func TestAWebSocketAtRestIsSlim(t *testing.T) {
	if chattest.Race {
		t.Skip("the memory of the race detector would count")
	}
	s := serve(t, Config{})
	memory := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	const count = 500
	before, goroutines := memory(), runtime.NumGoroutine()
	for range count {
		bare(t, s.url+"websocket", "40")
	}
	chattest.Eventually(t, "all connections", func() bool { return s.Stats().Sockets == count })
	chattest.Eventually(t, "one goroutine for each", func() bool { return runtime.NumGoroutine() <= goroutines+count+70 }) // workers
	each := (int64(memory()) - int64(before)) / count
	t.Logf("a WebSocket at rest costs %d bytes, with this test's side of it", each)
	if each > 8<<10 {
		t.Errorf("a WebSocket at rest costs %d bytes", each)
	}
}

const members = 100

var text = jsontext.Value(`{"room":"lobby","id":"1764000000000-12345","key":"k","user":{"id":"u","name":"Ann"},"text":"hello"}`)

// BenchmarkDelivery measures one event to a hundred clients, until all have received it, with a
// write for each: over Socket.IO, and over a WebSocket without it.
func BenchmarkDelivery(b *testing.B) {
	b.Run("Socket.IO", func(b *testing.B) {
		s := serve(b, Config{Engine: engineio.Config{JoinEvery: 1}})
		var sockets []*Socket
		var clients []net.Conn
		for range members {
			clients = append(clients, bare(b, s.url+"websocket", "40"))
			sockets = append(sockets, <-s.sockets)
		}
		last := EncodeRaw("/", "message", []jsontext.Value{text}, nil)
		deliver(b, clients, len(last.Text())+3, func() {
			e := EncodeRaw("/", "message", []jsontext.Value{text}, nil)
			for _, socket := range sockets {
				socket.Send(e)
			}
		})
	})
	b.Run("WebSocket", func(b *testing.B) {
		server := conn.NewServer(conn.Config{JoinEvery: 1})
		conns := make(chan *conn.Conn, members)
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = server.Accept(w, r, func(c *conn.Conn) conn.Handler {
				conns <- c
				return nothing{}
			})
		}))
		b.Cleanup(func() {
			server.Close()
			web.Close()
		})
		var sockets []*conn.Conn
		var clients []net.Conn
		for range members {
			clients = append(clients, bare(b, web.URL+"/"))
			sockets = append(sockets, <-conns)
		}
		deliver(b, clients, len(text)+2, func() {
			f := conn.Text(text)
			for _, socket := range sockets {
				socket.Send(f)
			}
		})
	})
}

type nothing struct{}

func (nothing) Message([]byte)     {}
func (nothing) Closed(int, string) {}

// deliver measures send, until each client has received the size bytes that it sends.
func deliver(b *testing.B, clients []net.Conn, size int, send func()) {
	enough := time.Now().Add(200 * time.Millisecond)
	for _, c := range clients { // the handshakes
		_ = c.SetReadDeadline(enough)
		_, _ = io.Copy(io.Discard, c)
		_ = c.SetReadDeadline(time.Time{})
	}
	buf := make([]byte, size)
	b.ReportAllocs()
	for b.Loop() {
		send()
		for _, c := range clients {
			if _, err := io.ReadFull(c, buf); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(clients)), "ns/delivery")
}
