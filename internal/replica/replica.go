// Package replica holds one room's log as one node knows it.
//
// A Replica is a state machine. Its inputs are live posts, results of reads, and events
// that make a read due. It returns Effects: entries to deliver to the members, a reset,
// or a due read. It has no lock, clock, goroutine or context and calls nothing: its
// owner, a room, serialises the calls, delivers, and reads. Scripts test all its
// behaviour (testdata/*.txt).
//
// A live post may be lost, repeated, late or forged; the log is authoritative. A post is
// delivered only if it names the head as its predecessor and its seq is the next one.
// Everything else makes a read due.
//
// The slices in effects and answers share the replica's memory. They are valid until the
// next call, and must not be changed.
package replica

import (
	"example.com/chat/internal/protocol"
)

// Bounds of the posts that wait for a read. When there are more, they are
// dropped and read from the log.
const (
	earlyEntries = 4096
	earlyBytes   = 64 << 10
)

// Post is a live post: an entry and the predecessor that it names.
type Post struct {
	After protocol.ID
	protocol.Entry
}

// follows reports whether the post is the next entry after the head. The seq
// alone does not decide: if the log has lost its end, another entry has that
// seq.
func (p *Post) follows(head protocol.ID) bool {
	return p.After == head && p.ID.Seq == head.Seq+1 && p.ID.MS >= head.MS
}

// Replica is one room's log as one node knows it. It is not safe for concurrent
// use. Make one with New.
type Replica struct {
	memory   Memory
	expected int64 // the newest seq that the log acknowledged to this node

	reading    bool   // a read is due or under way
	begun      bool   // it is under way: BeginRead was called
	again      bool   // another read has to follow it
	early      []Post // posts that wait for a read
	earlyBytes int

	deliver []protocol.Entry // reused for Effects.Deliver
	erased  []protocol.ID    // reused for Effects.Erased
}

// New makes a Replica that knows nothing yet. keep is how many messages the log
// holds at most; 0 means any number.
func New(keep int) *Replica {
	return &Replica{memory: Memory{tail: tail{keep: keep}, messages: messages{keep: keep}}}
}

// Effects are what a step requires of the owner.
type Effects struct {
	// Reset is set if the log is no longer the one that members followed. They
	// get a reset with the head ResetAt, before anything in Deliver; their backlogs
	// end.
	Reset   bool
	ResetAt protocol.ID
	// Deliver holds the entries that members get next, in order.
	Deliver []protocol.Entry
	// Erased holds the messages that the delivered entries delete. Backlogs must
	// not deliver them any more (Backlog.Erase).
	Erased []protocol.ID
	// Read is set if a read became due. The owner runs BeginRead, reads, and
	// passes the result to Read, until Settled.
	Read bool
	// End is set if the read has come to the log's end: everything was delivered that the
	// log held when it began. Another read may follow it.
	End bool
	// Settled is set if the read is over: the replica has caught up.
	Settled bool
	// Gap is set if a post came although an entry before it did not.
	Gap bool
}

// Moved reports whether the head is another one than before the step.
func (e *Effects) Moved() bool { return e.Reset || len(e.Deliver) > 0 }

// Memory returns what the replica knows of the log. It stays good as long as the
// replica.
func (r *Replica) Memory() *Memory { return &r.memory }

// begin clears what the last step returned.
func (r *Replica) begin() Effects {
	clear(r.deliver) // so that their bytes can be freed
	r.deliver, r.erased = r.deliver[:0], r.erased[:0]
	return Effects{}
}

func (r *Replica) end(e Effects) Effects {
	e.Deliver, e.Erased = r.deliver, r.erased
	return e
}

// Hear processes a live post. While a read is due and has not begun, posts that follow the
// head are delivered: the read begins after them. With backpressure, members' outboxes are too full for
// more: a post that could be delivered waits for a read, whose result the owner
// delivers at the members' speed.
func (r *Replica) Hear(p Post, backpressure bool) Effects {
	e := r.begin()
	switch {
	case !r.memory.synced || r.begun:
		r.keepEarly(p)
	case r.reading && (backpressure || !p.follows(r.memory.head)):
		r.keepEarly(p) // it waits for the read, which is due
	case p.follows(r.memory.head) && backpressure:
		r.keepEarly(p)
		r.due(&e)
	case p.follows(r.memory.head):
		r.enter(p.Entry)
	case r.memory.tail.holds(p.ID), p.ID == r.memory.tail.base:
	default:
		// An entry before it is missing; or it has a seq that was delivered and is
		// not that entry, or does not follow the head: then this is another log,
		// or a very late post.
		e.Gap = p.ID.Seq > r.memory.head.Seq+1
		r.keepEarly(p)
		r.due(&e)
	}
	return r.end(e)
}

// Refresh makes a read due. If one is under way, another follows it.
func (r *Replica) Refresh() Effects {
	e := r.begin()
	r.due(&e)
	return r.end(e)
}

// Compare makes a read due if the id of the log's newest entry is not the head.
func (r *Replica) Compare(newest protocol.ID) Effects {
	e := r.begin()
	if r.memory.synced && newest != r.memory.head {
		r.due(&e)
	}
	return r.end(e)
}

// Acknowledged records the id of an entry that this node appended to the log, and which
// is therefore expected live (Behind). A read becomes due if the id shows that the log is
// another one.
func (r *Replica) Acknowledged(id protocol.ID) Effects {
	e := r.begin()
	if r.memory.synced && id.Seq <= r.memory.head.Seq && id.Seq > r.memory.tail.floor && !r.memory.tail.holds(id) {
		r.due(&e)
	}
	r.expected = max(r.expected, id.Seq)
	return r.end(e)
}

// Behind returns the newest seq that was acknowledged, and whether it has not
// been delivered yet.
func (r *Replica) Behind() (expected int64, behind bool) {
	return r.expected, r.expected > r.memory.head.Seq
}

// Overdue reports that an acknowledged seq should have arrived live by now. If it was not
// delivered, a read becomes due, which finds it, so it is no longer expected live.
func (r *Replica) Overdue(seq int64) Effects {
	e := r.begin()
	if r.memory.head.Seq < seq {
		r.due(&e)
		r.expected = r.memory.head.Seq
	}
	return r.end(e)
}

func (r *Replica) due(e *Effects) {
	if r.reading {
		r.again = true
		return
	}
	r.reading, e.Read = true, true
}

// keepEarly keeps a post until the read is over.
func (r *Replica) keepEarly(p Post) {
	if len(r.early) >= earlyEntries || r.earlyBytes+len(p.Raw) > earlyBytes {
		r.early, r.earlyBytes = nil, 0
		r.again = true
		return
	}
	r.early = append(r.early, p)
	r.earlyBytes += len(p.Raw)
}

// enter makes an entry the head and adds it to the effects.
func (r *Replica) enter(e protocol.Entry) {
	if target := r.memory.enter(e); !target.IsZero() {
		r.erased = append(r.erased, target)
	}
	r.deliver = append(r.deliver, e)
}
