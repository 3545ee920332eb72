package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/fakenode"
	"example.com/chat/internal/protocol"
)

func TestDialAndCall(t *testing.T) {
	t.Parallel()
	cluster := fakenode.New()
	n := cluster.Start(t)
	c, err := Dial(t.Context(), Options{URL: n.URL, Name: "Ann", Timing: quick})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if w := c.Welcome(); w.User.Name != "Ann" || w.Node.URL != n.URL || w.Limits.Text != 4000 {
		t.Errorf("welcome: %+v", w)
	}
	events := make(chan Event, 100)
	go func() { // ends with the connection, and closes events
		defer close(events)
		for {
			e, err := c.Read()
			if err != nil {
				return
			}
			events <- e
		}
	}()
	e, err := c.Call(t.Context(), protocol.JoinCommand{Room: "lobby"})
	if err != nil || e.Type != "joined" {
		t.Fatalf("%v %s", err, e.Raw)
	}
	e, err = c.Call(t.Context(), nonsense{})
	if refused := e.Refused(); err != nil || refused == nil || refused.Code != protocol.CodeUnknownType {
		t.Errorf("%v %s", err, e.Raw)
	}
	// Read returns the reply to a ref of the caller, and an error without a ref.
	if err := c.WriteRef(protocol.HistoryCommand{Room: "lobby"}, "mine"); err != nil {
		t.Error(err)
	}
	if e := <-events; e.Type != "history" {
		t.Errorf("got %s", e.Raw)
	}
	if err := c.WriteRaw([]byte("{")); err != nil {
		t.Error(err)
	}
	if e := <-events; e.Refused() == nil || e.Refused().Code != protocol.CodeBadJSON {
		t.Errorf("got %s", e.Raw)
	}
	c.Close()
	<-c.Done()
	for range events { // until the reader has ended
	}
	if _, err := c.Call(t.Context(), protocol.PingCommand{}); !errors.Is(err, ErrLost) {
		t.Errorf("a call after the end: %v", err)
	}
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	say := func(frame string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var up websocket.Upgrader
			ws, err := up.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer ws.Close()
			if frame == "" {
				_, _, _ = ws.ReadMessage()
				_, _, _ = ws.ReadMessage() // until the client gives up
				return
			}
			_ = ws.WriteMessage(websocket.TextMessage, []byte(frame))
			_, _, _ = ws.ReadMessage()
		}
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"not found":   {http.NotFound, "404 Not Found"},
		"no upgrade":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hi")) }, "200 OK"},
		"garbage":     {say("garbage"), "no event"},
		"an array":    {say("[]"), "no event"},
		"not welcome": {say(`{"type":"pong"}`), `"pong", not welcome`},
		"kind":        {say(`{"type":"welcome","user":7}`), "read the event"},
		"version":     {say(`{"type":"welcome","version":2}`), "version 2"},
		"refused":     {say(`{"type":"error","code":"bad_name","message":"choose another"}`), "bad_name"},
		"silent":      {say(""), "nothing was heard"},
		"too large":   {say(strings.Repeat("x", helloReadLimit+1)), "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(test.handler)
			t.Cleanup(s.Close)
			_, err := Dial(t.Context(), Options{URL: s.URL, Timing: quick})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			if _, err = Open(t.Context(), Options{URL: s.URL, Timing: quick}); err == nil {
				t.Error("Open returned a session")
			}
		})
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var absent *UnreachableError
	if _, err := Open(t.Context(), Options{URL: gone.URL}); !errors.As(err, &absent) || absent.Cause() != "connection refused" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{URL: gone.URL}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"http://localhost:8080":      "ws://localhost:8080/ws",
		"https://chat.example.org/":  "wss://chat.example.org/ws",
		"ws://[::1]:1":               "ws://[::1]:1/ws",
		"https://example.org/a/chat": "wss://example.org/a/chat/ws",
		"localhost:8080":             "",
		"ftp://example.org":          "",
		"http://":                    "",
		"http://:8080":               "",
		"http://u:p@example.org":     "",
		"http://example.org/?q":      "",
		"":                           "",
	} {
		got, err := Endpoint(base)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", base, got, err)
		}
	}
}

func TestEntryWithoutType(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"type":"message","id":"1-1","text":"\u0041 <b>","x":[1, {"type":2}]}`: `{"id":"1-1","text":"\u0041 <b>","x":[1,{"type":2}]}`,
		"{\"id\":\"1-1\",\n \"type\":\"message\", \"n\": 1.0}":                  `{"id":"1-1","n":1.0}`,
		`{"id":"1-1"}`: `{"id":"1-1"}`,
	} {
		e, err := decodeEntry([]byte(raw))
		if err != nil || string(e.Raw) != want {
			t.Errorf("%s: got %s, %v", raw, e.Raw, err)
		}
	}
	for _, raw := range []string{`{"id":"1"}`, `{}`, `{"id":"1-1"`, `[]`, `{"id":"1-1","text":7}`, ``} {
		if e, err := decodeEntry([]byte(raw)); err == nil {
			t.Errorf("%s: got %+v", raw, e)
		}
	}
}

// nonsense is a command that nodes do not know.
type nonsense struct{ protocol.PingCommand }

func (nonsense) Type() string { return "nonsense" }

// On a slow link a frame may take longer than Timing.Gone.
func TestEveryByteIsASignOfLife(t *testing.T) {
	t.Parallel()
	frame := `{"type":"joined","ref":"r1","room":"lobby","head":"5-1","recovered":false,"messages":[{"id":"5-1","room":"lobby","text":"slow"}]}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var up websocket.Upgrader
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		_, _, _ = ws.ReadMessage()
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"welcome","version":1,"limits":{"text":4000}}`))
		_, _, _ = ws.ReadMessage()
		raw := append([]byte{0x81, 126, byte(len(frame) >> 8), byte(len(frame))}, frame...)
		for len(raw) > 0 {
			n := min(5, len(raw))
			if _, err := ws.NetConn().Write(raw[:n]); err != nil {
				return
			}
			raw = raw[n:]
			time.Sleep(quick.Gone / 15)
		}
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	f := open(t, Options{URL: s.URL})
	f.follow(t, "lobby", 50)
	if l := f.losses(); l != "" || !slices.Equal(f.seen(), []string{"slow"}) {
		t.Errorf("got %q, lost: %s", f.seen(), l)
	}
}

func TestRetryAfterIsRead(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "0": 0, "-1": 0, "x": 0, "99999999": time.Minute, "99999999999999999999": 0,
	} {
		h := http.Header{}
		h.Set("Retry-After", header)
		if got := retryAfter(h); got != want {
			t.Errorf("%q: %s", header, got)
		}
	}
}

// With the default timings a client leaves a node that accepts bytes and sends none
// within ten seconds.
func TestASilentNodeIsLeftWithinTenSeconds(t *testing.T) {
	t.Parallel()
	timing := new(Timing)
	timing.fill()
	if timing.Ping >= timing.Gone || timing.Gone+timing.First > 10*time.Second {
		t.Errorf("the connection ends after %s, the next try follows within %s", timing.Gone, timing.First)
	}
	// The same with a tenth of each timing.
	const faster = 10
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		if _, _, err := ws.ReadMessage(); err != nil {
			return
		}
		welcome := `{"type":"welcome","user":{"id":"u","name":"Ann"},"token":"t","node":{"id":"n","url":"http://n"},"nodes":[],"limits":{"text":4000,"rooms":100,"rate":10,"burst":30},"version":1}`
		if err := ws.WriteMessage(websocket.TextMessage, []byte(welcome)); err != nil {
			return
		}
		for { // accepts all commands, and answers none
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	}))
	defer silent.Close()
	c, err := Dial(t.Context(), Options{URL: silent.URL, Timing: Timing{Ping: timing.Ping / faster, Gone: timing.Gone / faster}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	left := make(chan error, 1)
	go func() { // ends with the connection
		_, err := c.Read()
		left <- err
	}()
	select {
	case err := <-left:
		if took := time.Since(began); !errors.Is(err, ErrLost) || took < timing.Gone/faster {
			t.Errorf("ended after %s: %v", took, err)
		}
	case <-time.After(chattest.Patience):
		t.Fatal("the connection did not end")
	}
}
