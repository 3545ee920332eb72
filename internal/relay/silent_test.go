package relay

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// counter counts log lines.
type counter struct{ lines atomic.Int32 }

func (c *counter) Write(b []byte) (int, error) {
	c.lines.Add(1)
	return len(b), nil
}

// relayTo makes a relay that knows one other node, at an address.
func relayTo(t *testing.T, addr string) (r *Relay, warnings *counter) {
	t.Helper()
	warnings = &counter{}
	r, err := New(Config{
		Tag: NewTag(), Secret: []byte("secret"), Longest: time.Minute, MaxBody: 1 << 10, Path: path, ReleasePath: "/release",
		Find: func(string) (string, bool) { return addr, true },
		Log:  slog.New(slog.NewTextHandler(warnings, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, warnings
}

// request relays a request, and returns its status (0 if no node is there) and how long
// that took.
func request(r *Relay, method, body string) (status int, text string, took time.Duration) {
	began := time.Now()
	in := httptest.NewRequest(method, "http://chat.example/socket.io/?sid=x", strings.NewReader(body))
	if method == "WS" {
		in = httptest.NewRequest("GET", "http://chat.example/socket.io/?sid=x", nil)
		in.Header.Set("Connection", "Upgrade")
		in.Header.Set("Upgrade", "websocket")
	}
	w := httptest.NewRecorder()
	if !r.Forward("owner", w, in) {
		return 0, "", time.Since(began)
	}
	return w.Code, w.Body.String(), time.Since(began)
}

// A node whose machine accepts connections and sends nothing, as a frozen one does, held
// requests for 40 s and more. Their sessions may be alive, so the clients get 503 soon.
func TestASilentNodeIsGivenUpSoon(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // the system accepts connections, and nothing reads from them
	for _, method := range []string{"GET", "POST", "WS"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			r, warnings := relayTo(t, l.Addr().String())
			status, _, took := request(r, method, "4a")
			if status != http.StatusServiceUnavailable || took > acceptWithin+2*time.Second {
				t.Errorf("got %d after %s", status, took)
			}
			if n := warnings.lines.Load(); n != 1 {
				t.Errorf("%d lines are in the log", n)
			}
		})
	}
}

// One node breaks off each connection, and of another nothing listens.
func TestANodeThatBreaksOffIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var taken atomic.Int32
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			taken.Add(1)
			_, _ = bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
		}
	}()
	r, warnings := relayTo(t, l.Addr().String())
	for _, method := range []string{"GET", "POST", "WS"} {
		if status, _, took := request(r, method, "4a"); status != http.StatusServiceUnavailable || took > acceptWithin {
			t.Errorf("%s: got %d after %s", method, status, took)
		}
	}
	if n := taken.Load(); n != 5 { // the polls and POSTs are tried twice
		t.Errorf("%d tries", n)
	}
	_ = l.Close()
	for _, method := range []string{"GET", "POST", "WS"} {
		if status, _, took := request(r, method, "4a"); status != 0 || took > acceptWithin {
			t.Errorf("%s: got %d after %s from a node that is gone", method, status, took)
		}
	}
	if n := warnings.lines.Load(); n != 1 {
		t.Errorf("%d lines are in the log", n)
	}
}

// A connection that was idle and is dead, as after a firewall dropped its state, delays a
// request by a moment only: the relay sends it again on a new connection, and the owner
// recognises the repeat.
func TestADeadConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex // guards ids
	var ids []string
	owner, at := node(t, "secret", nil, func(w http.ResponseWriter, r *http.Request) {
		from, number := Identity(r)
		mu.Lock()
		ids = append(ids, from+" "+number)
		mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	way := newWay(t, strings.TrimPrefix(at.URL, "http://"))
	other, _ := node(t, "secret", func(string) (string, bool) { return way.addr, true }, nil)
	send := func(method, body string) (int, string, time.Duration) {
		began := time.Now()
		w := httptest.NewRecorder()
		if !other.Forward(owner.cfg.Tag, w, httptest.NewRequest(method, "http://chat.example/socket.io/?sid=x", strings.NewReader(body))) {
			return 0, "", 0
		}
		return w.Code, w.Body.String(), time.Since(began)
	}
	if status, body, _ := send("POST", "one"); status != 200 || body != "one" {
		t.Fatalf("got %d %q", status, body)
	}
	way.swallow() // the bytes on the existing connections
	if status, body, took := send("POST", "two"); status != 200 || body != "two" || took > acceptWithin+2*time.Second {
		t.Errorf("got %d %q after %s", status, body, took)
	}
	way.loseAnswers(1)
	if status, body, _ := send("POST", "three"); status != 200 || body != "three" {
		t.Errorf("got %d %q", status, body)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 4 || ids[2] != ids[3] || ids[0] == ids[1] || ids[1] == ids[2] {
		t.Errorf("the owner saw %q", ids)
	}
}

// way is the path between two nodes.
type way struct {
	addr  string
	dead  atomic.Int32 // connections up to this one are swallowed
	count atomic.Int32
	cut   atomic.Int32 // connections to cut at an answer
}

func newWay(t *testing.T, to string) *way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	w := &way{addr: l.Addr().String()}
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			n := w.count.Add(1)
			t.Cleanup(func() { _, _ = c.Close(), far.Close() })
			go w.copy(n, far, c, false) // ends with the connection
			go w.copy(n, c, far, true)  // ends with the connection
		}
	}()
	return w
}

func (w *way) copy(n int32, to, from net.Conn, answers bool) {
	b := make([]byte, 4096)
	for {
		k, err := from.Read(b)
		if err != nil {
			_ = to.Close()
			return
		}
		switch {
		case n <= w.dead.Load():
		case answers && strings.Contains(string(b[:k]), "200 OK") && w.cut.Add(-1) >= 0:
			_ = to.Close()
			return
		default:
			_, _ = to.Write(b[:k])
		}
	}
}

func (w *way) swallow()            { w.dead.Store(w.count.Load()) }
func (w *way) loseAnswers(n int32) { w.cut.Store(n) }

// A poll may wait as long as its owner confirms that it has it. The confirmation, 102, is
// not relayed to the client: an old proxy would treat it as the answer.
func TestAPollMayWait(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	owner, at := node(t, "secret", nil, func(w http.ResponseWriter, _ *http.Request) {
		<-let
		_, _ = io.WriteString(w, "late")
	})
	other, _ := node(t, "secret", func(string) (string, bool) { return strings.TrimPrefix(at.URL, "http://"), true }, nil)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { other.Forward(owner.cfg.Tag, w, r) }))
	defer web.Close()
	c, err := net.Dial("tcp", strings.TrimPrefix(web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /socket.io/?sid=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	<-time.After(acceptWithin + time.Second)
	close(let)
	_ = c.SetReadDeadline(time.Now().Add(chattest.Patience))
	if all, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 200 OK") || !strings.HasSuffix(string(all), "late") {
		t.Errorf("got %q, %v", all, err)
	}
}
