package node_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/node"
)

// slots returns how many handshakes may be in flight on a node.
func slots() int { return 128 * runtime.GOMAXPROCS(0) }

// One address gets its share of the handshake slots, and no more. A refused handshake
// makes no session and no upgrade.
func TestAnAddressIsBounded(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	ask := func(from string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", n.url+"/ws", nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		n.HTTP().Handler.ServeHTTP(w, r)
		return w
	}
	held := 0
	for {
		v, _ := n.Limiter().Acquire(admission.ParseAddr("192.0.2.1:1000"))
		if v == nil {
			break
		}
		v.Activate()
		held++
	}
	w := ask("192.0.2.1:2000")
	after, err := strconv.Atoi(w.Header().Get("Retry-After"))
	if w.Code != 503 || err != nil || after < 1 || after > 3 || !strings.Contains(w.Body.String(), `"unavailable"`) {
		t.Errorf("%d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	// Headers of a proxy that is not trusted do not count.
	r := httptest.NewRequest("GET", n.url+"/ws", nil)
	r.RemoteAddr = "192.0.2.1:2000"
	r.Header.Set("X-Forwarded-For", "192.0.2.99")
	forged := httptest.NewRecorder()
	if n.HTTP().Handler.ServeHTTP(forged, r); forged.Code != 503 {
		t.Errorf("by X-Forwarded-For: %d", forged.Code)
	}
	// A request from another address gets a slot, and fails only because it is no
	// upgrade.
	if w := ask("192.0.2.2:1000"); w.Code != 400 {
		t.Errorf("another: %d %s", w.Code, w.Body)
	}
	if s := n.Limiter().Stats(); s.InFlight != held || s.Refused != 3 || held != slots()/2 {
		t.Errorf("%+v", s)
	}
	shows(t, n, map[string]float64{"chat_handshakes_in_flight": float64(held), "chat_handshakes_refused_total": 3})
}

// Behind a trusted proxy each user counts by its own address, and the proxy's address
// does not count.
func TestBehindATrustedProxyEachUserCountsByTheOwnAddress(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--trust-proxy=192.0.2.0/24")
	ask := func(client string) int {
		r := httptest.NewRequest("GET", n.url+"/ws", nil)
		r.RemoteAddr = "192.0.2.1:1000"
		r.Header.Set("X-Forwarded-For", client)
		w := httptest.NewRecorder()
		n.HTTP().Handler.ServeHTTP(w, r)
		return w.Code
	}
	for range slots() / 2 {
		v, _ := n.Limiter().Acquire(admission.ParseAddr("203.0.113.9:0"))
		v.Activate()
	}
	// A request that gets a slot gets 400, because it is no upgrade.
	if got := ask("203.0.113.9"); got != 503 {
		t.Errorf("from the address with its share: %d", got)
	}
	if got := ask("203.0.113.9, 203.0.113.10"); got != 400 {
		t.Errorf("another behind the same proxy: %d", got)
	}
}

// A slot is released however a connection ends.
func TestThePlaceOfWhoGoesIsFree(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	const left = 2 // slots: all others are taken
	for range slots() - left {
		v, _ := n.Limiter().Acquire(admission.ParseAddr("127.0.0.1:1000"))
		v.Activate()
	}
	free := func() bool { return n.Limiter().Stats().InFlight == slots()-left }
	p := chattest.Dial(t, n.url)
	p.Send("hello", "name", "<b>")
	p.Error("bad_name")
	if free() {
		t.Error("a connection before its welcome holds no slot")
	}
	p.Hello()
	chattest.Eventually(t, "the slot of a welcomed connection to be released", free)
	gone := chattest.Dial(t, n.url)
	_ = gone.Conn.Close()
	chattest.Eventually(t, "the slot of a closed connection to be released", free)
	silent := chattest.Dial(t, n.url)
	silent.Closes(4001)
	chattest.Eventually(t, "the slot of a silent connection to be released", free)
	res, err := http.Get(n.url + "/ws") // a request that is no upgrade
	if err != nil || res.StatusCode != 400 {
		t.Fatalf("%v %v", res, err)
	}
	_ = res.Body.Close()
	chattest.Eventually(t, "the slot of a request that is no upgrade to be released", free)
	// Two silent handshakes are evicted for a new one.
	first := chattest.Dial(t, n.url)
	chattest.Dial(t, n.url)
	var third *chattest.Client
	chattest.Eventually(t, "a slot", func() bool {
		third, err = chattest.TryDial(t, n.url, nil)
		return err == nil
	})
	third.Hello()
	first.Closes(1013)
}

// Slow handshakes are closed after a timeout, and large headers at a limit.
func TestHandshakesThatTrickleInAreCutOff(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	began := time.Now()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			ended := make(chan struct{})
			go func() { // ends with the connection
				defer close(ended)
				_, _ = io.Copy(io.Discard, c)
			}()
			tick := time.NewTicker(100 * time.Millisecond) // ten times as often as clients may
			defer tick.Stop()
			for request := "GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("x", 1000); request != ""; request = request[1:] {
				select {
				case <-ended:
					if took := time.Since(began); took < node.HeaderTimeout-time.Second {
						t.Errorf("the connection was closed after %s", took)
					}
					return
				case <-tick.C:
					_, _ = c.Write([]byte(request[:1])) // the reader sees the end
				}
			}
			t.Error("the connection was not closed")
		})
	}
	chattest.Eventually(t, "all connections", func() bool { return n.Plain().Count() >= 50 })
	chattest.Enter(t, n.url, "", "lobby").Say("lobby", "Nobody is in the way.", "1")
	c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(chattest.Patience))
	go func() { // ends with the connection, which the node closes
		_, _ = fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 1<<20))
	}()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 1 MiB: %v %v", res, err)
	}
	all.Wait()
	chattest.Eventually(t, "the connections to end", func() bool { return n.Plain().Count() < 50 })
}
