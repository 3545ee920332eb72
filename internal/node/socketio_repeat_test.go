package node_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/test/socketio/wiretest"
)

// secondsClient polls as the .NET client does: the mark of each request is the Unix time
// in seconds, and it connects on each open packet.
type secondsClient struct {
	t    *testing.T
	url  string
	got  map[string]int // how often each packet arrived
	wait func() string  // the mark
}

func (c *secondsClient) post(body string) {
	c.t.Helper()
	wiretest.Wants(c.t, "POST", c.url+c.wait(), body, 200, "ok")
}

// poll handles the packets of one poll.
func (c *secondsClient) poll(ctx context.Context) {
	status, body, err := wiretest.Try(ctx, "GET", c.url+c.wait(), "")
	if ctx.Err() != nil {
		return
	}
	if err != nil || status != 200 {
		c.t.Fatalf("a poll got %d %q, %v", status, body, err)
	}
	for packet := range strings.SplitSeq(body, "\x1e") {
		if packet != "2" && packet != "6" {
			c.got[packet]++
		}
		switch packet[0] {
		case '0':
			c.post(`40{"name":"Net"}`)
		case '2':
			c.post("3")
		}
	}
}

// A client whose marks repeat gets each packet once. Before, it reconnected again and
// again, with thousands of polls a second, or lost its session at once.
func TestSocketIOClientsWhoseMarksRepeat(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	for name, mark := range map[string]func() string{
		"seconds":  func() string { return "&t=" + strconv.FormatInt(time.Now().Unix(), 10) },
		"constant": func() string { return "&t=1" },
	} {
		room := "marks-" + name
		status, body := wiretest.Do(t, "GET", ioBase(n.url)+"polling"+mark(), "")
		if status != 200 {
			t.Fatalf("handshake: %d %s", status, body)
		}
		c := &secondsClient{t: t, got: make(map[string]int), wait: mark}
		c.url = ioBase(n.url) + "polling&sid=" + wiretest.ParseHello(t, body).SID
		c.post(`40{"name":"` + name + `"}`)
		c.post(`421["join",{"room":"` + room + `"}]`)
		for i := range 5 {
			c.post(fmt.Sprintf(`42%d["send",{"room":"%s","text":"%d","key":"k%d"}]`, i+2, room, i, i))
		}
		polls := 0
		for start := time.Now(); len(c.got) < 3+2*5 && time.Since(start) < chattest.Patience; polls++ {
			c.poll(t.Context())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		c.poll(ctx) // the client waits for more
		cancel()
		if len(c.got) < 3+2*5 || polls > 100 {
			t.Errorf("%s: %d packets by %d polls", name, len(c.got), polls)
		}
		for packet, times := range c.got {
			if times != 1 {
				t.Errorf("%s: %d times: %s", name, times, packet)
			}
		}
	}
}

// Browsers and proxies repeat a POST. If it can't be recognised as a repeat, it has the
// same effect once or twice.
func TestSocketIOCommandsThatComeTwiceDoNoHarm(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	const secret = "0123456789abcdef0123456789abcdef"
	n := startNode(t, b.URL(), "--jwt-secret="+secret)
	auth := token(t, secret, jwt.MapClaims{"sub": "mod", "name": "Mo", "mod": true, "exp": time.Now().Add(time.Hour).Unix()})
	url := wiretest.Open(t, ioBase(n.url))
	count := 0
	post := func(packet string) string {
		t.Helper()
		wiretest.Wants(t, "POST", url, packet, 200, "ok")
		count++
		wiretest.Wants(t, "POST", url, fmt.Sprintf(`42%d["ping"]`, count), 200, "ok") // all POSTs before it were handled
		got := ""
		for end := fmt.Sprintf("43%d[{}]", count); !strings.Contains(got, end); {
			status, body := wiretest.Do(t, "GET", url, "")
			if status != 200 {
				t.Fatalf("after %s: %d %s", packet, status, body)
			}
			got += body
		}
		return got
	}
	if got := post(`40{"auth":"` + auth + `"}`); !strings.Contains(got, `["welcome"`) {
		t.Fatalf("got %s", got)
	}
	for _, packet := range []string{
		`42["join",{"room":"lobby"}]`,
		`42["send",{"room":"lobby","text":"Hi","key":"k"}]`,
		`42["typing",{"room":"lobby"}]`,
		`42["rename",{"name":"Max"}]`,
		`42["moderate",{"action":"mute","room":"lobby","user":"u","seconds":60}]`,
		`42["moderate",{"action":"unmute","room":"lobby","user":"u"}]`,
		`42["moderate",{"action":"slow","room":"lobby","seconds":5}]`,
		`42["moderate",{"action":"slow","room":"lobby","seconds":0}]`,
		`42["moderate",{"action":"lock","room":"lobby"}]`,
		`42["moderate",{"action":"unlock","room":"lobby"}]`,
		`42["moderate",{"action":"kick","room":"lobby","user":"u"}]`,
		`42["members",{"room":"lobby"}]`,
		`42["history",{"room":"lobby"}]`,
		`43999[]`, // an acknowledgement for which nothing waits
	} {
		for range 2 {
			if got := post(packet); strings.Contains(got, `"code"`) {
				t.Errorf("%s: %s", packet, got)
			}
		}
	}
	if got := post(`42["leave",{"room":"lobby"}]`) + post(`42["leave",{"room":"lobby"}]`); !strings.Contains(got, "not_joined") {
		t.Errorf("leave: %s", got)
	}
	// The same mark and body is a repeat, which is harmless even for CONNECT.
	wiretest.Wants(t, "POST", url+"&t=a", `40{"auth":"x"}`, 200, "ok") // this one ends the session, as a second CONNECT
	chattest.Eventually(t, "the end", func() bool { status, _ := wiretest.Do(t, "POST", url, "3"); return status == 400 })
	url = wiretest.Open(t, ioBase(n.url))
	for range 3 {
		wiretest.Wants(t, "POST", url+"&t=a", `40{"auth":"`+auth+`"}`, 200, "ok")
	}
	post("3")
}
