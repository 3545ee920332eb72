package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

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
	// A ref of one's own comes out of Read, as does an error without one.
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
				_, _, _ = ws.ReadMessage() // until the client has had enough
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
				t.Error("it opened a session")
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

// nonsense is a command that no node knows.
type nonsense struct{ protocol.PingCommand }

func (nonsense) Type() string { return "nonsense" }
