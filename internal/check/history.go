// Package check decides from the records of clients whether a chat kept its promises:
// no acknowledged entry lost, none duplicated, none out of order, and no gap without
// notice.
//
// Clients record what they send and receive, each in its own order, in one History; at
// the end the contents of the logs are added. Verify needs nothing else: it asks
// neither nodes nor Redis, and trusts only the records.
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

// Op is the kind of a Record.
type Op string

// The kinds of records, and the fields of each beside At and Op. Those marked with a
// star are a client's and have Client and Conn too.
const (
	// OpSend: a command was written*: Room, User, Key, Text, and Kind and Target unless
	// it is a message. The Text of a reaction is its emoji followed by " on" or " off".
	OpSend Op = "send"
	// OpSent: it was acknowledged*: Room, User, Key, ID, Duplicate.
	OpSent Op = "sent"
	// OpRefused: it was refused, or its outcome is unknown*: Room, User, Key, Code.
	OpRefused Op = "refused"
	// OpJoined: a room was joined*: Room, After, Head, Recovered, and in Count how many
	// records of its messages follow: OpMessage if Recovered, else OpShown. With More,
	// those up to Head follow after these.
	OpJoined Op = "joined"
	// OpHistory: a page of the room's history was received*: Room, Before, and in Count
	// how many OpShown follow; with More there are older messages.
	OpHistory Op = "history"
	// OpShown: a message as it stands was received*: Room, ID, Key, User, Text, and in
	// Marks its reactions, each as "EMOJI COUNT", separated by spaces.
	OpShown Op = "shown"
	// OpMessage: an entry was received*: Room, ID, Key, User, Text, Kind, Target, and
	// for a reaction in Count how many users have put the emoji after it.
	OpMessage Op = "message"
	// OpReset: a reset was received*: Room, Head.
	OpReset Op = "reset"
	// OpLeft: the client left the room*: Room.
	OpLeft Op = "left"
	// OpLost: the connection ended*.
	OpLost Op = "lost"
	// OpEnd: the client stops recording, and claims to have received all that the
	// room's log holds*: Room.
	OpEnd Op = "end"
	// OpWiped is recorded by the injector of faults: from now on the log may have lost
	// all or its end: Room, or none for all rooms.
	OpWiped Op = "wiped"
	// OpLog: the final log holds this entry; those of a room are in the order of the
	// log: Room, ID, Key, User, Text, Kind, Target, Count.
	OpLog Op = "log"
)

// Record is one line of a history.
type Record struct {
	// At is the time of the record in nanoseconds since the history began, by one clock
	// for all.
	At int64 `json:"at"`
	Op Op    `json:"op"`
	// Client names the recording client, and Conn numbers its connections.
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

// History collects records. It is safe for concurrent use; records of one goroutine
// keep their order.
type History struct {
	began time.Time

	mu   sync.Mutex // guards the field below
	list []Record
}

// NewHistory returns an empty history that begins now.
func NewHistory() *History { return &History{began: time.Now()} }

// Add adds records together, with the current time.
func (h *History) Add(list ...Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := int64(time.Since(h.began))
	for i := range list {
		list[i].At = at
	}
	h.list = append(h.list, list...)
}

// Records returns the records so far. It must not be changed.
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
