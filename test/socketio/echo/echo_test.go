package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/test/socketio/clienttest"
	"example.com/chat/test/socketio/wiretest"
)

// start runs the program until the end of the test, and returns its URL.
func start(t *testing.T, args ...string) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { // ends with stop; the cleanup waits for it
		done <- run(ctx, append([]string{"--addr", "127.0.0.1:0"}, args...), in)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var url string
	if _, err := fmt.Fscanf(out, "listening on %s\n", &url); err != nil {
		t.Fatal(err)
	}
	return url
}

// patient are the flags of tests that are not about timeouts: a busy machine must not look
// like a silent client.
var patient = []string{"--ping-timeout", "20s", "--connect-timeout", "20s"}

// each runs a test on the paths of both protocols.
func each(t *testing.T, test func(t *testing.T, base string), args ...string) {
	t.Helper()
	t.Parallel()
	for _, path := range []string{"engine.io", "socket.io"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, args...)+"/"+path+"/?EIO=4&transport=")
		})
	}
}

func TestHandshake(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		check := func(packet string, upgrades int) {
			t.Helper()
			h := wiretest.ParseHello(t, packet)
			if h.SID == "" || len(h.Upgrades) != upgrades || h.PingInterval != 300 || h.PingTimeout != 200 || h.MaxPayload != 1_000_000 {
				t.Errorf("got %+v", h)
			}
		}
		_, body := wiretest.Do(t, "GET", base+"polling", "")
		check(body, 1)
		check(wiretest.Dial(t, base+"polling").Next(), 0)
		plain := strings.Replace(base, "EIO=4&transport=", "", 1)
		for _, query := range []string{"transport=polling", "EIO=abc&transport=polling", "EIO=4", "EIO=4&transport=abc"} {
			if status, _ := wiretest.Do(t, "GET", plain+query, ""); status != 400 {
				t.Errorf("%s: got %d", query, status)
			}
			socket := strings.Replace(query, "polling", "websocket", 1)
			if _, _, err := websocket.DefaultDialer.Dial(wiretest.WebSocketURL(plain+socket), nil); err == nil {
				t.Errorf("%s: a WebSocket was opened", socket)
			}
		}
		for _, method := range []string{"POST", "PUT"} {
			if status, _ := wiretest.Do(t, method, base+"polling", ""); status != 400 {
				t.Errorf("%s: got %d", method, status)
			}
		}
	})
}

func TestHeartbeat(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		url := wiretest.Open(t, base)
		for range 3 {
			wiretest.Wants(t, "GET", url, "", 200, "2")
			wiretest.Wants(t, "POST", url, "3", 200, "ok")
		}
		c := wiretest.Dial(t, base+"polling")
		c.Next()
		for range 3 {
			if got := c.Next(); got != "2" {
				t.Fatalf("want a ping, got %q", got)
			}
			c.Sends("3")
		}
	}, patient...)
}

// TestPingTimeout checks that a request right after the timeout finds no session. On a busy
// machine the timeout may be late, but not each time.
func TestPingTimeout(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		c := wiretest.Dial(t, base+"polling")
		c.Next()
		c.Closes()
		const tries = 5
		for range tries {
			_, body := wiretest.Do(t, "GET", base+"polling", "")
			if body == "1" { // it ended before it was answered
				continue
			}
			url := base + "polling&sid=" + wiretest.ParseHello(t, body).SID
			<-time.After(500 * time.Millisecond)
			if status, _ := wiretest.Do(t, "GET", url, ""); status == 400 {
				return
			}
		}
		t.Errorf("%d sessions outlived the timeout", tries)
	})
}

func TestTheClientCloses(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		// The poll must arrive before the close, which takes longer on a busy machine.
		var url, answer string
		for wait := 20 * time.Millisecond; answer != "6<nil>"; wait *= 2 {
			if wait > 2*time.Second {
				t.Fatalf("the waiting poll got %q", answer)
			}
			url = wiretest.Open(t, base)
			posted := make(chan struct{})
			time.AfterFunc(wait, func() {
				defer close(posted)
				_, _, _ = wiretest.Try(context.Background(), "POST", url, "1")
			})
			_, body, err := wiretest.Try(context.Background(), "GET", url, "")
			answer = fmt.Sprint(body, err)
			<-posted
		}
		if status, _ := wiretest.Do(t, "GET", url, ""); status != 400 {
			t.Errorf("after the close: got %d", status)
		}
		c := wiretest.Dial(t, base+"polling")
		c.Next()
		c.Sends("1")
		c.Closes()
	}, patient...)
}

func TestUpgrade(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		url := wiretest.Open(t, base)
		c := wiretest.Dial(t, url)
		c.Sends("2probe")
		c.Wants("3probe")
		got := "2"
		for got == "2" { // a ping may precede it
			_, got = wiretest.Do(t, "GET", url, "")
		}
		if got != "6" {
			t.Errorf("a poll after the probe got %q", got)
		}
		c.Sends("5")
		if status, _ := wiretest.Do(t, "GET", url, ""); status != 400 {
			t.Errorf("a poll after the upgrade: got %d", status)
		}
		wiretest.Dial(t, url).Closes()
		if strings.Contains(base, "engine.io") {
			c.Sends("4hello")
			c.Wants("4hello")
		}
		// Probe and upgrade at once, and a poll right after them.
		url = wiretest.Open(t, base)
		c = wiretest.Dial(t, url)
		c.Sends("2probe", "5")
		if status, _ := wiretest.Do(t, "GET", url, ""); status != 400 {
			t.Errorf("a poll after the upgrade: got %d", status)
		}
	}, patient...)
}

func TestMessages(t *testing.T) {
	t.Parallel()
	base := start(t, patient...) + "/engine.io/?EIO=4&transport="
	url := wiretest.Open(t, base)
	for _, payload := range []string{"4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="} {
		wiretest.Wants(t, "POST", url, payload, 200, "ok")
		got := "2"
		for got == "2" { // a ping may be between
			_, body := wiretest.Do(t, "GET", url, "")
			got = strings.TrimSuffix(strings.TrimPrefix(body, "2\x1e"), "\x1e2")
		}
		if got != payload {
			t.Fatalf("want %q, got %q", payload, got)
		}
	}
	if status, _ := wiretest.Do(t, "POST", url, "abc"); status != 400 {
		t.Errorf("an invalid packet: got %d", status)
	}
	if status, _ := wiretest.Do(t, "GET", url, ""); status != 400 {
		t.Errorf("after an invalid packet: got %d", status)
	}
	c := wiretest.Dial(t, base+"polling")
	c.Next()
	c.Sends("4hello")
	c.SendsBinary("\x01\x02\x03\x04")
	c.Wants("4hello", "b:\x01\x02\x03\x04")
	c.Sends("abc")
	c.Closes()
}

func TestCORSIsForAll(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		r, _ := http.NewRequest("GET", base+"polling", nil)
		r.Header.Set("Origin", "https://page.example")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got := answer.Header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("got %q", got)
		}
	})
}

// namespace connects to a namespace, and checks the packets that follow.
func namespace(t *testing.T, c *wiretest.Socket, name, packet, auth string) {
	t.Helper()
	c.Sends("40" + packet)
	if got := c.Event(); !strings.HasPrefix(got, "40"+name+`{"sid":"`) {
		t.Fatalf("got %q", got)
	}
	c.Wants("42" + name + `["auth",` + auth + `]`)
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	base := start(t, patient...) + "/socket.io/?EIO=4&transport="
	open := func() *wiretest.Socket {
		c := wiretest.Dial(t, base+"polling")
		c.Next()
		return c
	}
	namespace(t, open(), "", "", "{}")
	namespace(t, open(), "", `{"token":"123"}`, `{"token":"123"}`)
	namespace(t, open(), "/custom,", "/custom,", "{}")
	namespace(t, open(), "/custom,", `/custom,{"token":"abc"}`, `{"token":"abc"}`)
	c := open()
	c.Sends("40/random")
	c.Wants(`44/random,{"message":"Invalid namespace"}`)
	c = open()
	c.Sends("4abc")
	c.Closes()
	c = open()
	namespace(t, c, "", "", "{}")
	c.Sends("41")
	if got := c.Next(); got != "2" { // the connection stays open
		t.Errorf("got %q", got)
	}
	c = open()
	namespace(t, c, "", "", "{}")
	namespace(t, c, "/custom,", "/custom", "{}")
	c.Sends("41/custom", `42["message","message to main namespace"]`)
	c.Wants(`42["message-back","message to main namespace"]`)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	base := start(t, patient...) + "/socket.io/?EIO=4&transport="
	open := func() *wiretest.Socket {
		c := wiretest.Dial(t, base+"polling")
		c.Next()
		namespace(t, c, "", "", "{}")
		return c
	}
	c := open()
	c.Sends(`42["message",1,"2",{"3":[true]}]`)
	c.Wants(`42["message-back",1,"2",{"3":[true]}]`)
	c.Sends(`42456["message-with-ack",1,"2",{"3":[false]}]`)
	c.Wants(`43456[1,"2",{"3":[false]}]`)
	const two = `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`
	c.Sends(`452-["message",` + two)
	c.SendsBinary("\x01\x02\x03", "\x04\x05\x06")
	c.Wants(`452-["message-back",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")
	c.Sends(`452-789["message-with-ack",` + two)
	c.SendsBinary("\x01\x02\x03", "\x04\x05\x06")
	c.Wants(`462-789[`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")
	for _, bad := range []string{"4abc", "42{}", `42abc["message-with-ack",1,"2",{"3":[false]}]`} {
		c := open()
		c.Sends(bad)
		c.Closes()
	}
}

func TestNoConnectWithinASecond(t *testing.T) {
	t.Parallel()
	base := start(t, "--ping-timeout", "20s") + "/socket.io/?EIO=4&transport="
	c := wiretest.Dial(t, base+"polling")
	c.Next()
	began := time.Now()
	for {
		_ = c.SetReadDeadline(time.Now().Add(chattest.Patience))
		_, data, err := c.ReadMessage()
		if err != nil {
			break
		}
		if string(data) == "2" {
			c.Sends("3")
		}
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("closed after %s", took)
	}
}

func TestTheOfficialClient(t *testing.T) {
	t.Parallel()
	clienttest.Run(t, "echo.mjs", start(t, patient...))
}
