//go:build unix

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// watcher is a client at one node that keeps all events, and does nothing by itself: it does
// not reconnect.
type watcher struct {
	t    *testing.T
	conn *client.Conn
	me   protocol.WelcomeEvent

	mu     sync.Mutex // guards the fields below
	events []received
	ended  error // nil while the connection is open
	closed time.Time
}

// received is an event, and when it arrived.
type received struct {
	client.Event
	at time.Time
}

// watch connects to a node.
func watch(t *testing.T, n *node, opts client.Options) *watcher {
	t.Helper()
	opts.URL = n.address()
	ctx, cancel := context.WithTimeout(t.Context(), chattest.Patience)
	defer cancel()
	conn, err := client.Dial(ctx, opts)
	if err != nil {
		t.Fatalf("watch %s: %v", n.id, err)
	}
	w := &watcher{t: t, conn: conn, me: conn.Welcome()}
	done := make(chan struct{})
	go func() { // ends with the connection, which the cleanup closes
		defer close(done)
		w.read()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return w
}

func (w *watcher) read() {
	for {
		e, err := w.conn.Read()
		w.mu.Lock()
		if err != nil {
			w.ended, w.closed = err, time.Now()
			w.mu.Unlock()
			return
		}
		w.events = append(w.events, received{e, time.Now()})
		w.mu.Unlock()
	}
}

// find returns the first event of a type after a moment for which fits returns true.
func (w *watcher) find(kind string, after time.Time, fits func(received) bool) (received, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Type == kind && e.at.After(after) && (fits == nil || fits(e)) {
			return e, true
		}
	}
	return received{}, false
}

// await waits for such an event.
func (w *watcher) await(what, kind string, after time.Time, fits func(received) bool) (e received) {
	w.t.Helper()
	chattest.Eventually(w.t, what, func() bool {
		var ok bool
		e, ok = w.find(kind, after, fits)
		return ok
	})
	return e
}

// awaitStatus waits for the event that Redis is "up" or "down".
func (w *watcher) awaitStatus(state string, after time.Time) received {
	w.t.Helper()
	return w.await("status "+state, "status", after, func(e received) bool {
		var s protocol.StatusEvent
		return json.Unmarshal(e.Raw, &s) == nil && s.Broker == state
	})
}

// left returns a function that reports whether an event says that a user left.
func left(user string) func(received) bool {
	return func(e received) bool {
		var p protocol.PresenceEvent
		if json.Unmarshal(e.Raw, &p) != nil {
			return false
		}
		for _, u := range p.Left {
			if u.ID == user {
				return true
			}
		}
		return false
	}
}

// awaitEnd waits for the end of the connection, and returns its close code, 0 for none, and
// its time.
func (w *watcher) awaitEnd() (code int, at time.Time) {
	w.t.Helper()
	chattest.Eventually(w.t, "the end of a connection", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.ended != nil
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	var closed *client.ClosedError
	if errors.As(w.ended, &closed) {
		code = closed.Code
	}
	return code, w.closed
}

// alive reports whether the connection is open.
func (w *watcher) alive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended == nil
}

// call sends a command and decodes its reply. It returns an error reply.
func (w *watcher) call(cmd protocol.ClientCommand, into any) *protocol.Error {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), chattest.Patience)
	defer cancel()
	e, err := w.conn.Call(ctx, cmd)
	if err != nil {
		w.t.Fatalf("%s: %v", cmd.Type(), err)
	}
	if refused := e.Refused(); refused != nil {
		return refused
	}
	if err := e.Decode(into); err != nil {
		w.t.Fatal(err)
	}
	return nil
}

// join joins a room. It fails the test if that is refused.
func (w *watcher) join(room, after string) protocol.JoinedEvent {
	w.t.Helper()
	var j protocol.JoinedEvent
	if refused := w.call(protocol.JoinCommand{Room: room, After: after}, &j); refused != nil {
		w.t.Fatalf("join %s: %v", room, refused)
	}
	return j
}

// say sends a message. It fails the test if that is refused.
func (w *watcher) say(room, key, text string) protocol.SentEvent {
	w.t.Helper()
	var s protocol.SentEvent
	if refused := w.call(protocol.SendCommand{Room: room, Key: key, Text: text}, &s); refused != nil {
		w.t.Fatalf("send %s: %v", key, refused)
	}
	return s
}
