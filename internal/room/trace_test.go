package room

import (
	"fmt"
	"testing"

	"example.com/chat/internal/protocol"
)

func TestTheNewestTracesAreKept(t *testing.T) {
	t.Parallel()
	var h Hub
	for i := range 3 * tracesKept {
		key := fmt.Sprintf("trace-%d", i)
		h.TraceReceived(key)
		h.traces.note(key, Delivered)
		h.TraceReceived("other-" + key)
	}
	for i := range 3 * tracesKept {
		trace, ok := h.Trace(fmt.Sprintf("trace-%d", i))
		if ok != (i >= 2*tracesKept) || ok && (trace[Received].IsZero() || trace[Delivered].IsZero() || !trace[Heard].IsZero()) {
			t.Errorf("trace %d: %v %v", i, ok, trace)
		}
	}
	if n := len(h.traces.byKey); n != tracesKept {
		t.Errorf("%d traces are kept", n)
	}
}

// Another user may send under the same key, or the same entry may arrive twice: the first
// time counts.
func TestTheFirstTimeCounts(t *testing.T) {
	t.Parallel()
	var h Hub
	h.TraceReceived("trace-x")
	first, _ := h.Trace("trace-x")
	h.TraceReceived("trace-x")
	if again, _ := h.Trace("trace-x"); again != first {
		t.Errorf("the times were %v, and are now %v", first, again)
	}
}

// A text that looks like a traced key is none.
func TestATextIsNoKey(t *testing.T) {
	t.Parallel()
	var h Hub
	entry := func(key, text string) protocol.Entry {
		return protocol.Message(protocol.User{ID: "u"}, key, text, "n").Entry(protocol.ID{MS: 1, Seq: 1}, "r", 0)
	}
	h.traces.hear([]protocol.Entry{entry("k", `","key":"trace-x"`), entry("trace-y", ""), entry("k", "trace-z")})
	if trace, ok := h.Trace("trace-y"); !ok || trace[Heard].IsZero() || len(h.traces.byKey) != 1 {
		t.Errorf("the traces are %v", h.traces.byKey)
	}
}
