package room

import (
	"strings"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// Step is one on the way of an entry through a node.
type Step int

// The steps, in their order. An entry is appended by one node, and heard and delivered
// by all that follow the room. An entry that was read from the log was not heard.
const (
	Received    Step = iota // its command was received
	AppendBegan             // the call that appends it began
	AppendEnded             // that call was answered
	Heard                   // it was received live
	Delivered               // it was delivered to all members
	steps
)

// Trace holds the time of each step of an entry; zero for steps that it did not take.
type Trace [steps]time.Time

// tracePrefix begins the keys of entries that are traced. Nothing is kept of others.
const tracePrefix = "trace-"

// tracesKept is how many traces are kept.
const tracesKept = 64

// traces holds the newest Traces of a node by their keys. Senders choose the keys, so two
// entries may have the same one: then the first time counts.
type traces struct {
	mu    sync.Mutex // guards the fields below
	byKey map[string]*Trace
	keys  [tracesKept]string // the oldest at next
	next  int
}

// note notes that the entry with the key takes a step now.
func (t *traces) note(key string, s Step) {
	if !traced(key) {
		return
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	trace := t.byKey[key]
	if trace == nil {
		if t.byKey == nil {
			t.byKey = make(map[string]*Trace)
		}
		trace = new(Trace)
		delete(t.byKey, t.keys[t.next])
		t.byKey[key], t.keys[t.next] = trace, key
		t.next = (t.next + 1) % tracesKept
	}
	if trace[s].IsZero() {
		trace[s] = now
	}
}

// noteAll is note for a list of keys.
func (t *traces) noteAll(keys []string, s Step) {
	for _, key := range keys {
		t.note(key, s)
	}
}

// hear notes that entries were received live.
func (t *traces) hear(list []protocol.Entry) {
	for _, e := range list {
		t.note(e.Key, Heard)
	}
}

func traced(key string) bool { return strings.HasPrefix(key, tracePrefix) }

// tracedOf returns the keys of a batch that are traced.
func tracedOf(batch []submission) (keys []string) {
	for _, s := range batch {
		if traced(s.draft.Key) {
			keys = append(keys, s.draft.Key)
		}
	}
	return keys
}

// TraceReceived notes that the command with this key was received now.
func (h *Hub) TraceReceived(key string) { h.traces.note(key, Received) }

// Trace returns the steps that the entry with the key took at this node; false if nothing
// is known of it, or no longer.
func (h *Hub) Trace(key string) (Trace, bool) {
	h.traces.mu.Lock()
	defer h.traces.mu.Unlock()
	if trace := h.traces.byKey[key]; trace != nil {
		return *trace, true
	}
	return Trace{}, false
}
