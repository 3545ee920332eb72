package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
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
	"example.com/chat/internal/client"
)

// knock opens a WebSocket and says nothing. It returns how that ends: the status
// that refused it, or the code that closed it, and when.
func knock(url string, began time.Time) (end int, at time.Duration, err error) {
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(chattest.Patience))
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(make([]byte, 16)))
	in := bufio.NewReaderSize(c, 512)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, 0, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		if after, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || after < 1 || !res.Close {
			return 0, 0, fmt.Errorf("%s, Retry-After %q, close %t", res.Status, res.Header.Get("Retry-After"), res.Close)
		}
		return res.StatusCode, time.Since(began), nil
	}
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, 0, err
	}
	if head[0] != 0x88 {
		return 0, 0, fmt.Errorf("a frame %x in place of a close", head)
	}
	return int(binary.BigEndian.Uint16(head[2:])), time.Since(began), nil
}

// Thousands open connections and never say hello: only so many are kept, none of
// them for longer than five seconds, a newcomer gets in between them, and those
// who talk notice nothing. It measures time, so it runs while no other test does.
func TestThousandsThatNeverSayHello(t *testing.T) {
	if chattest.Race {
		t.Skip("the race detector multiplies time: measured without it")
	}
	n := chattest.Count(2000, 10_000)
	b := redistest.Embedded(t)
	node := startNodes(t, 1, b.URL(), "--rate=0")[0]
	url := node.URL(1)
	p := startPulse(t, url)
	p.lap(0)
	quiet := p.lap(200)
	began := time.Now()
	var mu sync.Mutex // guards the maps and last
	ends, failed := make(map[int]int), make(map[string]int)
	var last time.Duration
	var all sync.WaitGroup
	tickets := make(chan struct{}, 1000) // of knocks under way
	all.Go(func() {
		c, err := client.Open(t.Context(), client.Options{URL: url})
		if err != nil {
			t.Errorf("a newcomer: %v", err)
			return
		}
		t.Logf("a newcomer was in after %s", round(time.Since(began)))
		c.Close()
	})
	for range n {
		tickets <- struct{}{}
		all.Go(func() {
			defer func() { <-tickets }()
			end, at, err := knock(url, began)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[err.Error()]++
			}
			ends[end]++
			last = max(last, at)
		})
	}
	all.Wait()
	felt := p.lap(0)
	t.Logf("of %d, by their end: %v, the last after %s; others, before: %s; meanwhile: %s", n, ends, round(last), quiet, felt)
	if len(failed) > 0 {
		t.Errorf("not as they should end: %v", failed)
	}
	if ends[503]+ends[1013]+ends[4001] != n || ends[4001] == 0 {
		t.Errorf("they ended as %v", ends)
	}
	if ends[4001] > doorPlaces()*(1+int(last/(5*time.Second))) { // each place in turn
		t.Errorf("%d were kept to their end", ends[4001])
	}
	if felt.Median > feltAtMost {
		t.Errorf("others felt it: %s", felt)
	}
	chattest.Eventually(t, "the node to be rid of them", func() bool {
		return chattest.UsageOf(t, node.PID()).Files < 200
	})
}

// doorPlaces is how many may be on their way in at once, as the node was built.
func doorPlaces() int { return 128 * runtime.GOMAXPROCS(0) }

// An address takes its part of the places, and no more; who knocks in vain costs
// no session and no upgrade.
func TestAnAddressIsBounded(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	ask := func(from string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", n.url+"/ws", nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		n.serveWS(w, r)
		return w
	}
	held := 0
	for {
		v, _ := n.limiter.Acquire(admission.ParseAddr("192.0.2.1:1000"))
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
	// What a proxy that is not trusted is told does not count.
	r := httptest.NewRequest("GET", n.url+"/ws", nil)
	r.RemoteAddr = "192.0.2.1:2000"
	r.Header.Set("X-Forwarded-For", "192.0.2.99")
	forged := httptest.NewRecorder()
	if n.serveWS(forged, r); forged.Code != 503 {
		t.Errorf("by X-Forwarded-For: %d", forged.Code)
	}
	// Another address gets as far as the upgrade, which this is not.
	if w := ask("192.0.2.2:1000"); w.Code != 400 {
		t.Errorf("another: %d %s", w.Code, w.Body)
	}
	if s := n.limiter.Stats(); s.InFlight != held || s.Refused != 3 || held != doorPlaces()/2 {
		t.Errorf("%+v", s)
	}
	shows(t, n, map[string]float64{"chat_handshakes_in_flight": float64(held), "chat_handshakes_refused_total": 3})
}

// Behind a trusted proxy each user counts by the own address, and the proxy by none.
func TestBehindATrustedProxyEachUserCountsByTheOwnAddress(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--trust-proxy=192.0.2.0/24")
	ask := func(client string) int {
		r := httptest.NewRequest("GET", n.url+"/ws", nil)
		r.RemoteAddr = "192.0.2.1:1000"
		r.Header.Set("X-Forwarded-For", client)
		w := httptest.NewRecorder()
		n.http.Handler.ServeHTTP(w, r)
		return w.Code
	}
	for range doorPlaces() / 2 {
		v, _ := n.limiter.Acquire(admission.ParseAddr("203.0.113.9:0"))
		v.Activate()
	}
	// Who gets as far as the upgrade, which this is not, gets 400.
	if got := ask("203.0.113.9"); got != 503 {
		t.Errorf("who has its share: %d", got)
	}
	if got := ask("203.0.113.9, 203.0.113.10"); got != 400 {
		t.Errorf("another behind the same proxy: %d", got)
	}
}

// A place is free again however a visit ends.
func TestThePlaceOfWhoGoesIsFree(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	const left = 2 // places: all others are taken
	for range doorPlaces() - left {
		v, _ := n.limiter.Acquire(admission.ParseAddr("127.0.0.1:1000"))
		v.Activate()
	}
	free := func() bool { return n.limiter.Stats().InFlight == doorPlaces()-left }
	p := chattest.Dial(t, n.url)
	p.Send("hello", "name", "<b>")
	p.Error("bad_name")
	if free() {
		t.Error("one whom nobody welcomed has no place")
	}
	p.Hello()
	chattest.Eventually(t, "the place of one who is welcome", free)
	gone := chattest.Dial(t, n.url)
	_ = gone.Conn.Close()
	chattest.Eventually(t, "the place of one who went", free)
	silent := chattest.Dial(t, n.url)
	silent.Closes(4001)
	chattest.Eventually(t, "the place of one who was silent", free)
	res, err := http.Get(n.url + "/ws") // no upgrade
	if err != nil || res.StatusCode != 400 {
		t.Fatalf("%v %v", res, err)
	}
	_ = res.Body.Close()
	chattest.Eventually(t, "the place of one who asked for nothing", free)
	// Two who say nothing give way to one who comes.
	first := chattest.Dial(t, n.url)
	chattest.Dial(t, n.url)
	var third *chattest.Client
	chattest.Eventually(t, "a place", func() bool {
		third, err = chattest.TryDial(t, n.url, nil)
		return err == nil
	})
	third.Hello()
	first.Closes(1013)
}

// Handshakes that trickle in are cut off by time, and headers by their size.
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
			tick := time.NewTicker(100 * time.Millisecond) // ten times what is asked for
			defer tick.Stop()
			for request := "GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("x", 1000); request != ""; request = request[1:] {
				select {
				case <-ended:
					if took := time.Since(began); took < headerWithin-time.Second {
						t.Errorf("it was cut off after %s", took)
					}
					return
				case <-tick.C:
					_, _ = c.Write([]byte(request[:1])) // the reader sees the end
				}
			}
			t.Error("it was never cut off")
		})
	}
	chattest.Eventually(t, "all to knock", func() bool { return n.web.Count() >= 50 })
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
	chattest.Eventually(t, "the connections to end", func() bool { return n.web.Count() < 50 })
}

// A node that runs out of descriptors goes on with the users whom it has, does
// not spin, and takes others when some are free again. It measures processor
// time, so it runs while no other test does.
func TestANodeOutOfDescriptorsGoesOn(t *testing.T) {
	b := redistest.Embedded(t)
	// It is told of more connections than it can have, so that it has to meet
	// the limit.
	p := startProgram(t, []string{"CHAT_REDIS=" + b.URL(), withFiles + "=400"}, "--addr=127.0.0.1:0", "--rate=0", "--max-conns=100000")
	url := p.URL(1)
	ann := chattest.Enter(t, url, "Ann", "lobby")
	ann.Say("lobby", "before", "1")
	var mu sync.Mutex // guards in
	var in []*slim
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 500 {
		all.Go(func() { // ends with stop, or once it is in
			for ctx.Err() == nil {
				if c, err := dialSlim(url, "crowd"); err == nil {
					mu.Lock()
					in = append(in, c)
					mu.Unlock()
					return
				}
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(in)
	}
	chattest.Eventually(t, "many to be in", func() bool { return count() >= 200 })
	files := func() int { return usage(t, []int{p.PID()}).files }
	chattest.Eventually(t, "the descriptors to be used up", func() bool { return files() >= 395 })
	began, worked := time.Now(), chattest.UsageOf(t, p.PID()).CPU
	pace := time.NewTicker(20 * time.Millisecond) // of one who talks
	defer pace.Stop()
	for i := 0; time.Since(began) < 2*time.Second; i++ {
		ann.Say("lobby", strconv.Itoa(i), "k"+strconv.Itoa(i))
		<-pace.C
	}
	if worked = chattest.UsageOf(t, p.PID()).CPU - worked; worked > time.Second {
		t.Errorf("it worked %s of two seconds", worked)
	}
	t.Logf("%d were in, the node used %d descriptors and %s of two seconds", count(), files(), worked)
	mu.Lock()
	for _, c := range in {
		_ = c.Close()
	}
	in = nil
	mu.Unlock()
	chattest.Eventually(t, "others to get in", func() bool { return count() > 50 })
	stop()
	all.Wait()
	for _, c := range in {
		_ = c.Close()
	}
	chattest.Enter(t, url, "Bob", "lobby").Say("lobby", "after", "1")
	ann.Message("after")
}
