package check

import (
	"fmt"
	"slices"
	"time"

	"example.com/chat/internal/protocol"
)

// Rule names a promise.
type Rule string

// The promises.
const (
	// RuleLost: what was acknowledged is in the log, unless it was deleted, or
	// left its old end.
	RuleLost Rule = "lost"
	// RuleID: it is there under the id that was given, and every
	// acknowledgement of a key gives the same.
	RuleID Rule = "id"
	// RuleTwice: no key was entered twice.
	RuleTwice Rule = "twice"
	// RuleLog: the log itself has no hole but deletions, and grows in order.
	RuleLog Rule = "log"
	// RuleHole: a member's view has no hole that it was not told of.
	RuleHole Rule = "hole"
	// RuleRepeat: a view never goes back: nothing comes twice, or late.
	RuleRepeat Rule = "repeat"
	// RuleStray: nothing comes of a room that the client is not in.
	RuleStray Rule = "stray"
	// RuleHead: what comes with joined ends with the head that it names.
	RuleHead Rule = "head"
	// RuleEnd: at its end a view has all that the log holds, and nothing else.
	RuleEnd Rule = "end"
	// RuleDiffers: two who saw the same place of a room saw the same entry.
	RuleDiffers Rule = "differs"
	// RuleStands: a fresh join and history show the room's messages as they stand:
	// none missing, none that was deleted, each with its last text and its reactions,
	// at the head of the join, or at what the client had heard before the history.
	RuleStands Rule = "stands"
	// RuleInvented: every entry was sent, as it stands, by its user.
	RuleInvented Rule = "invented"
	// RuleOrder: what one connection sent to a room kept its order.
	RuleOrder Rule = "order"
	// RuleTime: what was acknowledged before another was sent has the lower
	// id.
	RuleTime Rule = "time"
)

// Violation is a promise that was not kept.
type Violation struct {
	Rule Rule
	Room string
	// Text says who saw what.
	Text string
}

// String puts it into one line.
func (v Violation) String() string { return fmt.Sprintf("%s: room %q: %s", v.Rule, v.Room, v.Text) }

// Report is what Verify found.
type Report struct {
	// Violations are the first of each room and rule, maxTold at most; Found
	// counts all of them by their rule.
	Violations []Violation
	Found      map[Rule]int

	// What the history holds: messages sent (each key once), acknowledged, and
	// refused for good or never answered; entries in the logs; entries that
	// members heard; connections lost.
	Sent, Acknowledged, Unknown int
	Entries, Heard, Lost        int
	// Duplicates counts acknowledgements that told of an earlier acceptance,
	// Gaps joins that could not resume, Resets resets.
	Duplicates, Gaps, Resets int
	// Waited is the longest time from the first sending to the
	// acknowledgement. Behind is the longest that a member who was in the room
	// heard an entry after somebody else knew of it.
	Waited, Behind time.Duration
}

// OK reports whether every promise was kept.
func (r *Report) OK() bool { return len(r.Found) == 0 }

// maxTold bounds how many violations of one rule in one room are put into
// words.
const maxTold = 5

// Verify checks a history against all rules.
func Verify(list []Record) *Report {
	v := &verifier{
		report: &Report{Found: make(map[Rule]int)},
		rooms:  make(map[string]*room),
		told:   make(map[Violation]int),
	}
	for i := range list {
		v.take(&list[i])
	}
	names := make([]string, 0, len(v.rooms))
	for name := range v.rooms {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v.rooms[name].verify()
	}
	return v.report
}

// verifier sorts records by room and, within it, by who tells them.
type verifier struct {
	report *Report
	rooms  map[string]*room
	told   map[Violation]int // by rule and room
	wiped  []int64           // when all rooms were
}

func (v *verifier) room(name string) *room {
	r := v.rooms[name]
	if r == nil {
		r = &room{
			v: v, name: name, said: make(map[name2]*said), views: make(map[string]*view),
			first: make(map[protocol.ID]int64), excused: make(map[int64]bool), conns: make(map[connection]*sendings),
		}
		v.rooms[name] = r
	}
	return r
}

func (v *verifier) violate(rule Rule, room, format string, args ...any) {
	v.report.Found[rule]++
	key := Violation{Rule: rule, Room: room}
	if v.told[key]++; v.told[key] <= maxTold {
		v.report.Violations = append(v.report.Violations, Violation{rule, room, fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) take(r *Record) {
	switch r.Op {
	case OpLost:
		v.report.Lost++
		for _, room := range v.rooms {
			if w := room.views[r.Client]; w != nil {
				w.open = false
			}
		}
		return
	case OpWiped:
		if r.Room == "" {
			v.wiped = append(v.wiped, r.At)
			return
		}
	}
	room := v.room(r.Room)
	switch r.Op {
	case OpWiped:
		room.wiped = append(room.wiped, r.At)
	case OpSend:
		room.send(r)
	case OpSent:
		room.sent(r)
	case OpRefused:
	case OpLog:
		v.report.Entries++
		room.log = append(room.log, entryOf(r))
	default:
		room.view(r.Client).take(r)
	}
}

// name2 is a key and whose it is.
type name2 struct{ user, key string }

// connection is one connection of one client.
type connection struct {
	client string
	conn   int
}

// entry is what a record says of an entry.
type entry struct {
	id           protocol.ID
	key          name2
	text         string
	kind, target string
	count        int // of a reaction
	at           int64
	bad          bool // its id can't be read
}

func entryOf(r *Record) entry {
	id, err := protocol.ParseID(r.ID)
	return entry{id: id, key: name2{r.User, r.Key}, text: r.Text, kind: r.Kind, target: r.Target, count: r.Count, at: r.At, bad: err != nil}
}

// same reports whether two entries say the same.
func (e *entry) same(o *entry) bool {
	return e.id == o.id && e.key == o.key && e.text == o.text && e.kind == o.kind && e.target == o.target &&
		e.count == o.count
}
