package program_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/client"
)

// knock opens a WebSocket and sends nothing. It returns how that ends: the status that
// refused it, or the code that closed it, and when.
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

// Thousands of clients open connections and never send a hello. The number of open ones
// is bounded, and none is open for longer than five seconds; a newcomer is welcomed
// meanwhile, and the latency of other users does not grow. The test measures time, so it
// runs while no other test does.
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
	tickets := make(chan struct{}, 1000) // calls of knock under way
	all.Go(func() {
		c, err := client.Open(t.Context(), client.Options{URL: url})
		if err != nil {
			t.Errorf("a newcomer: %v", err)
			return
		}
		t.Logf("a newcomer was welcomed after %s", round(time.Since(began)))
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
		t.Errorf("other ends than allowed: %v", failed)
	}
	if ends[503]+ends[1013]+ends[4001] != n || ends[4001] == 0 {
		t.Errorf("they ended as %v", ends)
	}
	if ends[4001] > handshakeSlots()*(1+int(last/(5*time.Second))) { // each slot in turn
		t.Errorf("%d connections were open until their hello was overdue", ends[4001])
	}
	if felt.Median > feltAtMost {
		t.Errorf("other users had a higher latency: %s", felt)
	}
	chattest.Eventually(t, "the node to have closed them", func() bool {
		return chattest.UsageOf(t, node.PID()).Files < 200
	})
}

// handshakeSlots is the number of handshakes that may be in flight, as the program is
// built.
func handshakeSlots() int { return 128 * runtime.GOMAXPROCS(0) }

// A node that runs out of file descriptors keeps serving its users, does not spin, and
// accepts others once descriptors are free. The test measures processor time, so it runs
// while no other test does.
func TestANodeOutOfDescriptorsGoesOn(t *testing.T) {
	b := redistest.Embedded(t)
	// --max-conns is above the file limit, so the node must reach that limit.
	p := chattest.Start(t, chattest.Command{
		Path: "/bin/sh", Args: []string{"-c", `ulimit -n 400 && exec "$0" "$@"`, chattest.Build(t), "--addr=127.0.0.1:0", "--rate=0", "--max-conns=100000"},
		Env: []string{"CHAT_REDIS=" + b.URL()},
	})
	url := p.URL(1)
	ann := chattest.Enter(t, url, "Ann", "lobby")
	ann.Say("lobby", "before", "1")
	var mu sync.Mutex // guards in
	var in []*chattest.Slim
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 500 {
		all.Go(func() { // ends with stop, or once it is welcomed
			for ctx.Err() == nil {
				if c, err := chattest.DialSlim(url, "crowd"); err == nil {
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
	chattest.Eventually(t, "many users to be welcomed", func() bool { return count() >= 200 })
	files := func() int { return usage(t, []int{p.PID()}).files }
	chattest.Eventually(t, "the descriptors to be used up", func() bool { return files() >= 395 })
	began, worked := time.Now(), chattest.UsageOf(t, p.PID()).CPU
	pace := time.NewTicker(20 * time.Millisecond) // the connection of a user who sends
	defer pace.Stop()
	for i := 0; time.Since(began) < 2*time.Second; i++ {
		ann.Say("lobby", strconv.Itoa(i), "k"+strconv.Itoa(i))
		<-pace.C
	}
	if worked = chattest.UsageOf(t, p.PID()).CPU - worked; worked > time.Second {
		t.Errorf("the node used %s of two seconds", worked)
	}
	t.Logf("%d were welcomed, the node used %d descriptors and %s of two seconds", count(), files(), worked)
	mu.Lock()
	for _, c := range in {
		_ = c.Close()
	}
	in = nil
	mu.Unlock()
	chattest.Eventually(t, "others to be welcomed", func() bool { return count() > 50 })
	stop()
	all.Wait()
	for _, c := range in {
		_ = c.Close()
	}
	chattest.Enter(t, url, "Bob", "lobby").Say("lobby", "after", "1")
	ann.Message("after")
}
