package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/gorilla/websocket"
)

// bidi is a connection of WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/). It is
// safe for concurrent use. Events are not subscribed to and would be dropped.
type bidi struct {
	conn *websocket.Conn
	done chan struct{} // closed when the connection has ended

	mu      sync.Mutex // guards the fields below, and writes to conn
	last    int        // number of the last command
	waiting map[int]chan<- reply
}

// reply answers one command.
type reply struct {
	Type    string          `json:"type"` // "success", "error" or "event"
	ID      int             `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
}

// object holds the parameters of a command.
type object = map[string]any

// dialBidi connects to a browser's endpoint and begins a session.
func dialBidi(ctx context.Context, endpoint string) (*bidi, error) {
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, endpoint+"/session", nil)
	if err != nil {
		return nil, err
	}
	b := &bidi{conn: conn, done: make(chan struct{}), waiting: make(map[int]chan<- reply)}
	go b.read() // ends with the connection
	if err := b.call(ctx, "session.new", object{"capabilities": object{}}, nil); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return b, nil
}

// read passes replies to the calls that wait for them, until the connection ends.
func (b *bidi) read() {
	defer close(b.done)
	for {
		var r reply
		if err := b.conn.ReadJSON(&r); err != nil {
			return
		}
		b.mu.Lock()
		ch := b.waiting[r.ID]
		delete(b.waiting, r.ID)
		b.mu.Unlock()
		if ch != nil {
			ch <- r // it has room for the one reply
		}
	}
}

// call sends a command, waits for its reply and decodes the result, unless that is nil.
func (b *bidi) call(ctx context.Context, method string, params object, result any) error {
	ch := make(chan reply, 1)
	if err := b.send(method, params, ch); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case r := <-ch:
		if r.Type == "error" {
			return fmt.Errorf("%s: %s: %s", method, r.Error, r.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(r.Result, result)
	case <-b.done:
		return fmt.Errorf("%s: the browser closed the connection", method)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

func (b *bidi) send(method string, params object, ch chan<- reply) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	b.waiting[b.last] = ch
	return b.conn.WriteJSON(object{"id": b.last, "method": method, "params": params})
}

// remoteValue is a JavaScript value as BiDi serializes it.
type remoteValue struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// plain returns the value as JSON; nil for undefined.
func (v remoteValue) plain() (json.RawMessage, error) {
	switch v.Type {
	case "undefined":
		return nil, nil
	case "null":
		return json.RawMessage("null"), nil
	case "string", "boolean", "number":
		if v.Type == "number" && v.Value[0] == '"' { // NaN, -0, Infinity, -Infinity
			return nil, fmt.Errorf("the number %s is not in JSON", v.Value)
		}
		return v.Value, nil
	case "array":
		var items []remoteValue
		if err := json.Unmarshal(v.Value, &items); err != nil {
			return nil, err
		}
		list := make([]json.RawMessage, len(items))
		for i, item := range items {
			var err error
			if list[i], err = item.plain(); err != nil {
				return nil, err
			}
		}
		return json.Marshal(list)
	case "object":
		var pairs [][2]json.RawMessage
		if err := json.Unmarshal(v.Value, &pairs); err != nil {
			return nil, err
		}
		fields := make(map[string]json.RawMessage, len(pairs))
		for _, pair := range pairs {
			var key string
			var value remoteValue
			if err := errors.Join(json.Unmarshal(pair[0], &key), json.Unmarshal(pair[1], &value)); err != nil {
				return nil, err
			}
			one, err := value.plain()
			if err != nil {
				return nil, err
			}
			fields[key] = one
		}
		return json.Marshal(fields)
	}
	return json.RawMessage("{}"), nil // an element, a function …
}
