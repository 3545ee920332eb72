package load

import (
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

// Deletions are sent while others are still added. Each needs a key of its own: a room
// ignores a deletion under a key that it knows, and the message would stay.
func TestEachDeletionHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	o := outbox{name: "c1"}
	keys := make(map[string]bool)
	for range 3 {
		o.remove("room", "1-1")
		keys[o.unwanted[0].key] = true
		o.unwanted = o.unwanted[1:] // it was sent
	}
	if len(keys) != 3 {
		t.Errorf("three deletions have the keys %v", keys)
	}
}

func TestWhatARefusalDoesToAMessage(t *testing.T) {
	t.Parallel()
	later := time.Unix(1_764_000_000, 0)
	for name, test := range map[string]struct {
		kind    string
		refusal protocol.Error
		handled bool
		pending int
	}{
		"for now":                  {"", protocol.Error{Code: protocol.CodeUnavailable, Room: "r", Key: "c-1"}, true, 1},
		"a message, permanently":   {"", protocol.Error{Code: protocol.CodeForbidden, Room: "r", Key: "c-1"}, true, 1},
		"an edit without a target": {protocol.Edit, protocol.Error{Code: protocol.CodeNotFound, Room: "r", Key: "c-1"}, true, 0},
		"an edit, for now":         {protocol.Edit, protocol.Error{Code: protocol.CodeUnavailable, Room: "r", Key: "c-1"}, true, 1},
		"another key":              {"", protocol.Error{Code: protocol.CodeUnavailable, Room: "r", Key: "c-2"}, false, 1},
		"another room":             {"", protocol.Error{Code: protocol.CodeUnavailable, Room: "s", Key: "c-1"}, false, 1},
	} {
		o := outbox{name: "c"}
		m, _ := o.next("r")
		m.kind = test.kind
		o.pending = append(o.pending, m)
		handled := o.refuse(&test.refusal, func(tries int) time.Time { return later.Add(time.Duration(tries)) })
		if handled != test.handled || len(o.pending) != test.pending {
			t.Errorf("%s: handled %t, %d pending", name, handled, len(o.pending))
		}
		if repeats := handled && test.pending > 0; repeats != m.again.Equal(later) || repeats != (m.tries == 1) {
			t.Errorf("%s: repeated at %v after %d tries", name, m.again, m.tries)
		}
	}
}

func TestDeletionsStayWithinTheWindowAndTheRate(t *testing.T) {
	t.Parallel()
	o := outbox{name: "c", window: 2}
	for range 4 {
		o.remove("r", "1-1")
	}
	sent := func(joined bool, limit float64) int {
		n := 0
		for o.nextRemoval(func(string) bool { return joined }, limit) != nil {
			n++
		}
		return n
	}
	if n := sent(false, 0); n != 0 {
		t.Errorf("%d sent to a room that is not joined", n)
	}
	if n := sent(true, 0); n != 2 || o.removing() != 4 {
		t.Errorf("%d sent, %d unacknowledged", n, o.removing())
	}
	o.acknowledge("r", o.pending[0].key)
	if n := sent(true, 0); n != 1 || o.removing() != 3 {
		t.Errorf("%d sent after an acknowledgement, %d unacknowledged", n, o.removing())
	}
	o = outbox{name: "c", window: 2}
	o.remove("r", "1-1")
	o.remove("r", "1-2")
	if n := sent(true, 1e-6); n != 1 {
		t.Errorf("%d sent at once", n)
	}
}
