//go:build unix

package faults

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/check"
)

// history is what the clients of a rig recorded, with the clock that began with it. Its
// methods are safe for concurrent use.
type history struct {
	*check.History
	began time.Time

	mu   sync.Mutex // guards the fields below
	acks int        // acknowledgements counted so far
	upTo int        // records examined for that
}

// at returns a moment on the history's clock.
func (h *history) at(moment time.Time) int64 { return int64(moment.Sub(h.began)) }

// acknowledged returns the number of acknowledgements so far.
func (h *history) acknowledged() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.Records()
	for ; h.upTo < len(list); h.upTo++ {
		if list[h.upTo].Op == check.OpSent {
			h.acks++
		}
	}
	return h.acks
}

// lostBetween returns the losses of connections between two moments.
func (h *history) lostBetween(list []check.Record, from, to time.Time) (lost []check.Record) {
	for _, rec := range list {
		if rec.Op == check.OpLost && rec.At >= h.at(from) && rec.At <= h.at(to) {
			lost = append(lost, rec)
		}
	}
	return lost
}

// resets returns the number of clients that got a reset of a room since a moment.
func (h *history) resets(since time.Time, room string) int {
	seen := make(map[string]bool)
	for _, rec := range h.Records() {
		if rec.Op == check.OpReset && rec.Room == room && rec.At >= h.at(since) {
			seen[rec.Client] = true
		}
	}
	return len(seen)
}

// wiped calls f and records that Redis loses entries meanwhile: of the room, or of all
// rooms if it is "".
func (h *history) wiped(room string, f func()) {
	h.Add(check.Record{Op: check.OpWiped, Room: room})
	f()
	h.Add(check.Record{Op: check.OpWiped, Room: room})
}

// keep writes a history in which the checker found a violation to a file in the folder
// CHAT_OUT, or in the one for temporary files if that is not set.
func (f fault) keep(t *testing.T, list []check.Record) {
	file, err := os.CreateTemp(chattest.OutDir(), fmt.Sprintf("chat-fault-%d-*.jsonl", f.number))
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	if err := check.Write(file, list); err != nil {
		t.Error(err)
	}
	t.Logf("chat verify %s", file.Name())
}
