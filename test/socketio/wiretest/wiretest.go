// Package wiretest sends raw Engine.IO requests and WebSocket messages to a server, also
// those that no client sends.
package wiretest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
)

// Hello is the content of an open packet. Unknown members are an error.
type Hello struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

// ParseHello reads an open packet.
func ParseHello(t testing.TB, packet string) Hello {
	t.Helper()
	var h Hello
	if !strings.HasPrefix(packet, "0") {
		t.Fatalf("want an open packet, got %q", packet)
	}
	if err := json.Unmarshal([]byte(packet[1:]), &h, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("open packet %q: %v", packet, err)
	}
	return h
}

// Try sends a request with headers in pairs, and returns the answer's status and
// body.
func Try(ctx context.Context, method, url, body string, headers ...string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, chattest.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// Do is Try, and fails the test if there is no answer.
func Do(t testing.TB, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	status, text, err := Try(context.Background(), method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return status, text
}

// Wants sends a request and checks the answer.
func Wants(t testing.TB, method, url, body string, status int, text string) {
	t.Helper()
	if gotStatus, got := Do(t, method, url, body); gotStatus != status || got != text {
		t.Fatalf("%s %.40q: want %d %.80q, got %d %.80q", method, body, status, text, gotStatus, got)
	}
}

// Open opens a session by polling, and returns the URL of its requests. base is a URL up to
// "transport=".
func Open(t testing.TB, base string) (url string) {
	t.Helper()
	status, body := Do(t, "GET", base+"polling", "")
	if status != 200 {
		t.Fatalf("handshake: %d %s", status, body)
	}
	return base + "polling&sid=" + ParseHello(t, body).SID
}

// Socket is a WebSocket.
type Socket struct {
	*websocket.Conn
	t testing.TB
}

// WebSocketURL returns the WebSocket's URL for the URL of a polling session.
func WebSocketURL(url string) string {
	return strings.Replace(strings.Replace(url, "http", "ws", 1), "transport=polling", "transport=websocket", 1)
}

// Dial opens a WebSocket to the URL of a polling session.
func Dial(t testing.TB, url string) *Socket {
	t.Helper()
	c, _, err := websocket.DefaultDialer.Dial(WebSocketURL(url), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &Socket{c, t}
}

// Sends sends text messages.
func (c *Socket) Sends(packets ...string) {
	c.t.Helper()
	for _, p := range packets {
		if err := c.WriteMessage(websocket.TextMessage, []byte(p)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// SendsBinary sends binary messages.
func (c *Socket) SendsBinary(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		if err := c.WriteMessage(websocket.BinaryMessage, []byte(m)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// Next returns the next message; a binary one begins with "b:".
func (c *Socket) Next() string {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(chattest.Patience))
	kind, data, err := c.ReadMessage()
	if err != nil {
		c.t.Fatal(err)
	}
	if kind == websocket.BinaryMessage {
		return "b:" + string(data)
	}
	return string(data)
}

// Event returns the next message after any pings, which it answers.
func (c *Socket) Event() string {
	c.t.Helper()
	for {
		m := c.Next()
		if m != "2" {
			return m
		}
		c.Sends("3")
	}
}

// Wants checks the next messages. It answers and skips pings.
func (c *Socket) Wants(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		if got := c.Event(); got != want {
			c.t.Fatalf("want %q, got %q", want, got)
		}
	}
}

// Closes reads up to the close frame, and returns it.
func (c *Socket) Closes() *websocket.CloseError {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(chattest.Patience))
	for {
		_, _, err := c.ReadMessage()
		if closed := new(websocket.CloseError); errors.As(err, &closed) {
			return closed
		}
		if err != nil {
			c.t.Fatalf("want a close frame, got %v", err)
		}
	}
}
