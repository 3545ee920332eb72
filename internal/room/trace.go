package room

import (
	"strings"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// Step is one on the way of an entry through a node.
type Step int

// The steps, in the order in which they are taken. What is said at one node is
// heard and delivered by all that follow the room; what was read of the log was
// not heard.
const (
	Received    Step = iota // its command came from a client
	AppendBegan             // the call that puts it into the log
	AppendEnded             // that was answered
	Heard                   // it came from Redis
	Delivered               // it was delivered to all members
	steps
)

// Trace is when an entry took which step; zero for those that it did not.
type Trace [steps]time.Time

// tracePrefix begins the keys of what is traced. Nothing is kept of other
// entries.
const tracePrefix = "trace-"

// tracesKept is how many are remembered.
const tracesKept = 64

// traces are the newest Traces of a node by their keys. Who says something chooses
// its key, so somebody else may take the same: then the first time counts.
type traces struct {
	mu    sync.Mutex // guards the fields below
	byKey map[string]*Trace
	keys  [tracesKept]string // the oldest at next
	next  int
}

// note notes that a step is taken now by what was said under a key.
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

// noteAll is note for those of a list.
func (t *traces) noteAll(keys []string, s Step) {
	for _, key := range keys {
		t.note(key, s)
	}
}

// hear notes that entries were heard.
func (t *traces) hear(list []protocol.Entry) {
	for _, e := range list {
		t.note(e.Key, Heard)
	}
}

func traced(key string) bool { return strings.HasPrefix(key, tracePrefix) }

// tracedOf returns the keys of what is traced of a batch.
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

// Trace returns which steps something took at this node, by the key under which
// it was said; false where nothing is known of it, or not any more.
func (h *Hub) Trace(key string) (Trace, bool) {
	h.traces.mu.Lock()
	defer h.traces.mu.Unlock()
	if trace := h.traces.byKey[key]; trace != nil {
		return *trace, true
	}
	return Trace{}, false
}
