package chattest

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Client is a WebSocket client of one test. Unlike internal/client it sends exactly what
// the test passes, valid or not, hides nothing that it receives, and never reconnects. It
// is used by one goroutine at a time.
type Client struct {
	// Conn is the connection itself; only the Client reads from it.
	Conn *websocket.Conn
	// Frames delivers what the node sends. It is closed with the connection.
	Frames chan Frame
	// Me and Token are those of the newest welcome that Hello returned.
	Me    User
	Token string
	// Closed is the node's close frame, nil if there was none. It is set before
	// Frames is closed.
	Closed *websocket.CloseError

	t      testing.TB
	passed []Frame // frames that Next skipped, oldest first
}

// Dial opens a connection to the node at an http URL and sends nothing.
func Dial(t testing.TB, url string) *Client {
	t.Helper()
	c, err := TryDial(t, url, nil)
	if err != nil {
		t.Fatalf("dial %s: %v", url, err)
	}
	return c
}

// TryDial is Dial with a header, and returns the error of a refused handshake.
func TryDial(t testing.TB, url string, header http.Header) (*Client, error) {
	const maxWaiting = 100_000 // frames
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/ws", header)
	if err != nil {
		return nil, err
	}
	c := &Client{t: t, Conn: ws, Frames: make(chan Frame, maxWaiting)}
	go c.read() // ends with the connection, which the cleanup closes
	t.Cleanup(func() { _ = ws.Close() })
	return c, nil
}

// Enter dials, sends a hello, under a name if it is not empty, and joins a room.
func Enter(t testing.TB, url, name, room string) *Client {
	t.Helper()
	c := Dial(t, url)
	if name == "" {
		c.Hello()
	} else {
		c.Hello("name", name)
	}
	c.Join(room)
	return c
}

func (c *Client) read() {
	defer close(c.Frames)
	for {
		_, data, err := c.Conn.ReadMessage()
		if err != nil {
			_ = errors.As(err, &c.Closed)
			return
		}
		f := Frame{Raw: string(data)}
		if err := json.Unmarshal(data, &f); err != nil {
			f.Type = "not JSON: " + string(data)
		}
		c.Frames <- f
	}
}

// Send sends a command with fields, alternating names and values.
func (c *Client) Send(command string, fields ...any) {
	c.t.Helper()
	object := map[string]any{"type": command}
	for i := 0; i+1 < len(fields); i += 2 {
		object[fields[i].(string)] = fields[i+1]
	}
	data, err := json.Marshal(object)
	if err != nil {
		c.t.Fatal(err)
	}
	c.Write(websocket.TextMessage, string(data))
}

// Write sends a WebSocket message of a kind. It only logs an error: a test that
// depends on the message misses its answer.
func (c *Client) Write(kind int, data string) {
	c.t.Helper()
	if err := c.Conn.WriteMessage(kind, []byte(data)); err != nil {
		c.t.Logf("write: %v", err)
	}
}

// Next returns the next frame of one of the types, and keeps others for later calls
// that ask for theirs. It fails the test at an "error" that is not asked for, and
// after Patience.
func (c *Client) Next(types ...string) Frame {
	c.t.Helper()
	for i, f := range c.passed {
		if slices.Contains(types, f.Type) {
			c.passed = slices.Delete(c.passed, i, i+1)
			return f
		}
	}
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	for {
		select {
		case f, ok := <-c.Frames:
			if !ok {
				c.t.Fatalf("the connection closed (%v) before a %v", c.Closed, types)
			}
			if slices.Contains(types, f.Type) {
				return f
			}
			if f.Type == "error" {
				c.t.Fatalf("an error in place of a %v: %s", types, f.Raw)
			}
			c.passed = append(c.passed, f)
		case <-timer.C:
			c.t.Fatalf("no %v within %s", types, Patience)
		}
	}
}

// Error waits for the next error, which must have the code.
func (c *Client) Error(code string) Frame {
	c.t.Helper()
	f := c.Next("error")
	if f.Code != code || f.Message == "" {
		c.t.Fatalf("want error %s, got %s", code, f.Raw)
	}
	return f
}

// Closes waits for the node to close the connection with a code, and drops all
// frames before.
func (c *Client) Closes(code int) {
	c.t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-c.Frames:
			if ok {
				continue
			}
			if c.Closed == nil || c.Closed.Code != code {
				c.t.Fatalf("want close %d, got %v", code, c.Closed)
			}
			return
		case <-timer.C:
			c.t.Fatalf("no close within %s", Patience)
		}
	}
}

// Hello sends a hello with fields, sets Me and Token, and returns the welcome.
func (c *Client) Hello(fields ...any) Frame {
	c.t.Helper()
	c.Send("hello", fields...)
	w := c.Next("welcome")
	c.Me, c.Token = w.User, w.Token
	return w
}

// Join joins a room, and returns the joined with all messages up to its head.
func (c *Client) Join(room string, fields ...any) Frame {
	c.t.Helper()
	c.Send("join", append([]any{"room", room}, fields...)...)
	j := c.Next("joined")
	for j.More && j.Messages[len(j.Messages)-1].ID != j.Head { // the rest follows
		j.Messages = append(j.Messages, c.Next("message"))
	}
	return j
}

// Say sends a message to a room, and returns the sent of its key.
func (c *Client) Say(room, text, key string) Frame {
	c.t.Helper()
	c.Send("send", "room", room, "text", text, "key", key)
	for {
		if f := c.Next("sent"); f.Key == key {
			return f
		}
	}
}

// Message waits for the message with a text.
func (c *Client) Message(text string) Frame {
	c.t.Helper()
	for {
		if f := c.Next("message"); f.Text == text {
			return f
		}
	}
}

// Seen reports whether a user is in a list.
func Seen(list []User, id string) bool {
	return slices.ContainsFunc(list, func(u User) bool { return u.ID == id })
}

// GetJSON decodes the answer of a GET into a value, and returns its status.
func GetJSON(t testing.TB, url string, into any) int {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return res.StatusCode
}
