package node_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/test/socketio/wiretest"
)

// ioOpen opens a polling session, connected or not, and returns its URL.
func ioOpen(t *testing.T, n *testNode, connected bool) string {
	t.Helper()
	url := wiretest.Open(t, ioBase(n.url))
	if connected {
		wiretest.Wants(t, "POST", url, "40", 200, "ok")
		if _, body := wiretest.Do(t, "GET", url, ""); !strings.HasPrefix(body, `40{"sid":"`) || !strings.Contains(body, `42["welcome",`) {
			t.Fatalf("connected: %q", body)
		}
	}
	return url
}

// Requests that are refused before a session exists.
func TestSocketIOBadRequests(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	plain := n.url + "/socket.io/?"
	for _, c := range []struct{ method, query, answer string }{
		{"GET", "EIO=3&transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "transport=polling", `{"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "EIO=4&transport=smoke", `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4", `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=websocket", `{"code":3,"message":"Bad request"}`},
		{"POST", "EIO=4&transport=polling", `{"code":2,"message":"Bad handshake method"}`},
		{"GET", "EIO=4&transport=polling&sid=" + strings.Repeat("x", 5000), unknownSession},
		{"POST", "EIO=4&transport=polling&sid=x", unknownSession},
	} {
		wiretest.Wants(t, c.method, plain+c.query, "", 400, c.answer)
	}
	if _, res, err := websocket.DefaultDialer.Dial(wiretest.WebSocketURL(plain+"EIO=3&transport=websocket"), nil); err == nil || res.StatusCode != 400 {
		t.Errorf("a WebSocket of revision 3: %v", err)
	}
	if s := n.SocketIO().Engine; s.Opened != 0 {
		t.Errorf("%+v", s)
	}
}

// A violation of the protocol ends its session, and no other.
func TestSocketIOBrokenSessions(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	const bad = `{"code":3,"message":"Bad request"}`
	limit := int(n.Limits().FrameLimit())
	good := ioEnter(t, n.url, "Ann", "lobby")
	for what, c := range map[string]struct {
		body   string
		status int
	}{
		"garbage":               {"garbage", 400},
		"nothing":               {"", 400},
		"not UTF-8":             {"4\xff", 400},
		"bad base64":            {"b!", 400},
		"a ping":                {"2", 400},
		"100,000 packets":       {strings.Repeat("6\x1e", 2000) + "6", 400},
		"over the limit":        {"4" + strings.Repeat("x", limit), 413},
		"a packet of no type":   {"49", 200},
		"JSON that is none":     {"42[", 200},
		"an event without name": {"42[]", 200},
		"a reserved name":       {`42["disconnect"]`, 200},
		"__proto__":             {`42["__proto__",{}]`, 200},
		"another namespace":     {`42/admin,["ping"]`, 200},
		"a second connect":      {"40", 200},
		"a long ack id":         {"42" + strings.Repeat("1", 1000) + `["ping"]`, 200},
		"no attachments":        {`450-["send",{}]`, 200},
		"10,000 attachments":    {`4510000-["send",{}]`, 200},
		"a wrong placeholder":   {`451-["send",{"_placeholder":true,"num":1}]`, 200},
		"text in their place":   {`451-["send",{"_placeholder":true,"num":0}]` + "\x1e" + `42["ping"]`, 200},
		"binary that is undue":  {"bAAAA", 200},
	} {
		url := ioOpen(t, n, true)
		status, body := wiretest.Do(t, "POST", url, c.body)
		if status != c.status || status == 400 && body != bad {
			t.Errorf("%s: %d %s", what, status, body)
		}
		chattest.Eventually(t, "the end after "+what, func() bool {
			status, _ := wiretest.Do(t, "POST", url, "3")
			return status == 400
		})
	}
	// Two polls at once.
	url := ioOpen(t, n, true)
	first := make(chan int, 1)
	go func() { // ends with the poll, which the test waits for
		status, _, _ := wiretest.Try(t.Context(), "GET", url, "")
		first <- status
	}()
	chattest.Eventually(t, "one of two polls to be refused", func() bool {
		status, _ := wiretest.Do(t, "GET", url, "")
		return status == 400
	})
	<-first
	good.Sends(`42["ping"]`)
	good.next("pong")
	chattest.Eventually(t, "all sessions but one to end", func() bool { return n.Connections() == 1 })
}

// A session waits for missing attachments until a deadline, in bounded memory. The same
// holds for an upgrade that never ends.
func TestSocketIOWhatNeverComesEnds(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	p := ioEnter(t, n.url, "Ann", "lobby")
	p.Sends(`451-["send",{"_placeholder":true,"num":0}]`)
	url := ioOpen(t, n, true)
	c := wiretest.Dial(t, url)
	c.Sends("2probe")
	c.Wants("3probe")
	p.Closes()
	c.Closes()
	wiretest.Wants(t, "POST", url, `421["ping"]`, 200, "ok") // it continues to poll
}

// A thousand clients that open a session and never connect cost handshake slots, not
// memory, and all slots are released.
func TestThousandSessionsThatNeverConnect(t *testing.T) {
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	before := heldMemory()
	opened, refused := 0, 0
	for i := range 1000 {
		if i%4 == 0 { // clients that send nothing after the handshake
			c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
			continue
		}
		switch status, body := wiretest.Do(t, "GET", ioBase(n.url)+"polling", ""); status {
		case 200:
			opened++
		case 503:
			refused++
		default:
			t.Fatalf("%d %s", status, body)
		}
	}
	cost, handshakes := heldMemory()-before, n.Limiter().Stats()
	t.Logf("%d sessions opened by polling, %d refused with Retry-After, %d handshakes in flight, %d KiB", opened, refused, handshakes.InFlight, cost>>10)
	if most := 128 * runtime.GOMAXPROCS(0); handshakes.InFlight > most {
		t.Errorf("%d handshakes are in flight", handshakes.InFlight)
	}
	if !chattest.Race && cost > 16<<20 {
		t.Errorf("they cost %d bytes, with the test's side", cost)
	}
	// A client that sends hello is welcomed nevertheless.
	chattest.Eventually(t, "a slot for a client that sends hello", func() bool {
		status, body := wiretest.Do(t, "GET", ioBase(n.url)+"polling", "")
		if status != 200 {
			return false
		}
		status, _ = wiretest.Do(t, "POST", ioBase(n.url)+"polling&sid="+wiretest.ParseHello(t, body).SID, "40")
		return status == 200
	})
	began := time.Now()
	chattest.Eventually(t, "all sessions to end", func() bool { return n.Connections() <= 1 && n.Limiter().Stats().InFlight == 0 })
	t.Logf("they ended %s later", time.Since(began).Round(time.Millisecond))
}

// A relayed WebSocket costs the node in between little.
func TestAWebSocketThatIsPassedOnIsSlim(t *testing.T) {
	if chattest.Race {
		t.Skip("the race detector's own memory would be measured")
	}
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	knowEachOther(t, one, two)
	const count = 100
	var urls []string
	for range count {
		urls = append(urls, ioOpen(t, one, true))
	}
	before, goroutines := heldMemory(), runtime.NumGoroutine()
	for _, u := range urls {
		_, query, _ := strings.Cut(wiretest.WebSocketURL(u), "?")
		c := chattest.HearAt(t, two.url, "/socket.io/?"+query, new(atomic.Int64), [2]string{"2probe", "3probe"})
		c.Say("5")
	}
	chattest.Eventually(t, "the upgrades", func() bool { return one.SocketIO().Engine.WebSockets == count })
	// The owner's reader, this test's, and one for each direction.
	chattest.Eventually(t, "few goroutines", func() bool { return runtime.NumGoroutine() <= goroutines+4*count+count/2 })
	each := (heldMemory() - before) / count
	t.Logf("a relayed WebSocket costs %d bytes, with the sides of both nodes and of the test", each)
	if each > 32<<10 {
		t.Errorf("a relayed WebSocket costs %d bytes", each)
	}
	ends := two.Relay().Breaks()
	if len(ends) != count {
		t.Errorf("%d WebSockets are relayed", len(ends))
	}
	for _, end := range ends {
		end()
	}
	chattest.Eventually(t, "all of them to end", func() bool { return two.Relay().Stats().Open == 0 && one.Connections() == 0 })
}

// heldMemory returns the bytes in use after a garbage collection.
func heldMemory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
