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
	// RuleLost: an acknowledged entry is in the log, unless it was deleted or left the
	// log by its bounds.
	RuleLost Rule = "lost"
	// RuleID: it is there under its acknowledged id, and every acknowledgement of a key
	// has the same id.
	RuleID Rule = "id"
	// RuleTwice: no key is in the log twice.
	RuleTwice Rule = "twice"
	// RuleLog: the log itself has no gap but deletions, and its ids grow.
	RuleLog Rule = "log"
	// RuleHole: a member's view has no gap without notice.
	RuleHole Rule = "hole"
	// RuleRepeat: a view never goes back: no entry arrives twice or late.
	RuleRepeat Rule = "repeat"
	// RuleStray: no entry arrives of a room that the client is not in.
	RuleStray Rule = "stray"
	// RuleHead: the messages of a joined end with its head.
	RuleHead Rule = "head"
	// RuleEnd: a complete view has all that the log holds, and nothing else.
	RuleEnd Rule = "end"
	// RuleDiffers: two clients receive the same entry at the same place of a room.
	RuleDiffers Rule = "differs"
	// RuleStands: a join without recovery and history return the messages as they
	// stand: none missing, none deleted, each with its last text and its reactions, as
	// of the head of the join, or of what the client had received before the history.
	RuleStands Rule = "stands"
	// RuleInvented: every entry was sent, unchanged, by its user.
	RuleInvented Rule = "invented"
	// RuleOrder: entries of one connection to a room keep their order.
	RuleOrder Rule = "order"
	// RuleTime: an entry acknowledged before another one was sent has the lower id.
	RuleTime Rule = "time"
)

// Violation is a broken promise.
type Violation struct {
	Rule Rule
	Room string
	// Text says which client received what.
	Text string
}

// String returns it in one line.
func (v Violation) String() string { return fmt.Sprintf("%s: room %q: %s", v.Rule, v.Room, v.Text) }

// Report is the result of Verify.
type Report struct {
	// Violations holds the first ones of each room and rule, maxTexts at most; Found
	// counts all by their rule.
	Violations []Violation
	Found      map[Rule]int

	// The contents of the history: messages sent (each key once), acknowledged, and
	// refused permanently or never answered; entries in the logs; entries that members
	// received; connections lost.
	Sent, Acknowledged, Unknown int
	Entries, Heard, Lost        int
	// Duplicates counts acknowledgements of an earlier acceptance, Gaps joins that
	// recovered nothing, Resets resets.
	Duplicates, Gaps, Resets int
	// Waited is the longest time from the first sending to the acknowledgement. Behind
	// is the longest time by which a member of the room received an entry after it was
	// known elsewhere.
	Waited, Behind time.Duration
}

// OK reports whether every promise was kept.
func (r *Report) OK() bool { return len(r.Found) == 0 }

// maxTexts bounds the violations of one rule in one room that get a text.
const maxTexts = 5

// Verify checks a history against all rules.
func Verify(list []Record) *Report {
	v := &verifier{
		report: &Report{Found: make(map[Rule]int)},
		rooms:  make(map[string]*room),
		texts:  make(map[Violation]int),
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

// verifier sorts records by room and, within it, by client.
type verifier struct {
	report *Report
	rooms  map[string]*room
	texts  map[Violation]int // how many got a text, by rule and room
	wiped  []int64           // when all rooms were wiped
}

func (v *verifier) room(name string) *room {
	r := v.rooms[name]
	if r == nil {
		r = newRoom(v, name)
		v.rooms[name] = r
	}
	return r
}

func (v *verifier) violate(rule Rule, room, format string, args ...any) {
	v.report.Found[rule]++
	key := Violation{Rule: rule, Room: room}
	if v.texts[key]++; v.texts[key] <= maxTexts {
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
		room.sent.send(r)
	case OpSent:
		room.sent.acknowledge(r)
	case OpRefused:
	case OpLog:
		v.report.Entries++
		room.log = append(room.log, entryOf(r))
	default:
		room.view(r.Client).take(r)
	}
}

// userKey is a key and its user.
type userKey struct{ user, key string }

// connection is one connection of one client.
type connection struct {
	client string
	conn   int
}

// entry holds the fields of a record about an entry.
type entry struct {
	id           protocol.ID
	key          userKey
	text         string
	kind, target string
	count        int // of a reaction
	at           int64
	bad          bool // its id is not valid
}

func entryOf(r *Record) entry {
	id, err := protocol.ParseID(r.ID)
	return entry{id: id, key: userKey{r.User, r.Key}, text: r.Text, kind: r.Kind, target: r.Target, count: r.Count, at: r.At, bad: err != nil}
}

// same reports whether two entries have the same contents.
func (e *entry) same(o *entry) bool {
	return e.id == o.id && e.key == o.key && e.text == o.text && e.kind == o.kind && e.target == o.target &&
		e.count == o.count
}
