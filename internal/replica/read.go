package replica

import "example.com/chat/internal/protocol"

// Position says what to read: the entries after After if Known, else the newest
// messages.
type Position struct {
	After protocol.ID
	Known bool
}

// Piece is the result of a read.
type Piece struct {
	// Found is set if the log holds the position that was asked for, and Entries
	// follow it without a gap.
	Found   bool
	Entries []protocol.Entry
	// More is set if others follow Entries.
	More bool
	// Newest holds the log's newest messages, unless Found.
	Newest protocol.Page
}

// BeginRead starts a read that is due, or repeats one that failed. It returns
// what to read.
func (r *Replica) BeginRead() Position {
	r.again, r.begun = false, true
	return Position{After: r.memory.head, Known: r.memory.synced}
}

// Read applies the result of the read that BeginRead started. A long result may
// be passed in several pieces, all but the last with More. Between them posts
// wait, as they do during the read. Unless the effects say Settled, the next
// BeginRead follows.
func (r *Replica) Read(p Piece) Effects {
	e := r.begin()
	if p.Found {
		for _, entry := range p.Entries {
			r.enter(entry)
		}
	} else {
		e.Reset = r.memory.synced
		r.memory.restart(p.Newest)
		e.ResetAt = r.memory.head
	}
	if !p.Found || !p.More {
		e.End = true
		r.settle(&e)
	}
	return r.end(e)
}

// Missed returns how many entries of a read did not come live.
func (r *Replica) Missed(read []protocol.Entry) int {
	missed := len(read)
	if len(read) > 0 && len(r.early) > 0 {
		came := make(map[protocol.ID]bool, len(r.early))
		for _, p := range r.early {
			came[p.ID] = true
		}
		for _, e := range read {
			if came[e.ID] {
				missed--
			}
		}
	}
	return missed
}

// settle enters the posts that waited for the read, and ends it unless another
// one is due.
func (r *Replica) settle(e *Effects) {
	if r.again {
		return
	}
	early := r.early
	r.early, r.earlyBytes = nil, 0
	missing := false
	for _, p := range early {
		if p.follows(r.memory.head) {
			r.enter(p.Entry)
		} else if p.ID.Seq > r.memory.head.Seq {
			missing = true
		}
	}
	if missing {
		return // it was published after the read: read on
	}
	r.reading, r.begun, e.Settled = false, false, true
}
