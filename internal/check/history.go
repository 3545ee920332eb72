// Package check decides from what clients were told whether a chat kept its
// promises: nothing acknowledged lost, nothing doubled, nothing out of order,
// and no hole that nobody was told of.
//
// Clients write down what they send and what they hear, each in its own order,
// in one History; at the end what the logs hold is added. Verify needs nothing
// else: neither the nodes nor Redis are asked, and nothing is believed but the
// records.
package check

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// Op says what a Record tells.
type Op string

// What a Record tells, and which fields it has beside At and Op. What is marked
// with a star is a client's and has Client and Conn too.
const (
	// OpSend: a command was written*: Room, User, Key, Text, and for other
	// entries than messages Kind and Target. Text is a reaction's emoji with " on" or
	// " off" behind it.
	OpSend Op = "send"
	// OpSent: it was acknowledged*: Room, User, Key, ID, Duplicate.
	OpSent Op = "sent"
	// OpRefused: it was refused, or is not known to be taken*: Room, User, Key,
	// Code.
	OpRefused Op = "refused"
	// OpJoined: a room was joined*: Room, After, Head, Recovered, and in Count how
	// many records of what came with it follow: OpMessage where it is Recovered, else
	// OpShown; with More, those up to Head come after it.
	OpJoined Op = "joined"
	// OpHistory: a page of the room's history came*: Room, Before, and in Count how
	// many OpShown follow; with More, there are older messages.
	OpHistory Op = "history"
	// OpShown: a message was shown as it stands*: Room, ID, Key, User, Text, and in
	// Marks its reactions, "EMOJI COUNT" each, with a space between.
	OpShown Op = "shown"
	// OpMessage: an entry was heard*: Room, ID, Key, User, Text, Kind, Target, and in
	// Count how many users have put the emoji of a reaction after it.
	OpMessage Op = "message"
	// OpReset: the room's log was said to be another one*: Room, Head.
	OpReset Op = "reset"
	// OpLeft: the client left the room*: Room.
	OpLeft Op = "left"
	// OpLost: the connection ended*.
	OpLost Op = "lost"
	// OpEnd: the client listens no more, and claims to have all that the room's
	// log holds*: Room.
	OpEnd Op = "end"
	// OpWiped is written by who injects faults: from now on what the log held
	// may be gone, all of it or its end: Room, or none for all rooms.
	OpWiped Op = "wiped"
	// OpLog: the log holds this entry in the end; a room's are in the order of
	// the log: Room, ID, Key, User, Text, Kind, Target, Count.
	OpLog Op = "log"
)

// Record is one line of a history.
type Record struct {
	// At is when it was written down, in nanoseconds since the history began,
	// by one clock for all.
	At int64 `json:"at"`
	Op Op    `json:"op"`
	// Client names who tells it, and Conn counts that client's connections.
	Client string `json:"client,omitzero"`
	Conn   int    `json:"conn,omitzero"`

	Room      string `json:"room,omitzero"`
	User      string `json:"user,omitzero"`
	Key       string `json:"key,omitzero"`
	Text      string `json:"text,omitzero"`
	ID        string `json:"id,omitzero"`
	Kind      string `json:"kind,omitzero"`
	Target    string `json:"target,omitzero"`
	After     string `json:"after,omitzero"`
	Before    string `json:"before,omitzero"`
	Head      string `json:"head,omitzero"`
	Marks     string `json:"marks,omitzero"`
	Count     int    `json:"count,omitzero"`
	Recovered bool   `json:"recovered,omitzero"`
	More      bool   `json:"more,omitzero"`
	Duplicate bool   `json:"duplicate,omitzero"`
	Code      string `json:"code,omitzero"`
}

// History collects records. It may be used by any number of goroutines; what
// one of them adds first stands first.
type History struct {
	began time.Time

	mu   sync.Mutex // guards the field below
	list []Record
}

// NewHistory begins a history.
func NewHistory() *History { return &History{began: time.Now()} }

// Add writes records down together, with the time of now.
func (h *History) Add(list ...Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := int64(time.Since(h.began))
	for i := range list {
		list[i].At = at
	}
	h.list = append(h.list, list...)
}

// Records returns what was written down so far. It must not be changed.
func (h *History) Records() []Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.list[:len(h.list):len(h.list)]
}

// Write writes records as JSON lines.
func Write(w io.Writer, list []Record) error {
	out := bufio.NewWriter(w)
	for _, r := range list {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("write a history: %w", err)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write a history: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write a history: %w", err)
	}
	return nil
}

// maxLine bounds one line of a history: the longest text (1 MiB), escaped, and more.
const maxLine = 8 << 20

// Read reads JSON lines. Its errors name the line.
func Read(r io.Reader) ([]Record, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var list []Record
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var rec Record
		if err := json.Unmarshal(lines.Bytes(), &rec, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("line %d is no record of a history: %w", n, err)
		}
		if !known[rec.Op] {
			return nil, fmt.Errorf("line %d: unknown op %q", n, rec.Op)
		}
		list = append(list, rec)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("line %d is longer than %d bytes", len(list)+1, maxLine)
		}
		return nil, fmt.Errorf("read a history: %w", err)
	}
	return list, nil
}

var known = map[Op]bool{
	OpSend: true, OpSent: true, OpRefused: true, OpJoined: true, OpHistory: true, OpShown: true, OpMessage: true, OpReset: true,
	OpLeft: true, OpLost: true, OpEnd: true, OpWiped: true, OpLog: true,
}
